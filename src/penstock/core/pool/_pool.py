"""``WorkerPool`` itself: an executor whose jobs run in their submitter's context, under a cancel scope."""

from __future__ import annotations

import atexit
import concurrent.futures
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from penstock.core._future import Future
from penstock.core._origin import remember
from penstock.core.cancel import CancelScope, _current, check_cancelled, leave, scope_under
from penstock.core.pool._crew import Crew
from penstock.core.pool._jobs import Job, PoolStatistics
from penstock.core.pool._mapped import Mapped
from penstock.errors import Cancelled

__all__ = ["WorkerPool"]

P = ParamSpec("P")
T = TypeVar("T")


class WorkerPool(concurrent.futures.Executor):
    """At most ``max_workers`` threads that run jobs. Use it as a context manager.

    Workers are started when needed. The one that became idle last is used first, and one that has been idle for
    ``idle_timeout`` seconds ends. A job runs in a copy of its submitter's context, under its submitter's cancel scope.
    An exception of a job is kept on its future; if nobody looks at it, it goes to ``sys.unraisablehook`` when the
    future is dropped.

    Leaving the block waits for every job; leaving it by an exception cancels them first. A cancel or deadline of an
    outer scope reaches the jobs too.

    Args:
        max_workers: how many jobs may run at once.
        max_pending: how many more jobs may be accepted and wait for a worker.
        idle_timeout: seconds that an idle worker is kept.
        name: prefix of the workers' thread names.

    Raises:
        ValueError: ``max_workers`` is below 1, or another number is negative.
    """

    def __init__(
        self, max_workers: int, *, max_pending: int = 0, idle_timeout: float = 10.0, name: str = "pool"
    ) -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers must be at least 1, not {max_workers!r}")
        if max_pending < 0:
            raise ValueError(f"max_pending must be 0 or more, not {max_pending!r}")
        if not idle_timeout >= 0:
            raise ValueError(f"idle_timeout must be 0 s or more, not {idle_timeout!r}")
        self._crew = Crew(self._run, max_workers, max_pending, idle_timeout, name)
        self._scope = CancelScope()
        self._outside: dict[CancelScope, None] = {}  # scopes of jobs that self._scope does not cover
        self._entered = False
        self._cancelled_jobs = False
        _pools.add(self)
        remember(self._crew)

    @property
    def max_workers(self) -> int:
        """How many jobs may run at once. It can be set at any time; surplus workers end after their current job."""
        return self._crew.max_workers

    @max_workers.setter
    def max_workers(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"max_workers must be at least 1, not {value!r}")
        self._crew.resize(value)

    @property
    def running(self) -> int:
        """How many jobs are running now."""
        return self._crew.running

    @property
    def pending(self) -> int:
        """How many jobs have been accepted and not started."""
        return len(self._crew.jobs)

    @property
    def worker_count(self) -> int:
        """How many workers there are, including idle ones."""
        return self._crew.size

    def statistics(self) -> PoolStatistics:
        """Return the pool's counters as they are now."""
        return self._crew.statistics()

    def __repr__(self) -> str:
        crew = self._crew
        return (
            f"<WorkerPool {crew.name!r}: {crew.running} running, {len(crew.jobs)} pending, "
            f"{crew.size} of {crew.max_workers} workers>"
        )

    # -- submitting

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a worker call ``fn(*args, **kwargs)``; block while the pool is full.

        Returns:
            A ``concurrent.futures.Future`` of the result, whose ``result()`` also wakes on a cancel.

        Raises:
            WouldDeadlock: the pool is full and the caller is one of its own workers, which would wait for itself.
            RuntimeError: the pool has been shut down.
            Cancelled: the current scope was cancelled; the job will not run.
        """
        scope = _current.get()
        if scope is not None and scope._alert:
            scope._check()
        job = self._job(fn, args, kwargs, scope)
        try:
            self._crew.submit(job)
        except BaseException:
            self._let_go(job)
            raise
        return job.future

    def try_submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T] | None:
        """Do what ``submit`` does, but return None instead of blocking."""
        job = self._job(fn, args, kwargs, _current.get())
        accepted = False
        try:
            accepted = self._crew.try_submit(job)
        finally:
            if not accepted:
                self._let_go(job)
        return job.future if accepted else None

    def _submit_under(self, scope: CancelScope, fn: Callable[..., T], *args: Any) -> Future[T]:
        """Submit a job that runs under ``scope`` instead of the current one; blocks as ``submit`` does."""
        context = copy_context()
        context.run(_current.set, scope)
        job = Job(fn, args, {}, context, scope, own_scope=False)
        self._crew.submit(job)
        return job.future

    def _job(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], scope: CancelScope | None
    ) -> Job:
        context = copy_context()
        own_scope = False
        if scope is None:
            scope = self._scope
            context.run(_current.set, scope)
        elif scope is not self._scope and not self._covers(scope):
            # Submitted from outside the pool's block: the job listens to its submitter's scope and to the pool.
            scope = scope_under(scope)
            own_scope = True
            self._outside[scope] = None
            context.run(_current.set, scope)
        return Job(fn, args, kwargs, context, scope, own_scope)

    def _covers(self, scope: CancelScope | None) -> bool:
        while scope is not None and not scope._shield:
            if scope is self._scope:
                return True
            scope = scope._parent
        return False

    def _let_go(self, job: Job) -> None:
        """Detach the scope that was made for a job, if any: the job has ended, or will not run."""
        if job.own_scope:
            self._outside.pop(job.scope, None)
            leave(job.scope)

    def _run(self, job: Job) -> None:
        """Run a job and keep its outcome on its future; called by the workers."""
        future = job.future
        if job.scope._interrupted:
            self._cancelled_jobs = True
            future.cancel()
        try:
            if future.set_running_or_notify_cancel():
                future.set_result(job.context.run(job.fn, *job.args, **job.kwargs))
        except Cancelled:
            self._cancelled_jobs = True
            future.set_cancelled()
        except BaseException as exc:  # noqa: BLE001  kept on the future
            future.set_exception(exc)
        finally:
            self._let_go(job)
            del job, future  # the traceback of an exception keeps this frame, and the future the exception

    # -- waiting and ending

    def wait(self, timeout: float | None = None) -> bool:
        """Block until no job is left, including those submitted meanwhile; the pool stays open.

        Args:
            timeout: seconds to wait; None for ever.

        Returns:
            True, or False if ``timeout`` seconds passed first.

        Raises:
            WouldDeadlock: called by one of the pool's own workers.
            Cancelled: the current scope was cancelled.
        """
        return self._crew.wait(timeout)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        ordered: bool = True,
    ) -> Iterator[T]:
        """Call ``fn`` with items of ``iterables`` in the pool, and return an iterator over the results.

        It is lazy: items are taken only as far ahead as ``buffersize``, so the iterables may be endless. The iterator
        blocks while the next result is not ready. Closing or dropping it cancels the jobs it has under way.

        Args:
            fn: called with one item of each iterable.
            iterables: as for the built-in ``map``; the shortest one ends the iteration.
            timeout: seconds from this call within which every result must be ready; None for no limit.
            chunksize: how many calls make one job.
            buffersize: how many jobs may be under way or finished and not yet iterated over. None allows as many as
                the pool accepts: ``max_workers`` + ``max_pending``.
            ordered: True gives results in the order of the items, False in the order in which they are ready.

        Raises:
            DeadlineExceeded: while iterating, if a result was not ready in time.
            Exception: while iterating, whatever ``fn`` raised; that ends the iteration.
            ValueError: ``chunksize`` or ``buffersize`` is below 1.
        """
        return Mapped(self, fn, zip(*iterables), timeout, chunksize, buffersize, ordered)  # noqa: B905  as map does

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs. Idempotent.

        Args:
            wait: block until every job has ended and every worker is gone, even if the current scope is cancelled.
            cancel_futures: cancel the jobs that have not started.
        """
        for job in self._crew.close(drop_jobs=cancel_futures):
            job.future.cancel()
            self._let_go(job)
        if wait:
            self._crew.join(self._scope)

    def __enter__(self) -> WorkerPool:
        if not self._entered:
            self._scope.__enter__()
            self._entered = True
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if exc is not None:
            self._scope.cancel(exc)
            for scope in list(self._outside):
                scope.cancel(exc)
        self.shutdown(wait=True, cancel_futures=exc is not None)
        gave_up = exc is None and self._cancelled_jobs and self._scope._interrupted
        caught = self._scope.__exit__(exc_type, exc, traceback)
        if gave_up:
            check_cancelled()  # an outer scope has cancelled jobs, and with them the block that waited for them
        return caught


_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _finish_at_exit() -> None:
    """Let accepted jobs end before the interpreter does, as concurrent.futures promises its users."""
    for pool in list(_pools):
        pool.shutdown(wait=True)


# Daemon threads are stopped before atexit functions run; this hook runs before that, as ThreadPoolExecutor's does.
getattr(threading, "_register_atexit", atexit.register)(_finish_at_exit)
