"""What a server sends under TLS, decrypted by libpq's own session: libpq and this take turns at it.

libpq hands out its session for that (``PQsslStruct``, "SSL Support" in PostgreSQL's manual, 34.2), and psycopg the
address of the connection (``PGconn.pgconn_ptr``). The functions are looked up through the libpq that psycopg has loaded,
and so in the very OpenSSL that belongs to it; Python's own is another one. They do not block, and take some
microseconds, so that letting other threads run meanwhile would cost more than it gives.
"""

from __future__ import annotations

import ctypes
import os
import re
import select
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

from penstock._extras import need
from penstock.connectors.postgres._incoming import WORTHWHILE_BYTES
from penstock.connectors.postgres._row_messages import are_only_rows

if TYPE_CHECKING:
    from psycopg import pq

    from penstock.connectors.postgres._incoming import Socket

__all__ = ["Session", "UnderTls", "session_of"]

_LIBPQ = re.compile(r"libpq(-\w+)?\.so[.\d]*")
_MAPPED = Path("/proc/self/maps")
_FIELDS_BEFORE_FILE = 5  # proc_pid_maps(5)

_WANT_READ, _WANT_WRITE, _SYSCALL, _ZERO_RETURN = 2, 3, 5, 6  # of SSL_get_error(3)


class Session(Protocol):
    """A TLS session. Raises as :class:`~penstock.connectors.postgres._incoming.Incoming` does."""

    def peek(self, room: memoryview) -> int:
        """Copy into ``room`` what is left of the record that is next."""
        ...

    def read(self, room: memoryview) -> int:
        """Move it there."""
        ...


@final
class UnderTls:
    """Of a connection that is encrypted by TLS.

    Args:
        socket: of it.
        session: of it.
    """

    def __init__(self, socket: Socket, session: Session) -> None:
        self.socket = socket
        self.peek = session.peek
        self.receive = session.read
        self._taken = 0
        self._has_more = False

    def look(self, room: memoryview, whole: int, begun: int) -> int:
        # One peek sees one record, of 8 KiB mostly. What surely belongs to rows is taken, to see the next.
        self._taken = 0
        until = begun
        enough = min(len(room), begun + WORTHWHILE_BYTES)
        while until < enough and (count := self._peek_behind(room[until:], self._taken)):
            if not are_only_rows(room, whole, until, until + count):
                return until + count - begun
            until += self.receive(room[until : until + count])
            self._taken = until - begun
        return until - begun

    def take(self, room: memoryview) -> None:
        room = room[self._taken :]
        while room:
            room = room[self.receive(room) :]

    def gather(self, most_bytes: int) -> None:
        if not self._has_more:
            self.socket.gather(most_bytes)

    def _peek_behind(self, room: memoryview, taken: int) -> int:
        """Peek; if nothing more has come, that is 0 behind bytes that were taken just now."""
        self._has_more = True
        try:
            return self.peek(room)
        except BlockingIOError:
            self._has_more = False
            if not taken:
                raise
        return 0


@final
class _LibpqSession:
    def __init__(self, socket: Socket, openssl: Any, address: int) -> None:
        self._socket = socket
        self._openssl = openssl
        self._address = address

    def peek(self, room: memoryview) -> int:
        return self._moved(self._openssl.SSL_peek, room)

    def read(self, room: memoryview) -> int:
        return self._moved(self._openssl.SSL_read, room)

    def _moved(self, call: Any, room: memoryview) -> int:
        self._openssl.ERR_clear_error()  # or an older one would be taken for that of this call
        ctypes.set_errno(0)
        count: int = call(self._address, ctypes.byref(ctypes.c_char.from_buffer(room)), len(room))
        return count if count > 0 else self._failed(count)

    def _failed(self, count: int) -> int:
        number = ctypes.get_errno()
        why = self._openssl.SSL_get_error(self._address, count)
        if why in {_WANT_READ, _WANT_WRITE}:
            self._socket.events = select.POLLIN if why == _WANT_READ else select.POLLOUT
            raise BlockingIOError
        if why == _ZERO_RETURN:
            return 0
        if why == _SYSCALL:
            raise OSError(number, os.strerror(number) if number else "the connection has ended")
        reason = self._openssl.ERR_reason_error_string(self._openssl.ERR_get_error())
        raise OSError(0, f"TLS: {(reason or b'the session is broken').decode()}")


def session_of(pgconn: pq.abc.PGconn, socket: Socket) -> Session | None:
    """Return a connection's TLS session; None if it has none, or it cannot be reached."""
    libpq = _libpq()
    connection = getattr(pgconn, "pgconn_ptr", None)  # its protocol does not name it, but every implementation has it
    if libpq is None or connection is None or not pgconn.ssl_in_use:
        return None
    address: int | None = libpq.PQsslStruct(connection, b"OpenSSL")
    return None if address is None else _LibpqSession(socket, libpq, address)


@cache
def _libpq() -> Any:
    """Return the libpq that psycopg has loaded, with the functions of its OpenSSL; None if it is not certain which it is."""
    try:
        files = {line.split(maxsplit=_FIELDS_BEFORE_FILE)[-1] for line in _MAPPED.read_text().splitlines()}
    except OSError:
        return None  # this is not Linux
    found = [file for file in files if _LIBPQ.fullmatch(Path(file).name)]
    if len(found) != 1:
        return None  # psycopg has one within itself, or there are two: the wrong one would misread its structures
    try:
        library = _with_types(ctypes.PyDLL(found[0], mode=os.RTLD_NOW | os.RTLD_NOLOAD, use_errno=True))
    except (OSError, AttributeError):
        return None  # it was built without OpenSSL
    is_psycopgs = library.PQlibVersion() == need("psycopg", extra="postgres", why="talk to PostgreSQL").pq.version()
    return library if is_psycopgs else None


def _with_types(library: ctypes.PyDLL) -> ctypes.PyDLL:
    for name in ("SSL_peek", "SSL_read"):
        getattr(library, name).argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
    library.SSL_get_error.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.ERR_clear_error.restype = None
    library.ERR_get_error.restype = ctypes.c_ulong
    library.ERR_reason_error_string.argtypes = (ctypes.c_ulong,)
    library.ERR_reason_error_string.restype = ctypes.c_char_p
    library.PQsslStruct.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    library.PQsslStruct.restype = ctypes.c_void_p
    return library
