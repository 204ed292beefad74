"""The pool: workers, the jobs accepted and not begun, and the submitters that wait for room."""

from __future__ import annotations

import _thread
import atexit
import concurrent.futures
import threading
import weakref
from _thread import get_ident
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from time import monotonic
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from penstock.core._future import Future
from penstock.core._origin import remember
from penstock.core._parking import ThreadWaiter, wait_for
from penstock.core._threads import report_stuck, wait_for_end
from penstock.core.cancel import CancelScope, _current, check_cancelled, leave, scope_under
from penstock.core.pool._jobs import Job, PoolStatistics, Submission
from penstock.core.pool._mapped import Mapped
from penstock.errors import Cancelled, ForkedError, WouldDeadlock

__all__ = ["PoolStatistics", "WorkerPool"]

P = ParamSpec("P")
T = TypeVar("T")


class WorkerPool(concurrent.futures.Executor):
    """At most ``max_workers`` threads that run jobs; use as a context manager.

    Workers are started when needed, the last one that became idle is used first, and one that has been idle for
    ``idle_timeout`` seconds ends. A job runs in a copy of its submitter's context, under its submitter's cancel
    scope. Its exception is on its future; one that nobody looks at is reported when the future is dropped.

    Leaving the block waits for every job; leaving it by an exception cancels them first. A cancel or deadline from
    outside reaches the jobs, too.

    Args:
        max_workers: how many jobs may run at once.
        max_pending: how many more may have been accepted and wait for a worker.
        idle_timeout: seconds an idle worker is kept.
        name: prefix of the workers' thread names.
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
        self._mutex = _thread.allocate_lock()
        self._max_workers = max_workers
        self._max_pending = max_pending
        self._idle_timeout = idle_timeout
        self._name = name
        self._jobs: deque[Job] = deque()  # accepted and not begun
        self._submissions: deque[Submission] = deque()
        self._active = 0  # accepted and not ended
        self._idle: list[ThreadWaiter] = []  # last in, first out: the rest get to retire
        self._workers: dict[int, threading.Thread] = {}
        # Workers on their way, by what they park on: woken or started, and not yet come to look for a job. Sets, not
        # counters: an interrupt in the middle of starting a worker may have it taken out twice.
        self._arriving: set[ThreadWaiter] = set()
        self._starting: dict[ThreadWaiter, threading.Thread | None] = {}
        self._worker_number = 0
        self._submitted = 0
        self._completed = 0
        self._drained: list[ThreadWaiter] = []  # who waits for _active == 0
        self._ended: list[ThreadWaiter] = []  # who waits for the workers to be gone
        self._shut = False
        self._forked = False
        self._scope = CancelScope()
        self._outside: dict[CancelScope, None] = {}  # scopes of jobs that self._scope does not cover
        self._entered = False
        self._cancelled_jobs = False
        _pools.add(self)
        remember(self)

    # -- looking

    @property
    def max_workers(self) -> int:
        """How many jobs may run at once. May be set at any time; surplus workers end after their current job."""
        return self._max_workers

    @max_workers.setter
    def max_workers(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"max_workers must be at least 1, not {value!r}")
        with self._mutex:
            self._max_workers = value
            self._admit()
            newcomer = self._muster()
            for waiter in self._idle:
                waiter.wake()
        if newcomer is not None:
            self._start_worker(newcomer)

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return self._active - len(self._jobs)

    @property
    def pending(self) -> int:
        """How many jobs have been accepted and not begun."""
        return len(self._jobs)

    @property
    def worker_count(self) -> int:
        """How many workers there are, idle ones included."""
        return len(self._workers) + len(self._starting)

    def statistics(self) -> PoolStatistics:
        """Return the pool's counters as they are now."""
        with self._mutex:
            return PoolStatistics(
                max_workers=self._max_workers,
                worker_count=self.worker_count,
                running=self.running,
                pending=self.pending,
                submitters_waiting=len(self._submissions),
                submitted=self._submitted,
                completed=self._completed,
            )

    def __repr__(self) -> str:
        return (
            f"<WorkerPool {self._name!r}: {self.running} running, {self.pending} pending, "
            f"{self.worker_count} of {self._max_workers} workers>"
        )

    # -- submitting

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a worker call ``fn(*args, **kwargs)``; block while the pool is full.

        Raises:
            WouldDeadlock: the pool is full and this is one of its own workers, which would wait for itself.
            RuntimeError: the pool has been shut down.
            Cancelled: the current scope was cancelled; the job will not run.
        """
        scope = _current.get()
        if scope is not None and scope._alert:
            scope._check()
        return self._submit(self._job(fn, args, kwargs, scope))

    def _submit(self, job: Job) -> Future[Any]:
        submission = None
        try:
            newcomer = None
            with self._mutex:
                self._raise_if_unusable()
                if self._has_room():
                    newcomer = self._accept(job)
                elif get_ident() in self._workers:
                    raise WouldDeadlock(
                        f"{self!r} is full, and a job of its own submits to it: it would wait for itself; "
                        "give the pool max_pending, or use another pool"
                    )
                else:
                    submission = Submission(job, ThreadWaiter())
                    self._submissions.append(submission)
            if newcomer is not None:
                self._start_worker(newcomer)
            while submission is not None and not submission.waiter.done:
                submission.waiter.park()
                if not submission.waiter.done:
                    with self._mutex:
                        self._raise_if_unusable()
        except BaseException as exc:
            if submission is None:
                self._undo(job)
                raise
            if not self._withdraw(submission, exc):
                raise
        return job.future

    def _undo(self, job: Job) -> None:
        """Take back a job whose ``submit`` fails, and whatever an interrupt has left of starting a worker for it."""
        with self._mutex:
            for waiter, thread in list(self._starting.items()):
                if thread is None or thread.ident is None:
                    del self._starting[waiter]
                    self._arriving.discard(waiter)
            if job in self._jobs:
                self._jobs.remove(job)
                self._note_finished()

    def try_submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T] | None:
        """As ``submit``, but return None where that would block."""
        return self._try(self._job(fn, args, kwargs, _current.get()))

    def _try(self, job: Job) -> Future[Any] | None:
        with self._mutex:
            self._raise_if_unusable()
            if self._active >= self._max_workers + self._max_pending:
                return None
            newcomer = self._accept(job)
        if newcomer is not None:
            self._start_worker(newcomer)
        return job.future

    def _submit_under(self, scope: CancelScope, fn: Callable[..., T], *args: Any) -> Future[T]:
        """Submit a job that runs under ``scope`` instead of the current one; blocks as ``submit`` does."""
        context = copy_context()
        context.run(_current.set, scope)
        return self._submit(Job(fn, args, {}, context, scope, own_scope=False))

    def _has_room(self) -> bool:
        return self._active < self._max_workers + self._max_pending

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

    def _raise_if_unusable(self) -> None:
        if self._forked:
            raise ForkedError(f"pool {self._name!r} was made before a fork and belongs to the parent process")
        if self._shut:
            raise RuntimeError(f"cannot submit to pool {self._name!r} after shutdown")

    def _withdraw(self, submission: Submission, exc: BaseException) -> bool:
        """Take back a blocked submit; True if its job has been accepted after all and ``exc`` may be dropped."""
        submission.withdrawn = True
        with self._mutex:
            if submission.waiter.done:
                return isinstance(exc, Cancelled)
            if submission in self._submissions:
                self._submissions.remove(submission)
        return False

    # -- under the mutex

    def _accept(self, job: Job) -> ThreadWaiter | None:
        """Take a job in; return the worker, if any, that the caller has to start once it has left the mutex."""
        self._jobs.append(job)
        self._active += 1
        self._submitted += 1
        return self._muster()

    def _muster(self) -> ThreadWaiter | None:
        """See to it that some worker is on its way to the waiting jobs; return one that has to be started.

        One at a time: each that arrives sends for the next while there are jobs. A burst of tiny jobs is then done
        by few workers and few thread switches, a burst of slow ones still gets them all.
        """
        if not self._jobs or self._arriving:
            return None
        if self._idle:
            waiter = self._idle[-1]
            self._arriving.add(waiter)
            waiter.wake()
            self._idle.pop()  # last: an interrupt before it leaves a worker that finds itself here
            return None
        if self.worker_count < self._max_workers:
            waiter = ThreadWaiter()
            self._starting[waiter] = None
            self._arriving.add(waiter)
            return waiter
        return None

    def _admit(self) -> None:
        """Let waiting submitters in as far as there is room."""
        while not self._shut and self._submissions and self._active < self._max_workers + self._max_pending:
            submission = self._submissions[0]
            if not submission.withdrawn:
                self._jobs.append(submission.job)
                self._active += 1
                self._submitted += 1
                submission.waiter.done = True
                submission.waiter.wake()
            self._submissions.popleft()

    # -- workers

    def _start_worker(self, waiter: ThreadWaiter) -> None:
        self._worker_number += 1
        name = f"{self._name}-{self._worker_number}"
        thread = threading.Thread(target=self._work, args=(waiter,), name=name, daemon=True)
        self._starting[waiter] = thread
        try:
            thread.start()
        except RuntimeError:
            with self._mutex:
                self._starting.pop(waiter, None)
                self._arriving.discard(waiter)
                if self._workers or self._starting:
                    return  # no more threads to be had: those that are there will come to the job
            raise

    def _work(self, waiter: ThreadWaiter) -> None:
        _current.set(None)  # some builds start threads in a copy of the starter's context; idling is under no scope
        ident = get_ident()
        with self._mutex:
            self._starting.pop(waiter, None)
            self._workers[ident] = threading.current_thread()
        try:
            job = self._next_job(waiter, finished=False)
            while job is not None:
                self._run(job)
                del job  # or the idle worker would keep its arguments and its result alive
                job = self._next_job(waiter, finished=True)
        finally:
            with self._mutex:
                self._workers.pop(ident, None)
                if not self._workers and not self._starting:
                    _release(self._ended)

    def _next_job(self, waiter: ThreadWaiter, *, finished: bool) -> Job | None:
        """Note that a job has ended, if one has, and return the next; None when this worker is to end."""
        idle_until: float | None = None
        while True:
            newcomer = None
            with self._mutex:
                if finished:
                    self._note_finished()
                    finished = False
                job, stay = self._look_for_job(waiter, idle_until)
                if job is not None:
                    newcomer = self._muster()
            if newcomer is not None:
                self._start_worker(newcomer)
            if job is not None or not stay:
                return job
            if idle_until is None:
                idle_until = monotonic() + self._idle_timeout
            waiter.park(idle_until)

    def _look_for_job(self, waiter: ThreadWaiter, idle_until: float | None) -> tuple[Job | None, bool]:
        """Return a job if there is one, else whether to stay as an idle worker. Under the mutex."""
        self._arriving.discard(waiter)
        if idle_until is not None and waiter in self._idle:  # woken by the clock, or by a change of the pool
            self._idle.remove(waiter)
        if len(self._workers) > self._max_workers:
            self._muster()  # the job it may have been woken for is another's now
            return None, False
        if self._jobs:
            return self._jobs.popleft(), True
        if self._shut or (idle_until is not None and monotonic() >= idle_until):
            return None, False
        self._idle.append(waiter)
        return None, True

    def _note_finished(self) -> None:
        self._active -= 1
        self._completed += 1
        if self._submissions:
            self._admit()
        if self._active == 0 and self._drained:
            _release(self._drained)

    def _run(self, job: Job) -> None:
        future = job.future
        scope = job.scope
        if scope is not None and scope._interrupted:
            future.cancel()
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = job.context.run(job.fn, *job.args, **job.kwargs)
        except Cancelled:
            self._cancelled_jobs = True
            future.set_cancelled()
        except BaseException as exc:  # noqa: BLE001  kept on the future
            future.set_exception(exc)
            del exc
        else:
            future.set_result(result)
        finally:
            if job.own_scope and scope is not None:
                self._outside.pop(scope, None)
                leave(scope)
            del job, future  # the traceback of an exception keeps this frame, and the future the exception

    # -- waiting and ending

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every job submitted so far has ended; False if ``timeout`` seconds pass first.

        The pool stays open.

        Raises:
            WouldDeadlock: called by one of the pool's own workers.
            Cancelled: the current scope was cancelled.
        """
        if get_ident() in self._workers:
            raise WouldDeadlock(f"a job of {self!r} waits for all its jobs, itself included")
        waiter = ThreadWaiter()
        with self._mutex:
            if self._active == 0 and not self._submissions:
                return True
            self._drained.append(waiter)
        try:
            return wait_for(waiter, timeout)
        finally:
            with self._mutex:
                if waiter in self._drained:
                    self._drained.remove(waiter)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        ordered: bool = True,
    ) -> Iterator[T]:
        """Call ``fn`` with items of ``iterables`` in the pool and iterate over the results.

        Lazy: takes items only as far ahead as ``buffersize``, so the iterables may be endless. Giving up the
        iterator cancels what it has under way.

        Args:
            fn: called with one item of each iterable.
            iterables: as for the built-in ``map``; the shortest ends it.
            timeout: seconds from this call within which every result must be there.
            chunksize: how many calls make one job.
            buffersize: how many jobs may be under way or wait to be iterated over; by default as many as the pool
                accepts.
            ordered: results in the order of the items; False, in the order in which they are ready.

        Raises:
            DeadlineExceeded: while iterating, a result was not there in time.
            Exception: while iterating, whatever ``fn`` raised; that ends the iteration.
        """
        return Mapped(self, fn, zip(*iterables), timeout, chunksize, buffersize, ordered)  # noqa: B905  as map does

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs; idempotent.

        Args:
            wait: block until every job has ended and every worker is gone, whatever happens to the current scope.
            cancel_futures: cancel the jobs that have not begun.
        """
        with self._mutex:
            self._shut = True
            dropped = list(self._jobs) if cancel_futures else []
            if cancel_futures:
                self._jobs.clear()
                self._active -= len(dropped)
                self._completed += len(dropped)
            for submission in self._submissions:
                submission.waiter.wake()
            for waiter in self._idle:
                waiter.wake()
            if self._active == 0:
                _release(self._drained)
        for job in dropped:
            job.future.cancel()
        if wait and get_ident() not in self._workers:
            self._join()

    def _join(self) -> None:
        waiter = ThreadWaiter()
        with self._mutex:
            if self._forked or not (self._workers or self._starting):
                return
            threads = list(self._workers.values())
            self._ended.append(waiter)
        wait_for_end(waiter, self._scope, self._report_stuck)
        for thread in threads:
            thread.join()

    def _report_stuck(self, seconds: float) -> None:
        for thread in list(self._workers.values()):
            report_stuck(thread, seconds)

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
            check_cancelled()  # jobs were cancelled from outside, and so is whoever waited for them
        return caught

    def after_fork_in_child(self) -> None:
        """Become unusable: the workers do not exist in this process."""
        self._mutex = _thread.allocate_lock()
        self._forked = self._shut = True
        self._workers.clear()
        self._jobs.clear()
        self._submissions.clear()
        self._idle.clear()
        self._starting.clear()
        self._arriving.clear()
        self._active = 0


def _release(waiters: list[ThreadWaiter]) -> None:
    for waiter in waiters:
        waiter.done = True
        waiter.wake()
    waiters.clear()


_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _finish_at_exit() -> None:
    """Let accepted jobs end before the interpreter does, as concurrent.futures promises its users."""
    for pool in list(_pools):
        pool.shutdown(wait=True)


# Daemon threads are stopped before atexit functions run; this hook runs before that, as ThreadPoolExecutor's does.
getattr(threading, "_register_atexit", atexit.register)(_finish_at_exit)
