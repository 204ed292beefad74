"""Iterate over what a call hands to a callback: it runs in a thread, which works while the next item is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import TypeVar

from penstock.core.cancel import CancelScope
from penstock.core.channel import ReceiveChannel, SendChannel, channel
from penstock.errors import Cancelled, EndOfChannel

__all__ = ["pulled"]

T = TypeVar("T")


@contextmanager
def pulled(produce: Callable[[Callable[[T], None]], None], name: str) -> Iterator[Generator[T]]:
    """Give an iterator over what ``produce`` hands to the function it is called with.

    That function blocks until the item has been taken and the next one is asked for. So no more than one is under way, and
    it need not be locked what ``produce`` and the iterating thread use in turns. What ``produce`` raises, the iterator
    raises. A cancel of the surrounding scope cancels ``produce``; so does leaving the block, which waits for its end.

    Args:
        produce: called in a thread of its own, in the context and the scope of the caller.
        name: of the thread.
    """
    giving: SendChannel[T]
    given: ReceiveChannel[T]
    giving, given = channel(0)
    asking: SendChannel[None]
    asked: ReceiveChannel[None]
    asking, asked = channel(0)
    scope = CancelScope()

    def hand_over(item: T) -> None:
        giving.send(item)
        del item  # whoever took it decides how long it is there
        asked.receive()

    def run() -> None:
        with suppress(Cancelled), scope:  # if it is cancelled, so is who iterates, or has left
            try:
                produce(hand_over)
            except Exception as exc:  # noqa: BLE001 - the one who iterates raises it
                giving.abort(exc)
            else:
                giving.close()

    def items() -> Generator[T]:
        while True:
            try:
                yield given.receive()
            except EndOfChannel:
                return
            asking.send(None)

    thread = threading.Thread(target=copy_context().run, args=(run,), name=name, daemon=True)
    with given, asking, giving, asked:
        thread.start()
        try:
            yield items()
        finally:
            scope.cancel()
            thread.join()
