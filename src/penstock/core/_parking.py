"""The one way to wait: park a thread or an event-loop task, wake it, cancel it.

Everything in penstock that waits for another thread does so here. The waiting side registers a waiter where the other
side will find it (under a lock of their own), leaves the lock and parks. The other side changes the state, sets
``done`` and wakes the waiter.

Rules for callers:

* ``park`` may return although nothing has happened (a spurious wake): look at the state again, and park again.
* ``park`` may raise (Cancelled, KeyboardInterrupt, a task's cancellation): withdraw, under the lock. If the operation
  is ``done`` by then, penstock's own ``Cancelled`` is dropped and the operation has succeeded.

A waiter parks on a fresh plain lock, because that is the one blocking primitive that Ctrl-C cannot leave in a wrong
state: ``Condition`` and ``Queue`` were measured to keep their lock held in 0.5-2.4 % of interrupts (docs/design.md).
"""

from __future__ import annotations

import _thread
import math
import sys
from collections.abc import Awaitable
from threading import TIMEOUT_MAX
from time import monotonic
from typing import Any, Protocol, TypeVar

from penstock.core.cancel import _current

__all__ = [
    "TaskWaiter",
    "ThreadWaiter",
    "Turns",
    "Waiter",
    "checkpoint",
    "task_waiter",
    "wait_for",
    "with_deadline",
]

T = TypeVar("T")
_TURNS = 15

# Before 3.14 waiting for a lock on Windows ignores Ctrl-C (cpython#125541), so there one wait is cut into short ones.
_LONGEST_WAIT = 0.1 if sys.platform == "win32" and sys.version_info < (3, 14) else TIMEOUT_MAX


class Waiter(Protocol):
    """A parked thread or task, as the side that wakes it sees it."""

    def wake(self) -> None:
        """Make it look at the state again. May be called from any thread, any number of times, parked or not."""
        ...


class ThreadWaiter:
    """Parks the calling thread."""

    __slots__ = ("_lock", "done")

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()
        self.done = False

    def wake(self) -> None:
        """Make the parked thread look at the state again."""
        try:
            self._lock.release()
        except RuntimeError:
            return  # woken already, and the thread has not looked yet: once is enough

    def park(self, deadline: float = math.inf) -> None:
        """Block until woken, until ``deadline`` (monotonic clock), or until the current scope is cancelled."""
        scope = _current.get()
        if scope is None:
            self._acquire(deadline)
            return
        scope._waiters[self] = None
        try:
            if scope._alert and not self.done:
                scope._check()
                self._acquire(min(deadline, scope._effective_deadline))
            else:
                self._acquire(deadline)
        finally:
            scope._waiters.pop(self, None)
        if scope._alert and not self.done:
            scope._check()

    def _acquire(self, deadline: float) -> None:
        if deadline == math.inf and _LONGEST_WAIT == TIMEOUT_MAX:
            self._lock.acquire()
        else:
            remaining = deadline - monotonic()
            self._lock.acquire(timeout=max(0.0, min(remaining, _LONGEST_WAIT)))


class TaskWaiter(Protocol):
    """Parks the running asyncio or trio task."""

    done: bool

    def wake(self) -> None:
        """Make the parked task look at the state again."""
        ...

    async def park(self) -> None:
        """Suspend until woken or until the current penstock scope is cancelled."""
        ...


class _AsyncioWaiter:
    __slots__ = ("_future", "_loop", "_woken", "done")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._future: Any = None
        self._woken = False
        self.done = False

    def wake(self) -> None:
        if _running_loop() is self._loop:
            self._wake_in_loop()
            return
        try:
            self._loop.call_soon_threadsafe(self._wake_in_loop)
        except RuntimeError:
            return  # the loop is closed, and the task that waited has gone with it

    def _wake_in_loop(self) -> None:
        self._woken = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def park(self) -> None:
        scope = _current.get()
        if scope is None:
            await self._suspend()
            return
        timer = None
        scope._waiters[self] = None
        try:
            if scope._alert and not self.done:
                scope._check()
                remaining = scope._effective_deadline - monotonic()
                if remaining != math.inf:
                    timer = self._loop.call_later(max(0.0, remaining), self._wake_in_loop)
            await self._suspend()
        finally:
            scope._waiters.pop(self, None)
            if timer is not None:
                timer.cancel()
        if scope._alert and not self.done:
            scope._check()

    async def _suspend(self) -> None:
        if not self._woken:
            self._future = self._loop.create_future()
            try:
                await self._future
            finally:
                self._future = None
        self._woken = False


class _TrioWaiter:
    __slots__ = ("_event", "_token", "_trio", "done")

    def __init__(self, trio: Any, token: Any) -> None:
        self._trio = trio
        self._token = token
        self._event = trio.Event()
        self.done = False

    def wake(self) -> None:
        if _trio_token(self._trio) is self._token:
            self._event.set()
            return
        try:
            # A method and not the event's own: the event may have been replaced by the time the loop gets to it.
            self._token.run_sync_soon(self._wake_in_loop, idempotent=True)
        except self._trio.RunFinishedError:
            return  # the run is over, and the task that waited has gone with it

    def _wake_in_loop(self) -> None:
        self._event.set()

    async def park(self) -> None:
        scope = _current.get()
        if scope is None:
            await self._suspend()
            return
        scope._waiters[self] = None
        try:
            remaining = math.inf
            if scope._alert and not self.done:
                scope._check()
                remaining = scope._effective_deadline - monotonic()
            if remaining == math.inf:
                await self._suspend()
            else:
                with self._trio.move_on_after(max(0.0, remaining)):
                    await self._suspend()
        finally:
            scope._waiters.pop(self, None)
        if scope._alert and not self.done:
            scope._check()

    async def _suspend(self) -> None:
        await self._event.wait()
        self._event = self._trio.Event()


def task_waiter() -> TaskWaiter:
    """Make a waiter for the running task, of whichever event loop runs in this thread.

    Raises:
        RuntimeError: no event loop is running in this thread.
    """
    trio = sys.modules.get("trio")
    if trio is not None:
        token = _trio_token(trio)
        if token is not None:
            return _TrioWaiter(trio, token)
    loop = _running_loop()
    if loop is None:
        raise RuntimeError("an .aio operation needs a running asyncio or trio event loop")
    return _AsyncioWaiter(loop)


async def checkpoint() -> None:
    """Yield to the event loop once, so that other tasks can run and this one can be cancelled."""
    scope = _current.get()
    if scope is not None and scope._alert:
        scope._check()
    trio = sys.modules.get("trio")
    if trio is not None and _trio_token(trio) is not None:
        await trio.lowlevel.checkpoint()
    else:
        await _bare_yield


class Turns:
    """Decides when an operation that does not have to wait yields to other tasks first.

    On trio always, as is trio's rule. On asyncio every 16th time, counted anew after each wait: yielding costs a whole
    turn of the loop there, several times what passing an item costs.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = 0

    async def take(self) -> None:
        """Raise if the current penstock scope is cancelled; yield if it is time to."""
        scope = _current.get()
        if scope is not None and scope._alert:
            scope._check()
        self._left -= 1
        trio = sys.modules.get("trio")
        if trio is not None and _trio_token(trio) is not None:
            await trio.lowlevel.checkpoint()
        elif self._left < 0:
            self._left = _TURNS
            await _bare_yield

    def rested(self) -> None:
        """Note that the task has waited, so that other tasks have had their turn."""
        self._left = _TURNS


async def with_deadline(awaitable: Awaitable[T], deadline: float) -> T:
    """Await ``awaitable`` until ``deadline`` (monotonic clock), on whichever event loop runs in this thread.

    Raises:
        TimeoutError: it was not done by then, and has been cancelled.
    """
    remaining = max(0.0, deadline - monotonic())
    trio = sys.modules.get("trio")
    if trio is not None and _trio_token(trio) is not None:
        with trio.move_on_after(remaining) as limit:
            result = await awaitable
        if limit.cancelled_caught:
            raise TimeoutError
        return result
    return await sys.modules["asyncio"].wait_for(awaitable, remaining)  # type: ignore[no-any-return]


class _BareYield:
    """An awaitable that does what ``asyncio.sleep(0)`` does, without a coroutine object."""

    __slots__ = ()

    def __await__(self) -> Any:
        yield


_bare_yield = _BareYield()


def _running_loop() -> Any:
    # An event loop that runs has imported asyncio; importing it here would cost 40 ms where none is wanted.
    asyncio = sys.modules.get("asyncio")
    return asyncio._get_running_loop() if asyncio is not None else None


def _trio_token(trio: Any) -> Any:
    try:
        return trio.lowlevel.current_trio_token()
    except RuntimeError:
        return None


def wait_for(waiter: ThreadWaiter, timeout: float | None) -> bool:
    """Park until ``waiter.done``; return False if ``timeout`` seconds (None: for ever) pass first."""
    deadline = math.inf if timeout is None else monotonic() + timeout
    while not waiter.done:
        if monotonic() >= deadline:
            return False
        waiter.park(deadline)
    return True
