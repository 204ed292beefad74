"""The entries of a pool's queues (jobs, and submits that wait), and the counters that ``statistics()`` returns."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from penstock.core._future import Future
from penstock.core._parking import ThreadWaiter
from penstock.core.cancel import CancelScope

__all__ = ["Job", "PoolStatistics", "Submission"]


@dataclass(frozen=True)
class PoolStatistics:
    """The counters of a pool at one moment.

    Attributes:
        max_workers: how many workers there may be.
        worker_count: how many workers there are.
        running: jobs running now.
        pending: jobs accepted and not started.
        submitters_waiting: calls of ``submit`` blocked now.
        submitted: jobs accepted so far.
        completed: jobs ended so far, whether they returned, raised or were cancelled.
    """

    max_workers: int
    worker_count: int
    running: int
    pending: int
    submitters_waiting: int
    submitted: int
    completed: int


class Job:
    """A call that was submitted."""

    __slots__ = ("args", "context", "fn", "future", "kwargs", "own_scope", "scope")

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: Context,
        scope: CancelScope,
        own_scope: bool,
    ) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.context = context
        self.scope = scope
        self.own_scope = own_scope  # whether the scope was made for this job, and has to be left when it ends
        self.future: Future[Any] = Future()


class Submission:
    """A blocked ``submit``, which waits for room in the pool."""

    __slots__ = ("job", "waiter", "withdrawn")

    def __init__(self, job: Job, waiter: ThreadWaiter) -> None:
        self.job = job
        self.waiter = waiter
        self.withdrawn = False
