"""WorkerPool: gopool's reuse, errgroup's limits, conc's order, ``concurrent.futures``' interface."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from penstock import sleep
from penstock.core.cancel import CancelScope
from penstock.core.pool import WorkerPool
from penstock.errors import DeadlineExceeded, WouldDeadlock
from tests.core.threads import PATIENCE, start, wait_until

HOUR = 3600.0
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class FailedHalfWay(Exception):
    """What goes wrong in a job."""


def fail(error: BaseException) -> None:
    raise error


class Gate:
    """Jobs that wait here until it is opened; counts who has come and how many were in at once."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._mutex = threading.Lock()
        self.entered = 0
        self.inside = 0
        self.most_inside = 0

    def __call__(self, result: object = None) -> object:
        with self._mutex:
            self.entered += 1
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        assert self._open.wait(PATIENCE)
        with self._mutex:
            self.inside -= 1
        return result

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is open at the end, whatever the test did."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """The exceptions reported through ``sys.unraisablehook``."""
    reported: list[BaseException] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(unraisable.exc_value))
    return reported


# --- jobs and results -------------------------------------------------------------------------------------------


def test_submit_returns_a_future_of_the_result() -> None:
    """fn(*args, **kwargs) runs in a worker; its result is on the future."""
    with WorkerPool(2) as pool:
        future = pool.submit(divmod, 17, 5)
        assert future.result(PATIENCE) == (3, 2)
        assert pool.submit(dict, a=1).result(PATIENCE) == {"a": 1}
        assert isinstance(future, concurrent.futures.Future)
        assert pool.submit(threading.get_ident).result() != threading.get_ident()


def test_a_keyword_named_fn_reaches_the_job() -> None:
    """Fn and self are positional only."""
    with WorkerPool(1) as pool:
        assert pool.submit(lambda **kwargs: kwargs, fn=1, self=2).result() == {"fn": 1, "self": 2}


def test_a_failing_job_puts_its_exception_on_the_future() -> None:
    """The same object."""
    error = FailedHalfWay()
    with WorkerPool(1) as pool:
        future = pool.submit(fail, error)
        with pytest.raises(FailedHalfWay) as caught:
            future.result()
        assert caught.value is error
        assert future.exception() is error


def test_a_failing_job_does_not_kill_its_worker() -> None:
    """A hundred failures later the same single worker still works (gopool's worker dies at each)."""
    with WorkerPool(1) as pool:
        ident = pool.submit(threading.get_ident).result()
        for error in [FailedHalfWay(), KeyError(), SystemExit(1), KeyboardInterrupt()] * 25:
            assert pool.submit(fail, error).exception() is error
        assert pool.submit(threading.get_ident).result() == ident
        assert pool.worker_count == 1


# --- workers ----------------------------------------------------------------------------------------------------


def test_workers_are_reused() -> None:
    """250 short jobs on a pool of 50 start at most 50 threads."""
    threads: set[threading.Thread] = set()
    with WorkerPool(50) as pool:
        for _ in range(250):
            pool.submit(lambda: threads.add(threading.current_thread()))
        assert pool.wait(PATIENCE)
        assert 1 <= len(threads) <= 50
        assert pool.worker_count <= 50


def test_workers_are_started_lazily() -> None:
    """No job, no thread; one job after another needs one."""
    before = threading.active_count()
    with WorkerPool(50) as pool:
        assert pool.worker_count == 0
        assert threading.active_count() == before
        for _ in range(20):
            pool.submit(int).result()
            wait_until(lambda: pool.running == 0)
        assert pool.worker_count <= 2


def test_all_workers_work_when_there_is_work(gate: Gate) -> None:
    """max_workers slow jobs run at once."""
    with WorkerPool(20) as pool:
        futures = [pool.submit(gate, number) for number in range(20)]
        wait_until(lambda: gate.inside == 20)
        assert pool.running == 20
        gate.open()
        assert [future.result() for future in futures] == list(range(20))


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_never_more_than_max_workers_run(limit: int) -> None:
    """Errgroup's TestGoLimit: over 1025 jobs never more than the limit are active."""
    active, most, mutex = 0, 0, threading.Lock()

    def job() -> None:
        nonlocal active, most
        with mutex:
            active += 1
            most = max(most, active)
        with mutex:
            active -= 1

    with WorkerPool(limit) as pool:
        for _ in range(1025):
            pool.submit(job)
    assert 1 <= most <= limit


def test_idle_workers_retire() -> None:
    """After idle_timeout seconds without work a worker's thread ends; the pool starts another when needed."""
    with WorkerPool(5, idle_timeout=0.02) as pool:
        barrier = threading.Barrier(6)
        for _ in range(5):
            pool.submit(barrier.wait, PATIENCE)
        barrier.wait(PATIENCE)
        wait_until(lambda: pool.worker_count == 0)
        assert pool.submit(int, 3).result() == 3


def test_threads_are_named_after_the_pool() -> None:
    """Reports and debuggers show whose they are."""
    with WorkerPool(1, name="uploads") as pool:
        assert "uploads" in pool.submit(lambda: threading.current_thread().name).result()
        assert "uploads" in repr(pool)


def test_max_workers_may_be_raised(gate: Gate) -> None:
    """Jobs that waited start at once."""
    with WorkerPool(1, max_pending=3) as pool:
        for _ in range(4):
            pool.submit(gate)
        wait_until(lambda: gate.inside == 1)
        assert pool.pending == 3
        pool.max_workers = 4
        assert pool.max_workers == 4
        wait_until(lambda: gate.inside == 4)
        gate.open()


def test_max_workers_raised_lets_blocked_submitters_in(gate: Gate) -> None:
    """A submit that was blocked returns."""
    with WorkerPool(1) as pool:
        pool.submit(gate)
        submitting = start(pool.submit, gate)
        wait_until(lambda: pool.statistics().submitters_waiting == 1)
        pool.max_workers = 2
        submitting.result()
        wait_until(lambda: gate.inside == 2)
        gate.open()


def test_max_workers_may_be_lowered(gate: Gate) -> None:
    """Running jobs go on; from then on fewer run at once, and surplus workers end."""
    second = Gate()
    with WorkerPool(4) as pool:
        for _ in range(4):
            pool.submit(gate)
        wait_until(lambda: gate.inside == 4)
        pool.max_workers = 1
        gate.open()
        assert pool.wait(PATIENCE)
        wait_until(lambda: pool.worker_count <= 1)
        futures = [pool.submit(second, 1)]
        assert pool.try_submit(second) is None
        second.open()
        assert [future.result() for future in futures] == [1]


@pytest.mark.parametrize("arguments", [(0,), (-1,)])
def test_a_pool_of_nobody_is_refused(arguments: tuple[int]) -> None:
    """At least one worker; and never less, later either."""
    with pytest.raises(ValueError, match="max_workers"):
        WorkerPool(*arguments)
    with WorkerPool(1) as pool, pytest.raises(ValueError, match="max_workers"):
        pool.max_workers = 0


@pytest.mark.parametrize("options", [{"max_pending": -1}, {"idle_timeout": -1.0}, {"idle_timeout": float("nan")}])
def test_senseless_options_are_refused(options: dict[str, float]) -> None:
    """With a ValueError."""
    with pytest.raises(ValueError, match="|".join(options)):
        WorkerPool(1, **options)  # type: ignore[arg-type]


# --- backpressure -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_pending", [0, 1, 5])
def test_submit_blocks_while_the_pool_is_full(gate: Gate, max_pending: int) -> None:
    """max_workers run and max_pending wait; the next submit blocks until one has ended."""
    with WorkerPool(2, max_pending=max_pending) as pool:
        for _ in range(2 + max_pending):
            pool.submit(gate)
        assert (pool.running, pool.pending) == (2, max_pending) or pool.running + pool.pending == 2 + max_pending
        submitting = start(pool.submit, int, 7)
        wait_until(lambda: pool.statistics().submitters_waiting == 1)
        assert not submitting.done
        gate.open()
        assert submitting.result().result() == 7


def test_try_submit_never_blocks(gate: Gate) -> None:
    """Errgroup's TestTryGo: 42 fit, the 43rd does not; after they have ended there is room again."""
    with WorkerPool(42) as pool:
        futures = [pool.try_submit(gate, number) for number in range(42)]
        assert all(future is not None for future in futures)
        assert pool.try_submit(gate) is None
        gate.open()
        assert pool.wait(PATIENCE)
        again = pool.try_submit(int, 1)
        assert again is not None
        assert again.result() == 1
        assert gate.entered == 42


def test_blocked_submitters_are_let_in_in_order(gate: Gate) -> None:
    """First come, first served."""
    order: list[int] = []
    with WorkerPool(1) as pool:
        pool.submit(gate)
        submittings = []
        for number in range(4):
            submittings.append(start(pool.submit, order.append, number))
            wait_until(lambda: pool.statistics().submitters_waiting == len(submittings))
        gate.open()
        for submitting in submittings:
            submitting.result()
    assert order == [0, 1, 2, 3]


def test_a_failing_job_makes_room_like_any_other() -> None:
    """Ants' "all workers panicking starves waiters" does not happen."""
    with WorkerPool(2) as pool:
        futures = [pool.submit(fail, FailedHalfWay()) for _ in range(100)]
        assert all(isinstance(future.exception(), FailedHalfWay) for future in futures)


def test_a_nested_submit_into_a_full_pool_raises() -> None:
    """A worker that waited for room in its own pool would wait for itself: WouldDeadlock (ants #80 stalls)."""
    with WorkerPool(1) as pool:
        with pytest.raises(WouldDeadlock):
            pool.submit(lambda: pool.submit(int)).result(PATIENCE)
        assert pool.submit(lambda: pool.try_submit(int)).result(PATIENCE) is None


def test_a_nested_submit_that_fits_works() -> None:
    """With room, a job may start others."""
    with WorkerPool(1, max_pending=1) as pool:
        assert pool.submit(lambda: pool.submit(int, 5)).result(PATIENCE).result(PATIENCE) == 5


def test_a_cancelled_submit_does_not_run_its_job(gate: Gate) -> None:
    """A submit that raised Cancelled has left nothing behind."""
    ran: list[int] = []
    with WorkerPool(1) as pool:
        pool.submit(gate)
        scope = CancelScope()

        def submit() -> None:
            with scope:
                pool.submit(ran.append, 1)

        submitting = start(submit)
        wait_until(lambda: pool.statistics().submitters_waiting == 1)
        scope.cancel()
        submitting.result()
        assert pool.statistics().submitters_waiting == 0
        gate.open()
        assert pool.wait(PATIENCE)
    assert not ran


# --- waiting and leaving ----------------------------------------------------------------------------------------


def test_wait_waits_for_every_job(gate: Gate) -> None:
    """True when all have ended, False after the timeout; the pool can be used again."""
    with WorkerPool(2, max_pending=5) as pool:
        assert pool.wait()
        assert pool.wait(0)
        for _ in range(6):
            pool.submit(gate)
        assert not pool.wait(0.01)
        gate.open()
        assert pool.wait(PATIENCE)
        assert (pool.running, pool.pending) == (0, 0)
        assert pool.submit(int).result() == 0


def test_leaving_the_block_waits_for_everything(gate: Gate) -> None:
    """Every job has ended, also those that were pending, and no worker is left."""
    ended: list[int] = []
    with WorkerPool(1, max_pending=5) as pool:
        pool.submit(gate)
        for number in range(5):
            pool.submit(ended.append, number)
        gate.open()
    assert ended == [0, 1, 2, 3, 4]
    assert pool.worker_count == 0


def test_leaving_the_block_by_an_exception_cancels_everything() -> None:
    """Running jobs are cancelled where they wait, pending ones never start, the exception leaves as it is."""
    ran: list[int] = []
    error = FailedHalfWay()
    began = time.monotonic()
    with pytest.raises(FailedHalfWay) as caught, WorkerPool(1, max_pending=5) as pool:
        running = pool.submit(sleep, HOUR)
        pending = pool.submit(ran.append, 1)
        wait_until(lambda: pool.running == 1)
        raise error
    assert caught.value is error
    assert time.monotonic() - began < PATIENCE
    assert running.done()
    assert pending.cancelled()
    assert not ran


def test_a_cancel_of_jobs_that_have_not_begun_ends_the_block(gate: Gate) -> None:
    """The block has not done what it was to do, whether its jobs were cancelled where they wait or before they began."""
    ran: list[int] = []

    def use_pool() -> str:
        with scope:
            with WorkerPool(1, max_pending=5) as pool:
                pool.submit(gate)  # heeds no cancel
                pool.submit(ran.append, 1)
            return "as if nothing had happened"
        return "cancelled"

    scope = CancelScope()
    using = start(use_pool)
    wait_until(lambda: gate.entered == 1)
    using.wait_parked()
    scope.cancel()
    gate.open()
    assert using.result() == "cancelled"
    assert not ran


def test_a_failed_job_does_not_fail_the_block() -> None:
    """Its exception is on the future, where somebody has looked at it."""
    with WorkerPool(1) as pool:
        future = pool.submit(fail, FailedHalfWay())
    assert isinstance(future.exception(), FailedHalfWay)


def test_submit_after_shutdown_is_refused() -> None:
    """RuntimeError, as with every Executor."""
    with WorkerPool(1) as pool:
        pool.submit(int).result()
    for submit in (pool.submit, pool.try_submit):
        with pytest.raises(RuntimeError):
            submit(int)


def test_shutdown_is_concurrent_futures_shutdown(gate: Gate) -> None:
    """wait=False returns at once; cancel_futures=True cancels what is pending; it is idempotent."""
    pool = WorkerPool(1, max_pending=3)
    running = pool.submit(gate, "ran")
    pending = [pool.submit(int) for _ in range(3)]
    wait_until(lambda: gate.inside == 1)
    pool.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in pending)
    with pytest.raises(RuntimeError):
        pool.submit(int)
    gate.open()
    pool.shutdown()
    pool.shutdown(wait=True)
    assert running.result() == "ran"


# --- context and scopes -----------------------------------------------------------------------------------------


def test_context_variables_travel_with_every_job() -> None:
    """A job sees the context of its submit, not of the worker's first job; what it sets stays its own."""

    def job() -> str:
        seen = variable.get()
        variable.set("left behind")
        return seen

    with WorkerPool(1) as pool:
        for value in ("first", "second"):
            token = variable.set(value)
            assert pool.submit(job).result() == value
            variable.reset(token)
        assert pool.submit(job).result() == "unset"
        assert pool.try_submit(job).result() == "unset"  # type: ignore[union-attr]


def test_a_cancelled_job_does_not_kill_its_worker() -> None:
    """After a submitter's scope was cancelled under a running job, the worker takes the next."""
    with WorkerPool(1) as pool:
        ident = pool.submit(threading.get_ident).result()
        with CancelScope() as scope:
            future = pool.submit(sleep, HOUR)
            wait_until(lambda: pool.running == 1)
            scope.cancel()
        wait_until(future.done)
        assert future.cancelled()
        assert pool.submit(threading.get_ident).result() == ident


# --- exceptions nobody looks at ---------------------------------------------------------------------------------


def test_an_unobserved_exception_is_reported(unraisable: list[BaseException]) -> None:
    """When a future is dropped and nobody ever looked, sys.unraisablehook hears of it."""
    with WorkerPool(1) as pool:
        pool.submit(lambda: fail(FailedHalfWay("unheard")))
        pool.wait()
        pool.submit(int).result()  # the worker has let go of the failed job
        gc.collect()
        assert [str(error) for error in unraisable] == ["unheard"]


def _look_at_result(future: concurrent.futures.Future[None]) -> None:
    with pytest.raises(FailedHalfWay):
        future.result()


@pytest.mark.parametrize(
    "look",
    [
        lambda future: future.exception(),
        _look_at_result,
        lambda future: future.add_done_callback(lambda done: done.exception()),
    ],
    ids=["exception", "result", "callback"],
)
def test_an_observed_exception_is_not_reported(
    look: Callable[[concurrent.futures.Future[None]], object], unraisable: list[BaseException]
) -> None:
    """Looking once is enough."""
    with WorkerPool(1) as pool:
        future = pool.submit(fail, FailedHalfWay())
        pool.wait()
        look(future)
        del future
    gc.collect()
    assert not unraisable


def test_a_cancelled_future_is_not_reported(unraisable: list[BaseException]) -> None:
    """A cancellation is not a failure."""
    with pytest.raises(FailedHalfWay), WorkerPool(1, max_pending=1) as pool:
        pool.submit(sleep, HOUR)
        pool.submit(int)
        raise FailedHalfWay
    gc.collect()
    assert not unraisable


# --- map --------------------------------------------------------------------------------------------------------


def test_map_keeps_the_order() -> None:
    """Results come in the order of the arguments, however long each takes (conc's ordered stream)."""
    with WorkerPool(8) as pool:
        assert list(pool.map(lambda number: sleep((9 - number % 10) / 2000) or number, range(50))) == list(range(50))


def test_map_takes_several_iterables() -> None:
    """As the built-in: stops with the shortest."""
    with WorkerPool(2) as pool:
        assert list(pool.map(pow, [1, 2, 3], [2, 2, 2, 2])) == [1, 4, 9]


@pytest.mark.parametrize("chunksize", [1, 3, 100])
@pytest.mark.parametrize("ordered", [True, False])
def test_map_chunks(chunksize: int, ordered: bool) -> None:
    """Chunksize changes how many go to a worker at once, not the results."""
    with WorkerPool(3) as pool:
        results = list(pool.map(str, range(20), chunksize=chunksize, ordered=ordered))
    assert sorted(results) == sorted(map(str, range(20)))
    if ordered:
        assert results == list(map(str, range(20)))


def test_map_is_lazy_with_a_bounded_look_ahead() -> None:
    """Nothing runs away: an endless input is fine, and no more is taken than the window while nobody reads on."""
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with WorkerPool(2) as pool:
        mapped = pool.map(str, endless(), buffersize=5)
        assert next(mapped) == "1"
        assert pool.wait(PATIENCE)
        assert taken <= 1 + 5 + 2
        assert [next(mapped) for _ in range(10)] == [str(number) for number in range(2, 12)]
        assert taken <= 11 + 5 + 2
        mapped.close()  # type: ignore[attr-defined]


def test_map_looks_ahead_by_default_but_not_for_ever() -> None:
    """Without buffersize the look-ahead is bounded too (ThreadPoolExecutor takes everything)."""
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with WorkerPool(2) as pool:
        mapped = pool.map(str, endless())
        next(mapped)
        assert pool.wait(PATIENCE)
        assert taken < 100
        mapped.close()  # type: ignore[attr-defined]


def test_map_unordered_gives_results_as_they_come(gate: Gate) -> None:
    """A slow first one does not hold up the others."""
    with WorkerPool(2) as pool:
        mapped = pool.map(lambda number: gate(number) if number == 0 else number, range(4), ordered=False)
        assert sorted([next(mapped), next(mapped), next(mapped)]) == [1, 2, 3]
        gate.open()
        assert next(mapped) == 0
        with pytest.raises(StopIteration):
            next(mapped)


def test_map_raises_where_the_failure_stands_and_stops() -> None:
    """Results before the failing one come first; then its exception; then no more jobs are started."""
    started: list[int] = []

    def job(number: int) -> int:
        started.append(number)
        if number == 3:
            raise FailedHalfWay
        return number

    with WorkerPool(1) as pool:
        mapped = pool.map(job, range(1000))
        assert [next(mapped) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(FailedHalfWay):
            next(mapped)
        assert pool.wait(PATIENCE)
        assert len(started) < 20
        with pytest.raises(StopIteration):
            next(mapped)


def test_map_abandoned_stops_its_jobs() -> None:
    """``break`` ends the work: what has not begun is cancelled, what waits is woken, the pool goes on."""
    cancelled: list[int] = []

    def job(number: int) -> int:
        if number == 0:
            return number
        try:
            sleep(HOUR)
        except BaseException:
            cancelled.append(number)
            raise
        return number

    with WorkerPool(3) as pool:
        for result in pool.map(job, range(1000)):
            assert result == 0
            break
        gc.collect()
        assert pool.wait(PATIENCE), "abandoned jobs still run"
        assert len(cancelled) <= 20
        assert pool.submit(int, 1).result() == 1


def test_map_times_out() -> None:
    """timeout= counts from the call, as with every Executor, and raises a TimeoutError."""
    with WorkerPool(2) as pool:
        mapped = pool.map(sleep, [0, HOUR], timeout=0.05)
        assert next(mapped) is None
        with pytest.raises(TimeoutError) as caught:
            next(mapped)
        assert isinstance(caught.value, DeadlineExceeded)
        assert pool.wait(PATIENCE), "jobs of a map that timed out still run"


def test_map_of_a_failing_input() -> None:
    """An exception of the input iterable is raised to the consumer, not swallowed."""

    def numbers() -> Iterator[int]:
        yield 1
        raise FailedHalfWay

    with WorkerPool(2) as pool:
        with pytest.raises(FailedHalfWay):
            list(pool.map(str, numbers()))
        assert pool.wait(PATIENCE)


def test_map_of_more_than_the_pool_holds_does_not_deadlock() -> None:
    """A window larger than workers and pending jobs together still flows."""
    with WorkerPool(1) as pool:
        assert list(pool.map(int, range(100), buffersize=50)) == list(range(100))


@pytest.mark.parametrize("options", [{"chunksize": 0}, {"buffersize": 0}, {"buffersize": -1}])
def test_map_refuses_senseless_options(options: dict[str, int]) -> None:
    """With a ValueError, at the call."""
    with WorkerPool(1) as pool, pytest.raises(ValueError, match="|".join(options)):
        pool.map(int, [1], **options)


# --- a concurrent.futures.Executor ------------------------------------------------------------------------------


def test_it_is_an_executor() -> None:
    """Isinstance says so."""
    with WorkerPool(1) as pool:
        assert isinstance(pool, concurrent.futures.Executor)


@pytest.mark.parametrize("return_when", ["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"])
def test_concurrent_futures_wait(gate: Gate, return_when: str) -> None:
    """All three conditions, with futures that are done, running and failing."""
    with WorkerPool(3) as pool:
        slow = pool.submit(gate)
        failing = pool.submit(fail, FailedHalfWay())
        done, pending = concurrent.futures.wait(
            [slow, failing], timeout=0.05 if return_when == "ALL_COMPLETED" else PATIENCE, return_when=return_when
        )
        assert done == {failing}
        assert pending == {slow}
        gate.open()
        done, pending = concurrent.futures.wait([slow, failing], PATIENCE)
        assert not pending
        assert isinstance(failing.exception(), FailedHalfWay)


def test_concurrent_futures_wait_is_woken(gate: Gate) -> None:
    """A waiter that came before the end is woken by it."""
    with WorkerPool(2) as pool:
        futures = [pool.submit(gate, number) for number in range(2)]
        waiting = start(concurrent.futures.wait, futures, PATIENCE)
        completing = start(lambda: [done.result() for done in concurrent.futures.as_completed(futures, PATIENCE)])
        wait_until(lambda: gate.inside == 2)
        gate.open()
        assert len(waiting.result().done) == 2
        assert sorted(completing.result()) == [0, 1]


def test_as_completed_times_out(gate: Gate) -> None:
    """The standard library's TimeoutError."""
    with WorkerPool(1) as pool:
        future = pool.submit(gate)
        with pytest.raises(TimeoutError):
            list(concurrent.futures.as_completed([future], timeout=0.01))
        gate.open()


def test_future_states(gate: Gate) -> None:
    """pending, running, done; cancel works on the pending one only."""
    with WorkerPool(1, max_pending=1) as pool:
        running = pool.submit(gate, 1)
        pending = pool.submit(int)
        wait_until(running.running)
        assert not running.done()
        assert not running.cancel()
        assert not pending.running()
        assert pending.cancel()
        assert pending.cancelled()
        with pytest.raises(concurrent.futures.CancelledError):
            pending.result()
        gate.open()
        assert running.result() == 1
        assert running.done()
        assert not running.cancel()


def test_a_cancelled_pending_job_makes_room(gate: Gate) -> None:
    """Its place is free for another, and concurrent.futures.wait counts it as done."""
    with WorkerPool(1, max_pending=1) as pool:
        pool.submit(gate)
        pending = pool.submit(fail, FailedHalfWay())
        assert pending.cancel()
        gate.open()
        assert concurrent.futures.wait([pending], PATIENCE).done == {pending}
        assert pool.submit(int, 2).result() == 2


def test_done_callbacks(gate: Gate) -> None:
    """Called once with the future, in order; at once if it is done already; a failing one harms nobody."""
    called: list[tuple[str, object]] = []
    with WorkerPool(1) as pool:
        future = pool.submit(gate, "result")
        future.add_done_callback(lambda done: called.append(("first", done.result())))
        future.add_done_callback(lambda done: fail(FailedHalfWay("in a callback")))
        future.add_done_callback(lambda done: called.append(("second", done.result())))
        gate.open()
        assert pool.wait(PATIENCE)
        future.add_done_callback(lambda done: called.append(("late", done.result())))
    assert called == [("first", "result"), ("second", "result"), ("late", "result")]


def test_result_with_a_timeout(gate: Gate) -> None:
    """A TimeoutError that is also DeadlineExceeded; the job goes on."""
    with WorkerPool(1) as pool:
        future = pool.submit(gate, 1)
        for wait in (future.result, future.exception):
            with pytest.raises(TimeoutError) as caught:
                wait(timeout=0.01)
            assert isinstance(caught.value, DeadlineExceeded)
        gate.open()
        assert future.result(timeout=PATIENCE) == 1


def test_asyncio_can_use_the_pool() -> None:
    """run_in_executor and wrap_future take it as any Executor."""

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, int, "3"), await asyncio.wrap_future(pool.submit(int, "4"))

    with WorkerPool(2) as pool:
        assert asyncio.run(main()) == (3, 4)


def test_statistics(gate: Gate) -> None:
    """What runs, what waits, what was done."""
    with WorkerPool(1, max_pending=2) as pool:
        for _ in range(3):
            pool.submit(gate)
        wait_until(lambda: gate.inside == 1)
        statistics = pool.statistics()
        assert (statistics.running, statistics.pending, statistics.worker_count, statistics.max_workers) == (1, 2, 1, 1)
        gate.open()
        assert pool.wait(PATIENCE)
        statistics = pool.statistics()
        assert (statistics.running, statistics.pending, statistics.submitted, statistics.completed) == (0, 0, 3, 3)
