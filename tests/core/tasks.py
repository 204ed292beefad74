"""Drive tasks step by step, on asyncio and trio alike, beside the threads of ``tests.core.threads``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import anyio

from tests.core.threads import PATIENCE, Running, all_stacks

__all__ = ["result_of", "until"]

T = TypeVar("T")


async def until(condition: Callable[[], object], *, patience: float = PATIENCE) -> None:
    """``wait_until`` for tasks: let others run until ``condition()`` is true; fail with every stack in the end."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"this state never came within {patience} s\n{all_stacks()}")
        await anyio.sleep(0.0005)


async def result_of(running: Running[T]) -> T:
    """Wait for a thread without blocking the loop; return what its call returned."""
    await until(lambda: running.done)
    return running.result()
