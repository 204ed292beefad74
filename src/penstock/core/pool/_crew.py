"""The workers of a pool, its queue of jobs, and the submitters that wait for room: what brings jobs to workers.

It knows nothing of contexts and futures, which belong to ``_pool``.
"""

from __future__ import annotations

import _thread
import threading
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from time import monotonic

from penstock.core._parking import ThreadWaiter, wait_for
from penstock.core._threads import report_stuck, wait_for_end
from penstock.core.cancel import CancelScope, _current
from penstock.core.pool._jobs import Job, PoolStatistics, Submission
from penstock.errors import Cancelled, ForkedError, WouldDeadlock

__all__ = ["Crew"]


class Crew:
    """At most ``max_workers`` threads that call ``run(job)``; see ``WorkerPool`` for the rules.

    Methods whose docstring ends with "under the mutex" are called with it held.
    """

    def __init__(
        self, run: Callable[[Job], None], max_workers: int, max_pending: int, idle_timeout: float, name: str
    ) -> None:
        self.mutex = _thread.allocate_lock()
        self.max_workers = max_workers
        self.max_pending = max_pending
        self.idle_timeout = idle_timeout
        self.name = name
        self.jobs: deque[Job] = deque()  # accepted and not started
        self.submissions: deque[Submission] = deque()
        self.active = 0  # accepted and not ended
        self.submitted = 0
        self.completed = 0
        self.idle: list[ThreadWaiter] = []  # last in, first out, so that the others can time out and end
        self.workers: dict[int, threading.Thread] = {}
        # Workers on their way (woken or started, but not yet looking for a job), by what they park on. Sets and not
        # counters, because after an interrupt in the middle of starting a worker it may be taken out twice.
        self.arriving: set[ThreadWaiter] = set()
        self.starting: dict[ThreadWaiter, threading.Thread | None] = {}
        self._run = run
        self._started = 0
        self._drained: list[ThreadWaiter] = []  # who waits for `active` to be 0
        self._ended: list[ThreadWaiter] = []  # who waits for the workers to be gone
        self._shut = False
        self._forked = False

    @property
    def limit(self) -> int:
        """How many jobs may have been accepted and not ended."""
        return self.max_workers + self.max_pending

    @property
    def size(self) -> int:
        """How many workers there are, those about to be included."""
        return len(self.workers) + len(self.starting)

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return self.active - len(self.jobs)

    def statistics(self) -> PoolStatistics:
        """Return the counters as they are now."""
        with self.mutex:
            return PoolStatistics(
                max_workers=self.max_workers,
                worker_count=self.size,
                running=self.running,
                pending=len(self.jobs),
                submitters_waiting=len(self.submissions),
                submitted=self.submitted,
                completed=self.completed,
            )

    def resize(self, max_workers: int) -> None:
        """Allow another number of workers from now on."""
        with self.mutex:
            self.max_workers = max_workers
            self._admit()
            newcomer = self._muster()
            for waiter in self.idle:
                waiter.wake()
        if newcomer is not None:
            self._start_worker(newcomer)

    # -- taking jobs in

    def submit(self, job: Job) -> None:
        """Take ``job`` in; block while there is no room."""
        submission = None
        try:
            newcomer = None
            with self.mutex:
                self._raise_if_unusable()
                if self.active < self.limit:
                    newcomer = self._accept(job)
                else:
                    self._raise_if_own_worker()
                    submission = Submission(job, ThreadWaiter())
                    self.submissions.append(submission)
            if newcomer is not None:
                self._start_worker(newcomer)
            while submission is not None and not submission.waiter.done:
                submission.waiter.park()
                if not submission.waiter.done:
                    with self.mutex:
                        self._raise_if_unusable()
        except BaseException as exc:
            if submission is None:
                self._undo(job)
                raise
            if not self._withdraw(submission, exc):
                raise

    def try_submit(self, job: Job) -> bool:
        """Take ``job`` in if there is room."""
        with self.mutex:
            self._raise_if_unusable()
            if self.active >= self.limit:
                return False
            newcomer = self._accept(job)
        if newcomer is not None:
            self._start_worker(newcomer)
        return True

    def _raise_if_unusable(self) -> None:
        if self._forked:
            raise ForkedError(f"pool {self.name!r} was made before a fork and belongs to the parent process")
        if self._shut:
            raise RuntimeError(f"cannot submit to pool {self.name!r} after shutdown")

    def _raise_if_own_worker(self) -> None:
        if get_ident() in self.workers:
            raise WouldDeadlock(
                f"pool {self.name!r} is full, and a job of its own submits to it: it would wait for itself; "
                "give the pool max_pending, or use another pool"
            )

    def _undo(self, job: Job) -> None:
        """Take back a job whose ``submit`` fails, and clean up after an interrupted attempt to start a worker for it."""
        with self.mutex:
            for waiter, thread in list(self.starting.items()):
                if thread is None or thread.ident is None:
                    del self.starting[waiter]
                    self.arriving.discard(waiter)
            if job in self.jobs:
                self.jobs.remove(job)
                self._note_finished()

    def _withdraw(self, submission: Submission, exc: BaseException) -> bool:
        """Take back a blocked submit; True if its job has been accepted after all and ``exc`` may be dropped."""
        submission.withdrawn = True
        with self.mutex:
            if submission.waiter.done:
                return isinstance(exc, Cancelled)
            if submission in self.submissions:
                self.submissions.remove(submission)
        return False

    def _accept(self, job: Job) -> ThreadWaiter | None:
        """Take a job in; return the worker to start, if any, once the mutex is left. Under the mutex."""
        self.jobs.append(job)
        self.active += 1
        self.submitted += 1
        return self._muster()

    def _admit(self) -> None:
        """Let waiting submitters in as far as there is room. Under the mutex."""
        while not self._shut and self.submissions and self.active < self.limit:
            submission = self.submissions[0]
            if not submission.withdrawn:
                self.jobs.append(submission.job)
                self.active += 1
                self.submitted += 1
                submission.waiter.done = True
                submission.waiter.wake()
            self.submissions.popleft()

    # -- bringing them to workers

    def _muster(self) -> ThreadWaiter | None:
        """Make sure that a worker is on its way to the waiting jobs; return one if it has to be started. Under the mutex.

        Only one at a time: each that arrives calls the next while there are jobs. So a burst of tiny jobs is done by few
        workers with few thread switches, while a burst of slow ones still gets all workers.
        """
        if not self.jobs or self.arriving:
            return None
        if self.idle:
            waiter = self.idle[-1]
            self.arriving.add(waiter)
            waiter.wake()
            self.idle.pop()  # last: an interrupt before it leaves a worker that finds itself here
            return None
        if self.size < self.max_workers:
            waiter = ThreadWaiter()
            self.starting[waiter] = None
            self.arriving.add(waiter)
            return waiter
        return None

    def _start_worker(self, waiter: ThreadWaiter) -> None:
        self._started += 1
        name = f"{self.name}-{self._started}"
        thread = threading.Thread(target=self._work, args=(waiter,), name=name, daemon=True)
        self.starting[waiter] = thread
        try:
            thread.start()
        except RuntimeError:
            with self.mutex:
                self.starting.pop(waiter, None)
                self.arriving.discard(waiter)
                if self.workers or self.starting:
                    return  # no more threads to be had: those that are there will come to the job
            raise

    def _work(self, waiter: ThreadWaiter) -> None:
        _current.set(None)  # some builds start threads in a copy of the starter's context; idling is under no scope
        ident = get_ident()
        with self.mutex:
            self.starting.pop(waiter, None)
            self.workers[ident] = threading.current_thread()
        try:
            job = self._next_job(waiter, finished=False)
            while job is not None:
                self._run(job)
                del job  # or the idle worker would keep its arguments and its result alive
                job = self._next_job(waiter, finished=True)
        finally:
            with self.mutex:
                self.workers.pop(ident, None)
                if not self.workers and not self.starting:
                    _release(self._ended)

    def _next_job(self, waiter: ThreadWaiter, *, finished: bool) -> Job | None:
        """Note that a job has ended, if one has, and return the next; None when this worker is to end."""
        idle_until: float | None = None
        while True:
            newcomer = None
            with self.mutex:
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
                idle_until = monotonic() + self.idle_timeout
            waiter.park(idle_until)

    def _look_for_job(self, waiter: ThreadWaiter, idle_until: float | None) -> tuple[Job | None, bool]:
        """Return a job if there is one, else whether to stay as an idle worker. Under the mutex."""
        self.arriving.discard(waiter)
        if idle_until is not None and waiter in self.idle:  # woken by the clock, or by a change of the pool
            self.idle.remove(waiter)
        if len(self.workers) > self.max_workers:
            self._muster()  # a job it may have been woken for needs another worker now
            return None, False
        if self.jobs:
            return self.jobs.popleft(), True
        if self._shut or (idle_until is not None and monotonic() >= idle_until):
            return None, False
        self.idle.append(waiter)
        return None, True

    def _note_finished(self) -> None:
        """Count a job that has ended. Under the mutex."""
        self.active -= 1
        self.completed += 1
        if self.submissions:
            self._admit()
        if self.active == 0 and self._drained:
            _release(self._drained)

    # -- waiting and ending

    def wait(self, timeout: float | None) -> bool:
        """Wait until no job is left; False if ``timeout`` seconds pass first."""
        if get_ident() in self.workers:
            raise WouldDeadlock(f"a job of pool {self.name!r} waits for all its jobs, itself included")
        waiter = ThreadWaiter()
        with self.mutex:
            if self.active == 0 and not self.submissions:
                return True
            self._drained.append(waiter)
        try:
            return wait_for(waiter, timeout)
        finally:
            with self.mutex:
                if waiter in self._drained:
                    self._drained.remove(waiter)

    def close(self, *, drop_jobs: bool) -> list[Job]:
        """Take no more jobs in; with ``drop_jobs``, return those not begun, which nobody will run."""
        with self.mutex:
            self._shut = True
            dropped = list(self.jobs) if drop_jobs else []
            if drop_jobs:
                self.jobs.clear()
                self.active -= len(dropped)
                self.completed += len(dropped)
            for submission in self.submissions:
                submission.waiter.wake()
            for waiter in self.idle:
                waiter.wake()
            if self.active == 0:
                _release(self._drained)
        return dropped

    def join(self, scope: CancelScope) -> None:
        """Wait until every worker has gone; log those that do not end although ``scope`` was cancelled.

        Does nothing in a worker, which cannot wait for itself.
        """
        waiter = ThreadWaiter()
        with self.mutex:
            if self._forked or get_ident() in self.workers or self.size == 0:
                return
            threads = list(self.workers.values())
            self._ended.append(waiter)
        wait_for_end(waiter, scope, self._report_stuck)
        for thread in threads:
            thread.join()

    def _report_stuck(self, seconds: float) -> None:
        for thread in list(self.workers.values()):
            report_stuck(thread, seconds)

    def after_fork_in_child(self) -> None:
        """Become unusable: the workers do not exist in this process."""
        self.mutex = _thread.allocate_lock()
        self._forked = self._shut = True
        for waiting in (self.workers, self.jobs, self.submissions, self.idle, self.starting, self.arriving):
            waiting.clear()
        self.active = 0


def _release(waiters: list[ThreadWaiter]) -> None:
    for waiter in waiters:
        waiter.done = True
        waiter.wake()
    waiters.clear()
