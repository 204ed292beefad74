"""The local engine: run a plan in this process, one thread per stage, joined by bounded links.

All threads are owned by one ``TaskGroup``. If the source is read in partitions, each has stages of its own, in that same
group.

The calling thread watches: it shows snapshots to an observer, notices stalls, and returns when the last stage has ended.
Whatever ends the run early (an error in any stage, a deadline, a stall, an outer cancel, Ctrl-C) ends it for every
stage, and `run` returns only when all their threads have ended.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from time import monotonic
from typing import NoReturn, final

from penstock.core.cancel import CancelScope, check_cancelled
from penstock.core.taskgroup import TaskGroup
from penstock.engines.chain import Chain, Compress
from penstock.engines.failures import Failures
from penstock.engines.leftovers import Leftovers
from penstock.engines.outcome import Observer, Outcome, Snapshot
from penstock.engines.partitions.chains import opened_chains
from penstock.engines.rate import RateLimit
from penstock.engines.resident import peak_resident_bytes, resident_bytes
from penstock.engines.stall import StallWatch
from penstock.engines.work import Work
from penstock.errors import Cancelled, DeadlineExceeded, StallError
from penstock.flow.contracts import Closable
from penstock.flow.plan import Plan
from penstock.flow.units import format_seconds

__all__ = ["run"]

_log = logging.getLogger("penstock.engine")

_TICK_SECONDS = 0.2
_TICKS_PER_STALL = 4


def run(plan: Plan, *, compress: Compress, observe: Observer | None = None) -> Outcome:
    """Run ``plan``. Blocks until the destination is published, complete, and every thread has ended.

    A cancel of the surrounding scope stops every stage. If the destination is published by then, it stays, and the run
    counts as successful.

    Args:
        plan: the plan; its source and sink are used up.
        compress: the compression function, ``penstock.formats.compress``.
        observe: called with a snapshot every 0.2 s and at the end, in the calling thread; if it raises, not again.

    Raises:
        SourceError, SinkError, ...: the error of the stage that failed first, unchanged. Its notes say what else failed,
            such as a clean-up.
        DeadlineExceeded: ``plan.timeout`` ran out.
        StallError: no byte moved for ``plan.stall_timeout``.
    """
    _log.info("%s to %s: %s", plan.source.display_name, plan.sink.display_name, " -> ".join(plan.stages))
    leftovers = Leftovers()
    try:
        with leftovers.started_here():
            outcome = _run_under_deadline(plan, compress, observe)
    except BaseException as error:
        for left in leftovers.find():
            error.add_note(f"also, left behind: {left}")
        raise
    return replace(outcome, leaks=outcome.leaks + leftovers.find())


def _run_under_deadline(plan: Plan, compress: Compress, observe: Observer | None) -> Outcome:
    started = monotonic()
    running: _Run | None = None
    late = f"{plan.sink.display_name} did not say whether it may be written"
    failures = Failures()
    with _closing_both_ends(plan), _log_besides_a_cancel(failures), CancelScope(timeout=plan.timeout) as scope:
        if not plan.sink.check():
            return Outcome(receipt=None)
        late = f"{plan.source.display_name} was not divided into partitions yet"
        with _work_of(plan, compress, failures) as work:
            running = _Run(plan, work, failures, observe, started)
            running.run_stages()
    if running is None or scope.cancelled_caught:
        raise _overdue(plan, running, late)
    return running.outcome()


def _work_of(plan: Plan, compress: Compress, failures: Failures) -> AbstractContextManager[Work]:
    limit = None if plan.bwlimit is None else RateLimit(plan.bwlimit)
    if plan.partitions > 1:
        return opened_chains(plan, compress, failures, limit)
    return nullcontext(Chain(plan, compress, failures, limit))


@contextmanager
def _closing_both_ends(plan: Plan) -> Iterator[None]:
    """Close source and sink when the block is left, even if they were never opened."""
    with ExitStack() as ends:
        for end in (plan.source, plan.sink):
            if isinstance(end, Closable):
                ends.callback(end.close)
        yield


@contextmanager
def _log_besides_a_cancel(failures: Failures) -> Iterator[None]:
    """If a cancel ends the copy, log what failed while stopping, because no error will be raised that could say so."""
    try:
        yield
    except Cancelled:
        for other in failures.besides(None):
            _log.warning("while stopping, in the %s", other)
        raise


def _overdue(plan: Plan, running: _Run | None, late: str) -> DeadlineExceeded:
    assert plan.timeout is not None
    message = f"not finished within {format_seconds(plan.timeout)}"
    if running is None:
        return DeadlineExceeded(f"{message}: {late}")
    error = DeadlineExceeded(f"{message}: {running.snapshot().verdict}")
    running.failures.annotate(error)
    return error


@final
class _Run:
    """The stages of one plan, running."""

    def __init__(self, plan: Plan, work: Work, failures: Failures, observe: Observer | None, started: float) -> None:
        self.failures = failures
        self._plan = plan
        self._work = work
        self._observe = observe
        self._started = started

    def run_stages(self) -> None:
        """Run all stages. If any fail, raise the error that came first, and not the group of all errors."""
        try:
            self._watch_stages()
        except (Exception, Cancelled, BaseExceptionGroup) as unwinding:  # noqa: BLE001 - every one is raised again
            cancelled = _cancelled()
            error = self.failures.root(stopped=cancelled is not None)
            if error is None and self._work.receipt is not None and isinstance(unwinding, Cancelled):
                return  # published already: a cancel that comes too late undoes nothing
            if error is not None:
                self.failures.annotate(error)
            _raise_as_it_is(error or cancelled or unwinding)

    def _watch_stages(self) -> None:
        with self._undone_on_failure(), TaskGroup() as group:
            stages = self._work.stages
            started = [group.start_soon(stage.run, name=f"penstock {stage.name}") for stage in stages]
            try:
                self._watch_until_ended([end for stage, end in zip(stages, started, strict=True) if not stage.output])
            except StallError as stall:
                self.failures.record("watch", stall)
                raise

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            for problem in self._work.undo():
                self.failures.note("sink", problem)
            raise

    def _watch_until_ended(self, sinks: Sequence[Future[None]]) -> None:
        stall = StallWatch(self._work, self._plan.stall_timeout)
        tick = min(_TICK_SECONDS, (self._plan.stall_timeout or math.inf) / _TICKS_PER_STALL)
        for sink in sinks:
            while not _ended_within(tick, sink):
                stall.check()
                self._show()
        self._show()  # also of a copy that took no time

    def _show(self) -> None:
        if self._observe is None:
            return
        try:
            self._observe(self.snapshot())
        except Exception:  # noqa: BLE001 - a display that fails must not take the copy with it
            _log.warning("the progress display failed and is switched off", exc_info=True)
            self._observe = None

    def snapshot(self) -> Snapshot:
        """Describe the run as it is now."""
        return Snapshot(
            elapsed_seconds=monotonic() - self._started,
            rows=self._work.rows(),
            bytes=self._work.stored_bytes(),
            resident_bytes=resident_bytes(),
            stages=self._work.statuses(),
        )

    def outcome(self) -> Outcome:
        """Describe the run, which has succeeded."""
        return Outcome(
            receipt=self._work.receipt,
            rows=self._work.rows(),
            bytes_before_compression=self._work.encoded_bytes(),
            seconds=monotonic() - self._started,
            peak_resident_bytes=peak_resident_bytes(),
            stages=self._work.statuses(),
            connections_opened=_connections_opened(self._plan),
            leaks=self._work.leaks(),
        )


def _connections_opened(plan: Plan) -> int | None:
    """Return the connections of source and sink together; None if neither counts them."""
    told = [getattr(end, "connections_opened", None) for end in (plan.source, plan.sink)]
    counts = [count for count in told if count is not None]
    return sum(counts) if counts else None


def _ended_within(seconds: float, future: Future[None]) -> bool:
    """Wait for ``future`` to end, in whatever way; return False after ``seconds``."""
    try:
        future.exception(timeout=seconds)
    except DeadlineExceeded:
        return False
    except CancelledError:
        return True
    return True


def _cancelled() -> Cancelled | None:
    """Return the ``Cancelled`` that the surrounding scope would raise now; None if it is not cancelled."""
    try:
        check_cancelled()
    except Cancelled as cancelled:
        return cancelled
    return None


def _raise_as_it_is(error: BaseException) -> NoReturn:
    """Raise ``error`` without chaining it to the exception being handled, which is the group it was found in."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
