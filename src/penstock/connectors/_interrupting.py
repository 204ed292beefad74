"""Interrupt calls of an embedded database, which runs in this process and so has no connection that could be cut."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from penstock.core.cancel import on_cancel

__all__ = ["interrupting"]

_AGAIN_SECONDS = 0.01


@contextmanager
def interrupting(interrupt: Callable[[], object]) -> Iterator[None]:
    """Call ``interrupt`` when the surrounding scope is cancelled while the block runs.

    An interrupt only affects a statement that is running at that moment, and the block may be between two of them. So it
    is repeated until the block has ended.
    """
    in_block = threading.Lock()
    in_block.acquire()  # before anybody can cancel, and let go before on_cancel() waits for its callback

    def interrupt_until_left() -> None:
        interrupt()
        while not in_block.acquire(timeout=_AGAIN_SECONDS):
            interrupt()
        in_block.release()

    with on_cancel(interrupt_until_left):
        try:
            yield
        finally:
            in_block.release()
