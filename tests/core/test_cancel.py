"""Cancellation, rule by rule: scopes, deadlines, shields, reasons, ``on_cancel``."""

from __future__ import annotations

import contextvars
import logging
import math
import threading
import time

import pytest

from penstock import sleep
from penstock.core.cancel import (
    CancelScope,
    check_cancelled,
    current_deadline,
    fail_after,
    move_on_after,
    on_cancel,
)
from penstock.errors import Cancelled, DeadlineExceeded, PenstockError
from tests.core.threads import PATIENCE, PROMPT, start, wait_until

HOUR = 3600.0


# --- scopes -----------------------------------------------------------------------------------------------------


def test_cancelled_is_not_an_exception() -> None:
    """``except Exception`` must not swallow a cancel: Cancelled is the one BaseException of ours."""
    assert issubclass(Cancelled, BaseException)
    assert not issubclass(Cancelled, Exception)
    assert issubclass(DeadlineExceeded, TimeoutError)
    assert issubclass(DeadlineExceeded, PenstockError)


def test_a_cancelled_scope_ends_its_block_quietly() -> None:
    """The first check inside raises Cancelled, the scope catches it, and what follows the block runs."""
    reached = False
    with CancelScope() as scope:
        scope.cancel()
        check_cancelled()
        reached = True
    assert not reached
    assert scope.cancel_called
    assert scope.cancelled_caught


def test_a_fresh_scope_is_not_cancelled() -> None:
    """Entering and leaving a scope changes nothing; outside any scope check_cancelled is silent."""
    check_cancelled()
    with CancelScope() as scope:
        check_cancelled()
        sleep(0)
    assert (scope.cancel_called, scope.cancelled_caught, scope.reason, scope.deadline) == (False, False, None, math.inf)


def test_work_that_never_waits_is_not_caught() -> None:
    """A block that runs to its end after a cancel has not been cut short: cancelled_caught stays False."""
    with CancelScope() as scope:
        scope.cancel()
    assert scope.cancel_called
    assert not scope.cancelled_caught


def test_cancel_before_entering_counts() -> None:
    """A scope cancelled before its block begins cancels the first wait in it."""
    scope = CancelScope()
    scope.cancel()
    with scope:
        sleep(HOUR)
    assert scope.cancelled_caught


def test_a_cancel_is_level_triggered() -> None:
    """Every wait in a cancelled scope raises, not only the first: swallowing one Cancelled does not help."""
    raised = 0
    with CancelScope() as scope:
        scope.cancel()
        for _ in range(3):
            try:
                sleep(HOUR)
            except Cancelled:
                raised += 1
        check_cancelled()
    assert raised == 3
    assert scope.cancelled_caught


def test_a_cancelled_scope_lets_other_exceptions_pass() -> None:
    """A scope catches its own Cancelled and nothing else."""
    with pytest.raises(ZeroDivisionError), CancelScope() as scope:
        scope.cancel()
        raise ZeroDivisionError
    assert not scope.cancelled_caught


def test_a_scope_that_was_not_cancelled_does_not_catch() -> None:
    """A Cancelled that belongs to nobody here passes through."""
    with pytest.raises(Cancelled), CancelScope():
        raise Cancelled("somebody else's")


def test_a_scope_takes_its_cancelled_out_of_an_exception_group() -> None:
    """Of a group, the scope removes its Cancelled and lets the real errors go on."""
    with pytest.raises(ExceptionGroup) as caught, CancelScope() as scope:
        scope.cancel()
        raise BaseExceptionGroup("mixed", [Cancelled(), ZeroDivisionError()])
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]

    with CancelScope() as scope:
        scope.cancel()
        raise BaseExceptionGroup("only ours", [Cancelled(), Cancelled()])
    assert scope.cancelled_caught


def test_a_scope_covers_one_block() -> None:
    """Entering a scope twice is a mistake and says so."""
    with CancelScope() as scope, pytest.raises(RuntimeError):
        scope.__enter__()


# --- reason -----------------------------------------------------------------------------------------------------


def test_the_reason_of_the_first_cancel_stays() -> None:
    """Cancel is idempotent; scope.reason and Cancelled.reason are what the first call gave."""
    why = object()
    with CancelScope() as scope:
        scope.cancel(why)
        scope.cancel("later")
        with pytest.raises(Cancelled) as caught:
            check_cancelled()
        assert caught.value.reason is why
    assert scope.reason is why


def test_the_reason_reaches_inner_scopes() -> None:
    """A wait under an inner scope learns the outer scope's reason."""
    with CancelScope() as outer:
        outer.cancel("closing time")
        with CancelScope(), pytest.raises(Cancelled) as caught:
            sleep(HOUR)
        assert caught.value.reason == "closing time"


def test_the_reason_of_a_passed_deadline_is_a_deadline_exceeded() -> None:
    """Who asks why finds a DeadlineExceeded."""
    with move_on_after(0) as scope:
        sleep(HOUR)
    assert isinstance(scope.reason, DeadlineExceeded)


# --- nesting and shields ----------------------------------------------------------------------------------------


def test_an_outer_cancel_passes_through_the_inner_scope() -> None:
    """The scope that was cancelled catches; the inner one is only passed."""
    with CancelScope() as outer, CancelScope() as inner:
        outer.cancel()
        sleep(HOUR)
    assert outer.cancelled_caught
    assert not inner.cancelled_caught
    assert not inner.cancel_called


def test_an_inner_cancel_stops_at_the_inner_scope() -> None:
    """Cancelling an inner scope leaves the outer one alone."""
    with CancelScope() as outer:
        with CancelScope() as inner:
            inner.cancel()
            sleep(HOUR)
        check_cancelled()
    assert inner.cancelled_caught
    assert not outer.cancel_called


def test_both_cancelled_ends_at_the_outer_scope() -> None:
    """When both are cancelled the Cancelled leaves the outer block: code between the two does not go on."""
    between = False
    with CancelScope() as outer:
        with CancelScope() as inner:
            inner.cancel()
            outer.cancel()
            sleep(HOUR)
        check_cancelled()
        between = True
    assert not between
    assert outer.cancelled_caught


def test_a_shield_keeps_the_outer_cancel_out() -> None:
    """In a shielded scope waits go on undisturbed; right after it the cancel is felt."""
    with CancelScope() as outer:
        outer.cancel()
        with CancelScope(shield=True):
            check_cancelled()
            sleep(0.001)
        check_cancelled()
    assert outer.cancelled_caught


def test_a_shield_keeps_an_outer_cancel_out_while_waiting() -> None:
    """A wait already parked in a shield sleeps through the outer cancel."""
    done: list[str] = []

    def work() -> None:
        with outer:
            with CancelScope(shield=True) as inner:
                inner_scope.append(inner)
                sleep(HOUR)
            done.append("shielded part over")
            sleep(HOUR)

    outer, inner_scope = CancelScope(), list[CancelScope]()
    working = start(work)
    working.wait_parked()
    outer.cancel()
    working.wait_parked()
    assert not done
    inner_scope[0].cancel()
    working.result()
    assert done
    assert outer.cancelled_caught


def test_a_shield_has_its_own_deadline_only() -> None:
    """Outer deadlines stop at a shield; its own counts."""
    with fail_after(HOUR) as outer:
        with CancelScope(shield=True):
            assert current_deadline() == math.inf
        with CancelScope(timeout=1.0, shield=True) as inner:
            assert current_deadline() == inner.deadline
        with CancelScope():
            assert current_deadline() == outer.deadline
        with CancelScope(timeout=0, shield=True) as inner:
            sleep(HOUR)
    assert inner.cancelled_caught


# --- deadlines --------------------------------------------------------------------------------------------------


def test_move_on_after_leaves_quietly() -> None:
    """A passed deadline ends the block without an error."""
    began = time.monotonic()
    with move_on_after(0.02) as scope:
        sleep(HOUR)
    assert scope.cancelled_caught
    assert 0.02 <= time.monotonic() - began < 0.02 + PROMPT


def test_fail_after_raises_deadline_exceeded() -> None:
    """A passed deadline is a DeadlineExceeded, which is a TimeoutError."""
    began = time.monotonic()
    with pytest.raises(TimeoutError) as caught, fail_after(0.02):
        sleep(HOUR)
    assert type(caught.value) is DeadlineExceeded
    assert 0.02 <= time.monotonic() - began < 0.02 + PROMPT


def test_fail_after_of_work_done_in_time_is_silent() -> None:
    """Work that ends, ends well, even if the deadline passed meanwhile without anybody looking."""
    with fail_after(HOUR):
        sleep(0)
    with fail_after(0):
        pass


def test_fail_after_that_is_cancelled_by_hand_is_left_quietly() -> None:
    """An explicit cancel of a fail_after scope is a cancel, not a missed deadline."""
    with fail_after(HOUR) as scope:
        scope.cancel()
        sleep(HOUR)
    assert scope.cancelled_caught


def test_none_means_no_deadline() -> None:
    """move_on_after(None) and fail_after(None) never run out."""
    with move_on_after(None) as quiet, fail_after(None) as loud:
        assert current_deadline() == math.inf
    assert quiet.deadline == loud.deadline == math.inf


def test_a_deadline_counts_from_entering() -> None:
    """A scope made early and entered late has its whole timeout left."""
    scope = move_on_after(HOUR)
    made = time.monotonic()
    wait_until(lambda: time.monotonic() > made)
    with scope:
        assert scope.deadline > made + HOUR


def test_current_deadline_is_the_nearest() -> None:
    """Of nested deadlines the nearest applies, inner or outer; outside there is none."""
    assert current_deadline() == math.inf
    with move_on_after(HOUR) as outer:
        with move_on_after(2 * HOUR):
            assert current_deadline() == outer.deadline
        with move_on_after(1.0) as inner:
            assert current_deadline() == inner.deadline
        assert current_deadline() == outer.deadline
    assert current_deadline() == math.inf


def test_an_outer_deadline_ends_an_inner_wait() -> None:
    """An inner, later deadline does not prolong the outer one; the outer scope catches."""
    with move_on_after(0.02) as outer, move_on_after(HOUR) as inner:
        sleep(HOUR)
    assert outer.cancelled_caught
    assert not inner.cancelled_caught


def test_a_deadline_may_be_set_later() -> None:
    """Setting the deadline of an entered scope takes effect at once, on what is already parked under it too."""

    def work() -> None:
        with scope, CancelScope():
            sleep(HOUR)

    scope = CancelScope()
    working = start(work)
    working.wait_parked()
    scope.deadline = time.monotonic() + 0.02
    working.result(patience=PROMPT + 0.02)
    assert scope.cancelled_caught


def test_a_deadline_may_be_put_off() -> None:
    """A deadline moved away in time does not fire; one moved away for good leaves none."""

    def work() -> None:
        with scope:
            sleep(HOUR)

    scope = move_on_after(0.3)
    working = start(work)
    working.wait_parked()
    before = scope.deadline
    scope.deadline = math.inf
    wait_until(lambda: time.monotonic() > before + 0.05)
    working.wait_parked()
    scope.cancel()
    working.result()


@pytest.mark.parametrize("seconds", [math.nan])
def test_a_timeout_that_is_not_a_number_is_refused(seconds: float) -> None:
    """NaN compares false with everything and would never fire: it is a ValueError."""
    with pytest.raises(ValueError, match="NaN"):
        move_on_after(seconds)
    with pytest.raises(ValueError, match="NaN"):
        CancelScope().deadline = seconds


def test_setting_a_deadline_never_loses_a_concurrent_cancel() -> None:
    """A cancel that lands while another thread is half-way through setting the deadline is still felt."""

    class Meddling(float):
        """A deadline that cancels the scope in the middle of whatever is done with it."""

        def __ne__(self, other: object) -> bool:
            scope.cancel()
            return float(self) != other

        __hash__ = float.__hash__

    with CancelScope() as scope:
        scope.deadline = Meddling(math.inf)
        with pytest.raises(Cancelled):
            sleep(0.1)


# --- threads ----------------------------------------------------------------------------------------------------


def test_cancel_from_another_thread_wakes_the_sleeper() -> None:
    """Cancel may be called from any thread, and what is parked under the scope wakes promptly."""

    def work() -> float:
        with CancelScope() as inner:
            scopes.append(inner)
            sleep(HOUR)
        return time.monotonic()

    scopes: list[CancelScope] = []
    workings = [start(work) for _ in range(4)]
    for working in workings:
        working.wait_parked()
    cancelled_at = time.monotonic()
    for inner in scopes:
        inner.cancel()
    for working in workings:
        assert working.result() - cancelled_at < PROMPT


def test_cancel_wakes_all_threads_that_share_a_scope() -> None:
    """Threads that run in copies of one context are all under its scope and all wake."""
    with CancelScope() as scope:
        workings = [start(contextvars.copy_context().run, sleep, HOUR) for _ in range(4)]
        for working in workings:
            working.wait_parked()
        scope.cancel("all of you")
        for working in workings:
            assert working.error(Cancelled).reason == "all of you"


def test_concurrent_cancels_agree_on_one_reason() -> None:
    """Of many threads that cancel at once, exactly one gives the reason, and it does not change again."""
    for _ in range(20):
        scope = CancelScope()
        barrier = threading.Barrier(4)

        def cancel(number: int, scope: CancelScope = scope, barrier: threading.Barrier = barrier) -> object:
            barrier.wait(PATIENCE)
            scope.cancel(number)
            return scope.reason

        reasons = [working.result() for working in [start(cancel, number) for number in range(4)]]
        assert set(reasons) == {scope.reason}


def test_cancel_may_be_called_while_scopes_come_and_go_below() -> None:
    """No scope entered concurrently with the cancel escapes it."""
    for _ in range(50):
        outer = CancelScope()
        entered = threading.Event()

        def work(outer: CancelScope = outer, entered: threading.Event = entered) -> None:
            with outer:
                entered.set()
                while True:
                    with CancelScope(), CancelScope(timeout=HOUR):
                        check_cancelled()

        working = start(work)
        assert entered.wait(PATIENCE)
        outer.cancel()
        working.result()
        assert outer.cancelled_caught


def test_sleep_refuses_a_negative_length() -> None:
    """A negative or NaN sleep is a mistake, as with time.sleep."""
    for seconds in (-1.0, math.nan):
        with pytest.raises(ValueError, match="non-negative"):
            sleep(seconds)


def test_sleep_lasts_as_long_as_it_says() -> None:
    """Sleep blocks for at least its seconds and returns None."""
    began = time.monotonic()
    assert sleep(0.02) is None  # type: ignore[func-returns-value]
    assert time.monotonic() - began >= 0.02


# --- on_cancel --------------------------------------------------------------------------------------------------


class Call:
    """A foreign blocking call: knows nothing of scopes, can be interrupted from another thread."""

    def __init__(self, error: Exception | None = None) -> None:
        self.began = threading.Event()
        self._interrupted = threading.Event()
        self._error = error
        self.interruptions: list[str] = []

    def interrupt(self) -> None:
        self.interruptions.append(threading.current_thread().name)
        self._interrupted.set()

    def __call__(self) -> str:
        self.began.set()
        assert self._interrupted.wait(PATIENCE), "nobody interrupted the foreign call"
        if self._error is not None:
            raise self._error
        return "done all the same"


def run_under(scope: CancelScope, call: Call) -> str | None:
    with scope, on_cancel(call.interrupt):
        return call()
    return None


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_on_cancel_interrupts_a_foreign_call(how: str) -> None:
    """The callback runs on cancel and on a passed deadline; the call's error then is a Cancelled."""
    call = Call(OSError("query interrupted"))
    scope = CancelScope()
    if how == "deadline":
        scope = move_on_after(0.02)
    running = start(run_under, scope, call)
    if how == "cancel":
        assert call.began.wait(PATIENCE)
        scope.cancel()
    assert running.result() is None
    assert scope.cancelled_caught
    assert len(call.interruptions) == 1


def test_on_cancel_chains_the_error_of_the_body() -> None:
    """The ordinary exception the interrupted call failed with is the cause of Cancelled."""
    call = Call(OSError("query interrupted"))

    def work() -> None:
        with scope:
            with pytest.raises(Cancelled) as caught, on_cancel(call.interrupt):
                call()
            causes.append(caught.value.__cause__)
            check_cancelled()

    scope, causes = CancelScope(), list[BaseException | None]()
    running = start(work)
    assert call.began.wait(PATIENCE)
    scope.cancel()
    running.result()
    assert causes == [call._error]


def test_on_cancel_leaves_a_body_that_succeeds_alone() -> None:
    """A call that finished in spite of the interruption keeps its result."""
    call, scope = Call(), CancelScope()
    running = start(run_under, scope, call)
    assert call.began.wait(PATIENCE)
    scope.cancel()
    assert running.result() == "done all the same"


def test_on_cancel_at_entry_raises() -> None:
    """Under a scope that is cancelled already the body is not begun and the callback not called."""
    called: list[int] = []
    began = False
    with CancelScope() as scope:
        scope.cancel()
        with on_cancel(lambda: called.append(1)):
            began = True
    assert scope.cancelled_caught
    assert not began
    assert not called


def test_on_cancel_runs_in_a_thread_of_its_own_and_once() -> None:
    """The callback runs in neither the cancelling nor the cancelled thread, and only once for many cancels."""
    called: list[int] = []

    def work() -> int:
        with scope, on_cancel(lambda: called.append(threading.get_ident())):
            inside.set()
            wait_until(lambda: called)
            scope.cancel()
        return threading.get_ident()

    scope, inside = CancelScope(), threading.Event()
    running = start(work)
    assert inside.wait(PATIENCE)
    scope.cancel()
    scope.cancel()
    worker = running.result()
    assert len(called) == 1
    assert called[0] not in (worker, threading.get_ident())


def test_on_cancel_leaving_the_block_waits_for_the_callback() -> None:
    """A callback that has begun has ended when the block is left: it never hits the connection's next user."""
    began, may_end = threading.Event(), threading.Event()
    ended: list[bool] = []

    def callback() -> None:
        began.set()
        assert may_end.wait(PATIENCE)
        ended.append(True)

    def work() -> bool:
        with scope, on_cancel(callback):
            inside.set()
            assert began.wait(PATIENCE)
        return bool(ended)

    scope, inside = CancelScope(), threading.Event()
    running = start(work)
    assert inside.wait(PATIENCE)
    scope.cancel()
    assert began.wait(PATIENCE)
    running.wait_parked()
    may_end.set()
    assert running.result() is True


def test_on_cancel_does_not_run_after_the_block() -> None:
    """A cancel after the block was left calls nothing."""
    called: list[int] = []
    with CancelScope() as scope:
        with on_cancel(lambda: called.append(1)):
            pass
        scope.cancel()
    assert not called


def test_on_cancel_without_a_scope_does_nothing() -> None:
    """Outside any scope there is nothing to react to."""
    with on_cancel(lambda: pytest.fail("called without a scope")):
        pass


def test_on_cancel_is_called_for_an_outer_cancel_but_not_through_a_shield() -> None:
    """Cancelling an outer scope interrupts; a shield between the two keeps it out."""
    call, outer = Call(OSError()), CancelScope()

    def under_inner() -> None:
        with outer, CancelScope(), on_cancel(call.interrupt):
            call()

    running = start(under_inner)
    assert call.began.wait(PATIENCE)
    outer.cancel()
    running.result()
    assert len(call.interruptions) == 1

    called: list[int] = []
    with CancelScope() as outer, CancelScope(shield=True), on_cancel(lambda: called.append(1)):
        outer.cancel()
    assert not called


def test_on_cancel_callback_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the callback is logged, not lost and not raised into the canceller."""
    ran = threading.Event()

    def callback() -> None:
        ran.set()
        raise ZeroDivisionError

    with caplog.at_level(logging.WARNING, logger="penstock.cancel"), CancelScope() as scope, on_cancel(callback):
        scope.cancel()
        assert ran.wait(PATIENCE)
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


def test_two_on_cancel_blocks_nest() -> None:
    """Each block has its own callback; both run."""
    called: list[str] = []
    with CancelScope() as scope, on_cancel(lambda: called.append("outer")), on_cancel(lambda: called.append("inner")):
        scope.cancel()
        wait_until(lambda: len(called) == 2)
    assert sorted(called) == ["inner", "outer"]
