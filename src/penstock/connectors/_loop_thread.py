"""Call coroutines from a plain thread, with penstock's cancellation. For libraries with an asynchronous API.

The event loop runs in a thread of its own, so this works even where another loop is running, as in a notebook.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar, final

from penstock.core.cancel import on_cancel

__all__ = ["LoopThread"]

T = TypeVar("T")
P = ParamSpec("P")

_EXECUTOR_SECONDS = 0.2


@final
class LoopThread:
    """An event loop that runs during a ``with`` block. Leaving the block cancels what still runs, and waits for it.

    Only the look-up of a host's name cannot be interrupted; that is waited for for 0.2 s.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._executor = _Executor(thread_name_prefix=name)
        self._loop.set_default_executor(self._executor)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> LoopThread:
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def call(self, operation: Callable[[], Awaitable[T]], *, grace_seconds: float = 0.0) -> T:
        """Run ``operation`` in the loop, block until it has ended, and return its result.

        A cancel of the surrounding scope cancels it too, after ``grace_seconds`` in which it may still finish. If it has
        finished, its result is returned.

        Raises:
            Cancelled: the operation was cancelled.
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
            self._executor.end(_EXECUTOR_SECONDS)
            self._loop.close()


class _Executor(ThreadPoolExecutor):
    """The executor in whose threads the loop runs blocking calls."""

    def __init__(self, thread_name_prefix: str) -> None:
        super().__init__(thread_name_prefix=thread_name_prefix)
        self._under_way: set[Future[Any]] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def end(self, seconds: float) -> None:
        """Wait up to ``seconds`` for calls under way, and accept no more. A call that takes longer ends by itself."""
        self.shutdown(wait=False, cancel_futures=True)
        left = concurrent.futures.wait(set(self._under_way), seconds).not_done
        self.shutdown(wait=not left)


class _Call(Generic[T]):
    """One call. ``outcome`` is set when the task has ended, not when it was asked to."""

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
