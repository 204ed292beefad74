"""Notice that a server answers while its request is still being sent."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from penstock.connectors._http_connection import Connection
from penstock.core.cancel import CancelScope

__all__ = ["EarlyAnswer", "noticing_early_answer"]


class EarlyAnswer(Protocol):
    """Whether the server has said something already."""

    @property
    def answered(self) -> bool:
        """True once there is something to read from the server, be it the end of the connection."""
        ...


@contextmanager
def noticing_early_answer(connection: Connection) -> Iterator[EarlyAnswer]:
    """Leave the block at once, also out of a blocked read or write in it, when the server answers.

    Bytes on a plain socket are the answer, so a thread waits for them and cancels the block. Under TLS they may be
    the protocol's own, and only the thread that sends may look; the block must ask ``answered`` itself.
    """
    if connection.is_encrypted:
        yield _Asking(connection)
        return
    with CancelScope() as scope, _watching(connection.socket.fileno(), scope):
        yield _Watched(scope)


class _Asking:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def answered(self) -> bool:
        return self._connection.has_answer()


class _Watched:
    def __init__(self, scope: CancelScope) -> None:
        self._scope = scope

    @property
    def answered(self) -> bool:
        return self._scope.cancel_called


@contextmanager
def _watching(descriptor: int, scope: CancelScope) -> Iterator[None]:
    """Cancel ``scope`` when ``descriptor`` becomes readable; the thread ends with the block."""
    ended, end = os.pipe()
    thread = threading.Thread(
        target=_cancel_when_readable, args=(descriptor, ended, scope), name="penstock http answer", daemon=True
    )
    try:
        thread.start()
        try:
            yield
        finally:
            os.write(end, b"!")
            thread.join()
    finally:
        os.close(ended)
        os.close(end)


def _cancel_when_readable(descriptor: int, ended: int, scope: CancelScope) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.register(ended, select.POLLIN)
    if ended not in dict(poll.poll()):
        scope.cancel("the server answered before the end of the data")
