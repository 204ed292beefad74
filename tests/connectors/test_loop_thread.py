"""An event loop in a thread of its own: whatever happens in it, nothing of it is left."""

from __future__ import annotations

import asyncio
import threading

import pytest

from penstock.connectors._loop_thread import LoopThread
from penstock.core.cancel import move_on_after
from penstock.leaks import leakcheck

NAME = "loop of a test"


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(NAME)]


async def blocked(begun: threading.Event, seconds: float) -> None:
    def block() -> None:
        begun.set()
        threading.Event().wait(seconds)

    await asyncio.get_running_loop().run_in_executor(None, block)


def test_what_blocks_in_its_executor_is_waited_for() -> None:
    """A look-up of a name goes on after it was cancelled: its thread must not outlive the block."""
    begun = threading.Event()
    with leakcheck(), LoopThread(NAME) as loop, move_on_after(0.05):
        loop.call(lambda: blocked(begun, 0.1))
    assert begun.is_set()
    assert threads() == []


def test_what_does_not_end_is_not_waited_for_for_long() -> None:
    """A cancel has a quarter of a second in all."""
    begun = threading.Event()
    with LoopThread(NAME) as loop, move_on_after(0.05) as scope:
        loop.call(lambda: blocked(begun, 1.0))
    assert scope.cancelled_caught
    assert len(threads()) == 1, "it has ended, so the test shows nothing"
    for thread in threading.enumerate():
        if thread.name.startswith(NAME):
            thread.join(10)
    assert threads() == []


def test_what_an_operation_raises_is_raised() -> None:
    """As it is."""

    async def failing() -> None:
        raise ValueError("no")

    with LoopThread(NAME) as loop, pytest.raises(ValueError, match="no"):
        loop.call(failing)
    assert threads() == []
