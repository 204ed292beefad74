"""Make a PostgreSQL server stop what it does for a connection, and wait until it has.

Nothing here regards cancels, because a cancel is what mostly has led here. Every wait has a time limit.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from penstock._extras import need

if TYPE_CHECKING:
    from psycopg import pq

__all__ = ["QUERY_SECONDS", "UPLOAD_SECONDS", "stop"]

QUERY_SECONDS = 5.0
"""How long to wait for a query to end: one that sends nothing goes on at the server when the connection is just closed."""
UPLOAD_SECONDS = 0.1
"""How long to wait for a COPY of ours to end: the server waits for our data, so closing the connection ends it as well."""

_CANCEL_AGAIN_SECONDS = 0.5
_READ = select.POLLIN
_WRITE = select.POLLOUT


def stop(pgconn: pq.abc.PGconn, seconds: float, settle: Callable[[float], None] | None = None) -> bool:
    """Ask the server to stop until it says that it has, for so many seconds at most; False if it has not.

    Args:
        pgconn: has a statement under way.
        seconds: how long.
        settle: receives the rest of a message that was taken from libpq, until a time on the clock.
    """
    deadline = monotonic() + seconds
    foreign_error = _psycopg().Error
    try:
        while monotonic() < deadline:  # once may not do: a cancel can arrive before the query
            _request_cancel(pgconn, deadline)
            if settle is not None:
                settle(deadline)
                settle = None
            if _is_idle_within(pgconn, min(_CANCEL_AGAIN_SECONDS, seconds)):
                return True
    except (foreign_error, OSError):
        return True  # the connection broke, and with it ends the query
    return False


def _request_cancel(pgconn: pq.abc.PGconn, deadline: float) -> None:
    polling = _psycopg().pq.PollingStatus
    try:
        cancel = pgconn.cancel_conn()
    except _psycopg().NotSupportedError:  # libpq before 17: the same, but blocking
        pgconn.get_cancel().cancel()
        return
    cancel.start()
    try:
        while (status := cancel.poll()) not in {polling.OK, polling.FAILED}:
            _wait(cancel.socket, _READ if status == polling.READING else _WRITE, deadline - monotonic())
            if monotonic() >= deadline:
                return
    finally:
        cancel.finish()


def _is_idle_within(pgconn: pq.abc.PGconn, seconds: float) -> bool:
    """Throw away what the server sends until it is done, for ``seconds`` at most."""
    statuses = _psycopg().pq.ExecStatus
    deadline = monotonic() + seconds
    pgconn.consume_input()  # under TLS what comes next may have left the socket, on which the waits are
    while monotonic() < deadline:
        if pgconn.is_busy():
            _receive(pgconn, deadline)
            continue
        result = pgconn.get_result()
        if result is None:
            return True
        if result.status == statuses.COPY_OUT:
            _discard_copy(pgconn, deadline)
        elif result.status == statuses.COPY_IN:
            _abort_copy(pgconn, deadline)
    return False


def _discard_copy(pgconn: pq.abc.PGconn, deadline: float) -> None:
    while monotonic() < deadline:
        length, _line = pgconn.get_copy_data(1)
        if length < 0:
            return
        if length == 0:
            _receive(pgconn, deadline)


def _abort_copy(pgconn: pq.abc.PGconn, deadline: float) -> None:
    """Tell a server that waits for more data, which no cancel reaches, that there is none."""
    pgconn.put_copy_end(b"the sender has given up")
    while pgconn.flush() and monotonic() < deadline:
        _wait(pgconn.socket, _READ | _WRITE, deadline - monotonic())
        pgconn.consume_input()


def _receive(pgconn: pq.abc.PGconn, deadline: float) -> None:
    _wait(pgconn.socket, _READ, deadline - monotonic())
    pgconn.consume_input()


def _wait(descriptor: int, events: int, seconds: float) -> None:
    poll = select.poll()
    poll.register(descriptor, events)
    poll.poll(max(0.0, seconds) * 1000)


def _psycopg() -> Any:
    return need("psycopg", extra="postgres", why="talk to PostgreSQL")
