"""Call coroutines from a plain thread, with penstock's cancellation.

An event loop in a thread of its own, so that it works wherever the caller is, also under a running loop (a notebook).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, final

from penstock.core.cancel import on_cancel

__all__ = ["LoopThread"]

T = TypeVar("T")


@final
class LoopThread:
    """An event loop that runs while the ``with`` block does. Leaving cancels what still runs, and waits for it."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> LoopThread:
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def call(self, operation: Callable[[], Awaitable[T]], *, grace_seconds: float = 0.0) -> T:
        """Run ``operation`` in the loop, block until it has ended, and return its result.

        A cancel of the surrounding scope cancels it, after ``grace_seconds`` in which it may still finish by itself;
        what has finished, counts.

        Raises:
            Cancelled: it was cancelled.
        """
        call = _Call(operation, self._loop, grace_seconds)
        with on_cancel(lambda: self._loop.call_soon_threadsafe(call.cancel_soon)):
            self._loop.call_soon_threadsafe(call.start)
            return call.outcome.result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()


class _Call(Generic[T]):
    """One call. ``outcome`` is set when the task has ended, not when it was told to."""

    def __init__(self, operation: Callable[[], Awaitable[T]], loop: asyncio.AbstractEventLoop, grace: float) -> None:
        self.outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._operation = operation
        self._loop = loop
        self._grace = grace
        self._task: asyncio.Task[T] | None = None
        self._is_cancelled = False

    def start(self) -> None:
        if self._is_cancelled:
            self.outcome.set_exception(concurrent.futures.CancelledError())
            return
        self._task = self._loop.create_task(self._awaited())
        self._task.add_done_callback(self._ended)

    async def _awaited(self) -> T:
        return await self._operation()

    def cancel_soon(self) -> None:
        self._is_cancelled = True
        if self._task is not None:
            self._loop.call_later(self._grace, self._task.cancel)

    def _ended(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.outcome.set_exception(concurrent.futures.CancelledError())
        elif (error := task.exception()) is not None:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(task.result())
