"""A connection to PostgreSQL on libpq alone: connect, run a statement, stream a COPY, cancel, close.

psycopg's own connection waits in places no cancel scope reaches, and hands out a COPY line by line through several
layers; this needs neither its transactions nor its adapters. Every wait here is one ``poll(2)`` that a cancel wakes.
"""

from __future__ import annotations

import itertools
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.connectors._descriptors import Waker

if TYPE_CHECKING:
    from psycopg import pq

__all__ = ["Connection", "LostConnection", "ServerError", "connected"]

_READ = select.POLLIN
_WRITE = select.POLLOUT
_CHUNK_BYTES = 128 << 10
_HOLD_BACK_SECONDS = 0.02
_CANCEL_SECONDS = 5.0
_CANCEL_AGAIN_SECONDS = 0.5


class LostConnection(Exception):
    """There is no connection, or not any more. The message is libpq's."""


class ServerError(Exception):
    """The server refused a statement. ``sqlstate`` says why; message and ``server_hint`` are the server's own."""

    def __init__(self, message: str, sqlstate: str, server_hint: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.server_hint = server_hint


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

    def copy_out(self, statement: str) -> Iterator[tuple[bytes, int]]:
        """Run a ``COPY ... TO STDOUT``; yield chunks of its data, each with the number of lines in it.

        Ends only after the server has said that this was all.
        """
        self._send(self._pgconn.send_query, statement.encode())
        self._start_copy()
        is_more = True
        while is_more:
            data, lines, is_more = self._chunk()
            if data:
                yield data, lines
        self._last_result()

    def close(self) -> None:
        """Stop what still runs on the server, then close. Waits for the server a few seconds at most."""
        try:
            if self._is_busy and self._pgconn.status == self._libpq.ConnStatus.OK:
                self._stop()
        finally:
            self._pgconn.finish()

    # --- sending and receiving ----------------------------------------------------------------------------------

    def _send(self, send: Callable[..., None], *arguments: bytes) -> None:
        self._is_busy = True
        with self._foreign_errors_translated():
            send(*arguments)
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
        self._is_busy = False
        if error is not None or last is None:
            raise error or LostConnection("the server gave no result")
        return last

    def _start_copy(self) -> None:
        result = self._next_result()
        if result is None or result.status != self._libpq.ExecStatus.COPY_OUT:
            error = None if result is None else self._error_in(result)
            self._last_result(error or LostConnection("the server did not start to copy"))

    def _chunk(self) -> tuple[bytes, int, bool]:
        """Take lines, fewer when the server is slow to send more; how many; and whether there may be more."""
        # Added up at once: keeping the lines in a list keeps two collectable objects for each, and triples the time.
        data = bytearray()
        lines = 0
        with self._foreign_errors_translated():
            for length, line in map(self._pgconn.get_copy_data, itertools.repeat(1)):
                if length > 0:
                    data += line
                    lines += 1
                    if len(data) >= _CHUNK_BYTES:
                        break
                elif length < 0:
                    return bytes(data), lines, False
                elif not self._waker.wait(self._pgconn.socket, _READ, _HOLD_BACK_SECONDS if data else None):
                    break
                else:
                    self._pgconn.consume_input()
        return bytes(data), lines, True

    # --- errors -------------------------------------------------------------------------------------------------

    def _error_in(self, result: pq.abc.PGresult) -> Exception | None:
        status = self._libpq.ExecStatus
        if result.status not in {status.FATAL_ERROR, status.BAD_RESPONSE, status.NONFATAL_ERROR}:
            return None
        sqlstate = self._field(result, self._libpq.DiagnosticField.SQLSTATE)
        if not sqlstate:  # libpq made this result up, because the server is gone
            return LostConnection(self._pgconn.get_error_message().strip())
        message = self._field(result, self._libpq.DiagnosticField.MESSAGE_PRIMARY)
        hint = self._field(result, self._libpq.DiagnosticField.MESSAGE_HINT)
        return ServerError(message, sqlstate, hint)

    @staticmethod
    def _field(result: pq.abc.PGresult, field: Any) -> str:
        return (result.error_field(field) or b"").decode(errors="replace")

    @contextmanager
    def _foreign_errors_translated(self) -> Iterator[None]:
        try:
            yield
        except self._foreign_error as exc:
            raise LostConnection(str(exc)) from exc

    # --- stopping -----------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Ask the server to stop until it says that it has. Once may not do: a cancel can arrive before the query."""
        deadline = monotonic() + _CANCEL_SECONDS
        try:
            while monotonic() < deadline:
                self._request_cancel(deadline)
                if self._is_idle_within(_CANCEL_AGAIN_SECONDS):
                    return
        except self._foreign_error:
            return  # the connection broke, and with it ends the query

    def _request_cancel(self, deadline: float) -> None:
        polling = self._libpq.PollingStatus
        try:
            cancel = self._pgconn.cancel_conn()
        except _psycopg().NotSupportedError:  # libpq before 17: the same, but blocking
            self._pgconn.get_cancel().cancel()
            return
        cancel.start()
        try:
            while (status := cancel.poll()) not in {polling.OK, polling.FAILED}:
                _wait(cancel.socket, _READ if status == polling.READING else _WRITE, deadline - monotonic())
                if monotonic() >= deadline:
                    return
        finally:
            cancel.finish()

    def _is_idle_within(self, seconds: float) -> bool:
        """Throw away what the server sends until it is done, for ``seconds`` at most."""
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            if not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    return True
                if result.status == self._libpq.ExecStatus.COPY_OUT:
                    self._discard_copy(deadline)
            else:
                _wait(self._pgconn.socket, _READ, deadline - monotonic())
                self._pgconn.consume_input()
        return False

    def _discard_copy(self, deadline: float) -> None:
        while monotonic() < deadline:
            length, _line = self._pgconn.get_copy_data(1)
            if length < 0:
                return
            if length == 0:
                _wait(self._pgconn.socket, _READ, deadline - monotonic())
                self._pgconn.consume_input()


def _wait(descriptor: int, events: int, seconds: float) -> None:
    """Wait without regard to cancels, which is what has brought us here."""
    poll = select.poll()
    poll.register(descriptor, events)
    poll.poll(max(0.0, seconds) * 1000)


def _psycopg() -> Any:
    return need("psycopg", extra="postgres", why="read PostgreSQL")
