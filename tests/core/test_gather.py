"""Fan out under a deadline, keep what finished: order, limits, failures, partial results, no thread left."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest

from penstock import sleep
from penstock.core.cancel import CancelScope, fail_after, on_cancel
from penstock.core.gather import Gathered, gather
from penstock.errors import Cancelled, DeadlineExceeded
from tests.core.threads import PATIENCE, PROMPT, start

HOUR = 3600.0


class FailedHalfWay(Exception):
    """What goes wrong in a call."""


def returning(value: object) -> Callable[[], object]:
    return lambda: value


def raising(error: BaseException) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


def test_results_come_in_call_order() -> None:
    """However long each takes."""
    gathered = gather(*(lambda number=number: sleep((5 - number) / 500) or number for number in range(5)))
    assert isinstance(gathered, Gathered)
    assert list(gathered) == [0, 1, 2, 3, 4]
    assert [gathered[position] for position in range(5)] == [0, 1, 2, 3, 4]
    assert len(gathered) == 5
    assert not gathered.failed
    assert not gathered.pending


def test_results_by_name() -> None:
    """Named calls give named results, in call order."""
    gathered = gather(users=returning(1), orders=returning(2))
    assert gathered["users"] == 1
    assert gathered["orders"] == 2
    assert gathered.done == {"users": 1, "orders": 2}


def test_no_calls_no_results() -> None:
    """Nothing to do is done at once."""
    assert list(gather()) == []


def test_calls_run_at_the_same_time() -> None:
    """A barrier of all of them opens."""
    barrier = threading.Barrier(5)
    assert sorted(gather(*[lambda: barrier.wait(PATIENCE)] * 5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("limit", [1, 3])
def test_limit_bounds_how_many_run_at_once(limit: int) -> None:
    """Never more than limit at a time, and all are made."""
    active, most, mutex = 0, 0, threading.Lock()

    def call() -> int:
        nonlocal active, most
        with mutex:
            active += 1
            most = max(most, active)
        sleep(0.0005)
        with mutex:
            active -= 1
        return 1

    assert sum(gather(*[call] * 30, limit=limit)) == 30
    assert most <= limit


def test_a_failure_is_kept_and_the_others_go_on() -> None:
    """Without fail_fast every call has its chance; asking for the failed result raises its exception."""
    error = FailedHalfWay()
    gathered = gather(returning("a"), raising(error), returning("c"))
    assert gathered.failed == {1: error}
    assert gathered.done == {0: "a", 2: "c"}
    assert gathered[0] == "a"
    with pytest.raises(FailedHalfWay) as caught:
        gathered[1]
    assert caught.value is error
    with pytest.raises(FailedHalfWay):
        list(gathered)


def test_fail_fast_cancels_the_others_and_raises() -> None:
    """The first exception, bare; the others wake in their waits."""
    cancelled = threading.Event()

    def wait() -> None:
        try:
            sleep(HOUR)
        except Cancelled:
            cancelled.set()
            raise

    began, error = time.monotonic(), FailedHalfWay()
    with pytest.raises(FailedHalfWay) as caught:
        gather(wait, raising(error), fail_fast=True)
    assert caught.value is error
    assert time.monotonic() - began < PATIENCE


def test_fail_fast_does_not_begin_calls_that_wait_for_their_turn() -> None:
    """With a limit, what has not begun when one fails never does."""
    ran: list[int] = []
    with pytest.raises(FailedHalfWay):
        gather(raising(FailedHalfWay()), *[lambda: ran.append(1)] * 5, limit=1, fail_fast=True)
    assert not ran


def test_partial_results_at_the_deadline() -> None:
    """Three services, one hangs: what finished is kept, what failed is kept, the third is cancelled and named."""
    error = FailedHalfWay()
    began = time.monotonic()
    gathered = gather(
        quick=returning("q"), broken=raising(error), hangs=lambda: sleep(HOUR), timeout=0.1, on_timeout="partial"
    )
    assert 0.1 <= time.monotonic() - began < 0.1 + PROMPT
    assert gathered.done == {"quick": "q"}
    assert gathered.failed == {"broken": error}
    assert list(gathered.pending) == ["hangs"]
    with pytest.raises(DeadlineExceeded):
        gathered["hangs"]


def test_a_missed_deadline_raises_with_what_is_there() -> None:
    """By default DeadlineExceeded, a TimeoutError, whose ``gathered`` has the results."""
    with pytest.raises(TimeoutError) as caught:
        gather(returning(1), lambda: sleep(HOUR), timeout=0.05)
    assert isinstance(caught.value, DeadlineExceeded)
    gathered = caught.value.gathered
    assert isinstance(gathered, Gathered)
    assert gathered.done == {0: 1}
    assert list(gathered.pending) == [1]


@pytest.mark.parametrize("on_timeout", ["raise", "partial"])
def test_a_deadline_that_is_met_changes_nothing(on_timeout: str) -> None:
    """With time to spare both modes return everything."""
    gathered = gather(returning(1), returning(2), timeout=PATIENCE, on_timeout=on_timeout)  # type: ignore[arg-type]
    assert list(gathered) == [1, 2]


def test_a_foreign_call_is_interrupted_through_on_cancel() -> None:
    """The hung request is really cancelled: its thread is gone when gather returns."""
    interrupted, threads = threading.Event(), list[threading.Thread]()

    def foreign() -> None:
        threads.append(threading.current_thread())
        with on_cancel(interrupted.set):
            assert interrupted.wait(PATIENCE)

    gathered = gather(foreign, timeout=0.05, on_timeout="partial")
    assert interrupted.is_set()
    assert not threads[0].is_alive()
    assert len(gathered) == 1


def test_a_call_that_heeds_nothing_is_given_up_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """Its late result is dropped, and the log says where it hangs."""
    gate = threading.Event()

    def deaf_call() -> str:
        assert gate.wait(PATIENCE)
        return "too late"

    began = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="penstock"):
        gathered = gather(deaf_call, returning(2), timeout=0.05, on_timeout="partial")
    assert time.monotonic() - began < PATIENCE / 2
    gate.set()
    assert list(gathered.pending) == [0]
    assert gathered.done == {1: 2}
    assert any("deaf_call" in record.getMessage() for record in caplog.records)


def test_a_cancel_from_outside_is_no_timeout() -> None:
    """The surrounding scope catches it; nothing partial is returned."""
    scope = CancelScope()

    def work() -> None:
        with scope:
            gather(lambda: sleep(HOUR), on_timeout="partial", timeout=HOUR)
            raise AssertionError("gather returned")

    running = start(work)
    running.wait_parked()
    scope.cancel()
    running.result()
    assert scope.cancelled_caught


def test_an_outer_deadline_is_the_outer_scopes_business() -> None:
    """An earlier deadline outside wins over timeout=."""
    with pytest.raises(DeadlineExceeded) as caught, fail_after(0.05):
        gather(lambda: sleep(HOUR), timeout=HOUR, on_timeout="partial")
    assert caught.value.gathered is None


def test_senseless_requests_are_refused() -> None:
    """Mixed calls, a limit of nobody, an unknown mode."""
    with pytest.raises(TypeError):
        gather(returning(1), name=returning(2))
    with pytest.raises(ValueError, match="limit"):
        gather(returning(1), limit=0)
    with pytest.raises(ValueError, match="on_timeout"):
        gather(returning(1), on_timeout="ignore")  # type: ignore[arg-type]


def test_no_thread_is_left() -> None:
    """Normal, failed or late: the threads of all calls have ended (the fixture of this folder looks again)."""
    before = threading.active_count()
    gather(*[returning(1)] * 20)
    gather(raising(FailedHalfWay()))
    gather(*[lambda: sleep(HOUR)] * 20, timeout=0.02, on_timeout="partial")
    assert threading.active_count() == before
