"""A connection to PostgreSQL on libpq alone: connect, run a statement, stream a COPY either way, cancel, close.

psycopg's own connection waits in places no cancel scope reaches, and hands out a COPY line by line through several
layers; this needs neither its transactions nor its adapters. Every wait here is one ``poll(2)`` that a cancel wakes.

libpq hands out a row of a COPY when it has all of it, and keeps a buffer as large as the largest it has seen, rounded up
to a power of two and filled as fast as the server sends. What it hands out is a copy, of which psycopg makes another and
lets go of the first: one wide row is in memory three times for a moment and then twice, whatever the size of chunks. That is
what ``most_row_bytes`` is for, and why nothing here makes a fourth.
"""

from __future__ import annotations

import itertools
import logging
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.connectors._descriptors import Waker
from penstock.connectors.postgres import _libpq_stopping
from penstock.connectors.postgres._incoming import InTheClear, Socket
from penstock.connectors.postgres._incoming_tls import UnderTls, session_of
from penstock.connectors.postgres._row_stream import HOLD_BACK_SECONDS, Chunk, RowStream, RowTooLong, WideRow
from penstock.connectors.postgres._unfinished_row import UnfinishedRow
from penstock.core._last_wait import last_wait
from penstock.core.cancel import check_cancelled

if TYPE_CHECKING:
    from psycopg import pq

    from penstock.connectors.postgres._incoming import Incoming

__all__ = ["Connection", "LostConnection", "ServerError", "connected"]

_log = logging.getLogger("penstock.postgres")

_READ = select.POLLIN
_WRITE = select.POLLOUT
_CHUNK_BYTES = 128 << 10


class LostConnection(Exception):
    """There is no connection, or not any more. The message is libpq's."""


class ServerError(Exception):
    """The server refused a statement.

    The message and every field are the server's own: ``sqlstate`` says why, ``detail`` with what values, ``context``
    where in a COPY.
    """

    def __init__(self, message: str, sqlstate: str, *, hint: str = "", detail: str = "", context: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.hint = hint
        self.detail = detail
        self.context = context


@contextmanager
def connected(conninfo: str, *, timeout_seconds: float) -> Iterator[Connection]:
    """Connect; on leaving, stop what still runs on the server, and close.

    Blocks for ``timeout_seconds`` at most, besides looking up the host's name; a cancel interrupts it.

    Raises:
        LostConnection: the server can not be reached, or refuses.
    """
    with Waker() as waker:
        connection = Connection(_connect(conninfo, waker, timeout_seconds), waker)
        try:
            yield connection
        finally:
            connection.close()


def _connect(conninfo: str, waker: Waker, timeout_seconds: float) -> pq.abc.PGconn:
    libpq = _psycopg().pq
    deadline = monotonic() + timeout_seconds
    opened: pq.abc.PGconn = libpq.PGconn.connect_start(conninfo.encode())
    try:
        if opened.status == libpq.ConnStatus.BAD:
            raise LostConnection(opened.get_error_message().strip())
        status = libpq.PollingStatus.WRITING  # as which libpq's manual counts the time before the first poll
        while status != libpq.PollingStatus.OK:
            events = _READ if status == libpq.PollingStatus.READING else _WRITE
            if not waker.wait(opened.socket, events, max(0.0, deadline - monotonic())):
                raise LostConnection("timeout expired")
            status = opened.connect_poll()
            if status == libpq.PollingStatus.FAILED:
                raise LostConnection(opened.get_error_message().strip())
    except BaseException:
        opened.finish()
        raise
    opened.nonblocking = 1
    return opened


@final
class Connection:
    """An open connection, for one thread.

    Its methods block, and are woken by a cancel. They raise :class:`ServerError`, after which the connection can be
    used further, and :class:`LostConnection`.
    """

    def __init__(self, opened: pq.abc.PGconn, waker: Waker) -> None:
        self._libpq = _psycopg().pq
        self._foreign_error = _psycopg().OperationalError
        self._pgconn = opened
        self._waker = waker
        self._is_busy = False
        self._is_uploading = False
        self._row_stream: RowStream | None = None
        self._wide_row = b""  # taken already, and to be handed out next

    def execute(self, statements: str) -> pq.abc.PGresult:
        """Run statements separated by semicolons; return the result of the last."""
        self._send(self._pgconn.send_query, statements.encode())
        return self._last_result()

    def describe(self, statement: str) -> pq.abc.PGresult:
        """Have the server parse ``statement``; the result has its columns, and no rows."""
        self._send(self._pgconn.send_prepare, b"", statement.encode())
        self._last_result()
        self._send(self._pgconn.send_describe_prepared, b"")
        return self._last_result()

    def copy_out(
        self,
        statement: str,
        *,
        chunk_bytes: int = _CHUNK_BYTES,
        most_rows: int = sys.maxsize,
        most_row_bytes: int | None = None,
        prefix: bytes = b"",
        spaced: bool = False,
        headers: int = 0,
    ) -> Iterator[Chunk | WideRow]:
        """Run a ``COPY ... TO STDOUT``; yield its data in chunks of whole rows.

        Ends only after the server has said that this was all. A header counts as a row. A row that is longer than a chunk
        comes alone and as it is, without ``prefix``.

        Args:
            statement: the COPY.
            chunk_bytes: about how long a chunk is; shorter when the server is slow to send more.
            most_rows: at most so many rows in a chunk.
            most_row_bytes: the longest row allowed.
            prefix: what every chunk begins with; where it is ``spaced``, some empty lines.
            spaced: whether there may be empty lines before each row, which is faster. Then a chunk is only good until the
                next one is asked for.
            headers: how many rows the server does not count.

        Raises:
            RowTooLong: a row is longer than ``most_row_bytes``. Mostly it is noticed before all of it has come.
        """
        self._send(self._pgconn.send_query, statement.encode())
        if (incoming := self._incoming()) is not None:
            stream = RowStream(
                incoming,
                chunk_bytes=chunk_bytes,
                most_rows=most_rows,
                most_row_bytes=most_row_bytes,
                spaced=spaced,
                prefix=prefix,
            )
            if stream.begins():
                yield from self._streamed(stream, headers)
                return
            self._have_libpq_read()
        self._start_copy(self._libpq.ExecStatus.COPY_OUT)
        yield from self._collected(chunk_bytes, most_rows, most_row_bytes, prefix)

    def _incoming(self) -> Incoming | None:
        """What the server sends, where it can be had without libpq."""
        socket = Socket(self._pgconn.socket, self._waker)
        if not self._pgconn.ssl_in_use:
            return InTheClear(socket)
        session = session_of(self._pgconn, socket)
        return None if session is None else UnderTls(socket, session)

    def _streamed(self, stream: RowStream, headers: int) -> Iterator[Chunk | WideRow]:
        """Yield what is received without libpq, then have it say whether that was all."""
        self._row_stream = stream
        try:
            while (chunk := stream.chunk()) is not None:
                yield chunk
                del chunk  # or a wide row would be here still while the next one is received
        except OSError as exc:
            raise LostConnection(f"could not receive data from server: {exc.strerror}") from exc
        self._row_stream = None
        self._have_libpq_read()
        sent = self._last_result().command_tuples
        come = stream.rows - headers
        if sent != come:
            raise LostConnection(f"the server says that it has sent {sent} rows, and {come} have come")

    def _have_libpq_read(self) -> None:
        """Give libpq what was seen and left to it: under TLS that is in the socket no more, where it is waited for."""
        with self._foreign_errors_translated():
            self._pgconn.consume_input()

    def _collected(
        self, chunk_bytes: int, most_rows: int, most_row_bytes: int | None, prefix: bytes
    ) -> Iterator[Chunk | WideRow]:
        """Yield what libpq hands out row by row."""
        rows_before, is_more = 0, True
        while is_more:
            data = bytearray(prefix)
            try:
                rows, is_more = self._fill(data, chunk_bytes, most_rows, most_row_bytes)
            except RowTooLong as exc:
                raise RowTooLong(rows_before + exc.rows_before) from None
            rows_before += rows
            if rows:
                yield Chunk(data, rows)
            del data
            if self._wide_row:
                rows_before += 1
                yield WideRow(self._take_wide_row())
        self._last_result()

    def copy_in(self, statement: str) -> CopyIn:
        """Start a ``COPY ... FROM STDIN`` and return what it is fed through.

        One that is not finished is aborted by :meth:`close`, and with it the transaction.
        """
        self._send(self._pgconn.send_query, statement.encode())
        self._start_copy(self._libpq.ExecStatus.COPY_IN)
        self._is_uploading = True
        return CopyIn(self)

    def close(self) -> None:
        """Stop what still runs on the server, then close. Waits for the server a few seconds at most."""
        try:
            if self._is_busy and self._pgconn.status == self._libpq.ConnStatus.OK:
                seconds = _libpq_stopping.UPLOAD_SECONDS if self._is_uploading else _libpq_stopping.QUERY_SECONDS
                settle = None if self._row_stream is None else self._row_stream.settle
                with last_wait(self._where, "stopping the query", seconds):
                    has_stopped = _libpq_stopping.stop(self._pgconn, seconds, settle)
                if not has_stopped and not self._is_uploading:
                    _log.warning("%s: the server does not answer; a query of ours may still run there", self._where)
        finally:
            self._pgconn.finish()

    @property
    def _where(self) -> str:
        """The server, as messages show it."""
        return f"postgresql://{self._pgconn.host.decode()}:{self._pgconn.port.decode()}"

    # --- sending and receiving ----------------------------------------------------------------------------------

    def _send(self, send: Callable[..., None], *arguments: bytes) -> None:
        self._is_busy = True
        with self._foreign_errors_translated():
            send(*arguments)
            self._flush()

    def _flush(self) -> None:
        while self._pgconn.flush():
            self._waker.wait(self._pgconn.socket, _READ | _WRITE)
            self._pgconn.consume_input()

    def _receive(self) -> None:
        self._waker.wait(self._pgconn.socket, _READ)
        self._pgconn.consume_input()

    def _next_result(self) -> pq.abc.PGresult | None:
        with self._foreign_errors_translated():
            while self._pgconn.is_busy():
                self._receive()
            return self._pgconn.get_result()

    def _last_result(self, error: Exception | None = None) -> pq.abc.PGresult:
        """Take every result that is due, also after an error, so that the connection is ready for the next."""
        last: pq.abc.PGresult | None = None
        while (result := self._next_result()) is not None:
            error = error or self._error_in(result)
            last = result
        self._is_busy = self._is_uploading = False
        if error is not None or last is None:
            raise error or LostConnection("the server gave no result")
        return last

    def _start_copy(self, expected: Any) -> None:
        result = self._next_result()
        if result is None or result.status != expected:
            error = None if result is None else self._error_in(result)
            self._last_result(error or LostConnection("the server did not start to copy"))

    def _fill(self, data: bytearray, wanted_bytes: int, most_rows: int, most_row_bytes: int | None) -> tuple[int, bool]:
        """Add whole rows to ``data``; return how many, and whether there may be more."""
        # Added up at once: keeping the rows in a list keeps two collectable objects for each, and triples the time.
        rows = 0
        unfinished = UnfinishedRow(self._pgconn.socket, most_row_bytes)
        with self._foreign_errors_translated():
            for length, row in map(self._pgconn.get_copy_data, itertools.repeat(1)):
                if length > 0:
                    if most_row_bytes is not None and length > most_row_bytes:
                        raise RowTooLong(rows)
                    if length > wanted_bytes:
                        self._wide_row = _bytes_of(row)  # what came before it goes first
                        break
                    data += row
                    rows += 1
                    if len(data) >= wanted_bytes or rows == most_rows:
                        break
                elif length < 0:
                    return rows, False
                elif not self._waker.wait(self._pgconn.socket, _READ, HOLD_BACK_SECONDS if rows else None):
                    break
                else:
                    unfinished.before_receiving(rows)
                    self._pgconn.consume_input()
        return rows, True

    def _take_wide_row(self) -> bytes:
        row, self._wide_row = self._wide_row, b""
        return row

    def _put(self, data: memoryview) -> None:
        check_cancelled()  # a server that takes everything at once makes nobody wait, and only waits are woken
        with self._foreign_errors_translated():
            self._pgconn.put_copy_data(data)
            self._flush()

    def _end_copy_in(self) -> int:
        with self._foreign_errors_translated():
            self._pgconn.put_copy_end()
            self._flush()
        return self._last_result().command_tuples or 0

    # --- errors -------------------------------------------------------------------------------------------------

    def _error_in(self, result: pq.abc.PGresult) -> Exception | None:
        status = self._libpq.ExecStatus
        if result.status not in {status.FATAL_ERROR, status.BAD_RESPONSE, status.NONFATAL_ERROR}:
            return None
        sqlstate = self._field(result, self._libpq.DiagnosticField.SQLSTATE)
        if not sqlstate:  # libpq made this result up, because the server is gone
            return LostConnection(self._pgconn.get_error_message().strip())
        message = self._field(result, self._libpq.DiagnosticField.MESSAGE_PRIMARY)
        field = self._libpq.DiagnosticField
        return ServerError(
            message,
            sqlstate,
            hint=self._field(result, field.MESSAGE_HINT),
            detail=self._field(result, field.MESSAGE_DETAIL),
            context=self._field(result, field.CONTEXT),
        )

    @staticmethod
    def _field(result: pq.abc.PGresult, field: Any) -> str:
        return (result.error_field(field) or b"").decode(errors="replace")

    @contextmanager
    def _foreign_errors_translated(self) -> Iterator[None]:
        try:
            yield
        except self._foreign_error as exc:
            raise LostConnection(str(exc)) from exc


def _bytes_of(view: memoryview) -> bytes:
    """Return what psycopg gives a view of, which is the whole of a ``bytes`` object; a copy, should it be anything else."""
    whole = view.obj
    return whole if isinstance(whole, bytes) and len(whole) == len(view) else bytes(view)


@final
class CopyIn:
    """A COPY to the server that is under way. Made by :meth:`Connection.copy_in`.

    What the server has against it, :meth:`finish` raises and nothing else does: libpq tells no sooner.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, data: bytes, /) -> int:
        """Send all of ``data``; blocks until the kernel has it."""
        # In pieces, because libpq keeps a buffer as large as the largest it was given.
        for start in range(0, len(data), _CHUNK_BYTES):
            self._connection._put(memoryview(data)[start : start + _CHUNK_BYTES])
        return len(data)

    def finish(self) -> int:
        """End the data, block until the server has digested it, and return how many rows it took."""
        return self._connection._end_copy_in()


def _psycopg() -> Any:
    return need("psycopg", extra="postgres", why="talk to PostgreSQL")
