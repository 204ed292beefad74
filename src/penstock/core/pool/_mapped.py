"""The iterator that ``WorkerPool.map`` returns: it submits jobs as its results are taken, never further ahead."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from penstock.core._future import Future
from penstock.core._parking import ThreadWaiter, wait_for
from penstock.core.cancel import check_cancelled, current_scope, leave, scope_under
from penstock.errors import DeadlineExceeded

if TYPE_CHECKING:
    from penstock.core.pool._pool import WorkerPool

__all__ = ["Mapped"]

T = TypeVar("T")


class Mapped(Generic[T]):
    """An iterator over the results of calls made in a pool.

    ``close()``, an exception, or dropping the iterator cancels the scope that its jobs run under.
    """

    def __init__(
        self,
        pool: WorkerPool,
        fn: Callable[..., T],
        arguments: Iterator[tuple[Any, ...]],
        timeout: float | None,
        chunksize: int,
        buffersize: int | None,
        ordered: bool,
    ) -> None:
        if chunksize < 1:
            raise ValueError(f"chunksize must be at least 1, not {chunksize!r}")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize must be at least 1 or None, not {buffersize!r}")
        self._pool = pool
        self._fn = fn
        self._arguments = arguments
        self._deadline = None if timeout is None else monotonic() + timeout
        self._chunksize = chunksize
        self._window = buffersize or pool._crew.limit
        self._ordered = ordered
        self._scope = scope_under(current_scope() or pool._scope)
        self._under_way: deque[Future[list[T]]] = deque()
        self._finished: deque[Future[list[T]]] = deque()  # of an unordered map, as they end
        self._bell = ThreadWaiter()
        self._results: deque[T] = deque()
        self._exhausted = False
        self._closed = False
        self._fill(block=False)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            while not self._results:
                self._fill(block=not self._under_way)
                if not self._under_way:
                    raise StopIteration
                self._results.extend(self._next_finished().result(self._remaining()))
            return self._results.popleft()
        except BaseException:
            self.close()
            raise

    def _fill(self, *, block: bool) -> None:
        """Submit jobs up to the window; with ``block``, at least one, even if the pool makes us wait for room."""
        while not (self._exhausted or self._closed) and len(self._under_way) < self._window:
            if not block and self._pool._crew.active >= self._pool._crew.limit:
                return
            chunk = list(itertools.islice(self._arguments, self._chunksize))
            if not chunk:
                self._exhausted = True
                return
            future = self._pool._submit_under(self._scope, _call_each, self._fn, chunk)
            self._under_way.append(future)
            if not self._ordered:
                future.add_done_callback(self._note_finished)  # type: ignore[arg-type]
            block = False

    def _note_finished(self, future: Future[list[T]]) -> None:
        self._finished.append(future)
        self._bell.done = True
        self._bell.wake()

    def _next_finished(self) -> Future[list[T]]:
        if self._ordered:
            return self._under_way.popleft()
        while not self._finished:
            self._bell.done = bool(self._finished)
            if not wait_for(self._bell, self._remaining()):
                raise DeadlineExceeded("no result in time")
        self._bell.done = False
        future = self._finished.popleft()
        self._under_way.remove(future)
        return future

    def _remaining(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - monotonic())

    def close(self) -> None:
        """Cancel the jobs under way. Idempotent; does not wait for them to end."""
        if not self._closed:
            self._closed = True
            self._scope.cancel("the results of map() are not wanted any more")
            for future in self._under_way:
                future.cancel()
                future.observe()
            self._under_way.clear()
            leave(self._scope)

    def __del__(self) -> None:
        # A finalizer takes no lock, so it does not touch the futures: their scope is enough to stop the jobs.
        if not getattr(self, "_closed", True):
            self._closed = True
            self._scope.cancel("the iterator of map() was dropped")
            leave(self._scope)


def _call_each(fn: Callable[..., T], chunk: list[tuple[Any, ...]]) -> list[T]:
    results = []
    for arguments in chunk:
        check_cancelled()
        results.append(fn(*arguments))
    return results
