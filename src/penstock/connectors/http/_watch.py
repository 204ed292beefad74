"""Notice that a server has answered while we are waiting for data to send to it."""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING, final

from penstock.connectors.http._connection import Connection
from penstock.core.cancel import CancelScope

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["AnswerWatch"]

_ARM = b"a"
_END = b"e"


@final
class AnswerWatch:
    """Reads the data to send, but no longer than until the server answers. Use as a context manager.

    A thread waits for bytes on the socket and cancels the read. Under TLS such bytes may be the protocol's own, which
    only the thread that owns the connection can tell: it looks, and when there is no answer in them, reads on. So
    only a read that a cancel leaves undone or undoes is interrupted, ``read1``; a stream without it is just read.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._scope: CancelScope | None = None
        self._is_alarmed = False
        self._orders, self._order = os.pipe()
        self._thread = threading.Thread(target=self._watch, name="penstock http answer", daemon=True)

    def __enter__(self) -> AnswerWatch:
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        os.write(self._order, _END)
        self._thread.join()
        os.close(self._order)
        os.close(self._orders)

    def read(self, stream: ByteReader, size: int) -> bytes:
        """Read up to ``size`` bytes of ``stream``; ``b""`` at its end, or when the connection is answered."""
        take = getattr(stream, "read1", None)
        if take is None:
            return b"" if self._connection.look_for_answer() else stream.read(size)
        while not self._connection.is_answered:
            with CancelScope() as scope:
                self._scope = scope
                # The thread first sets the alarm and then looks for the scope, here it is the other way round.
                if not self._is_alarmed:
                    data: bytes = take(size)
                    return data
            self._connection.look_for_answer()
            self._is_alarmed = False
            os.write(self._order, _ARM)
        return b""

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._connection.socket.fileno(), select.POLLIN)
        poll.register(self._orders, select.POLLIN)
        while True:
            if self._orders not in dict(poll.poll()):
                self._is_alarmed = True
                if self._scope is not None:
                    self._scope.cancel("the server answered before the end of the data")
            if os.read(self._orders, 1) == _END:
                return
