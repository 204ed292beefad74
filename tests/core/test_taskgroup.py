"""Owned threads: what starts in a TaskGroup ends in it, and what goes wrong in it leaves it. After trio and errgroup."""

from __future__ import annotations

import concurrent.futures
import contextvars
import logging
import threading
from collections.abc import Callable

import pytest

from penstock import sleep
from penstock.core.cancel import CancelScope, check_cancelled, fail_after, move_on_after
from penstock.core.channel import channel
from penstock.core.pipe import pipe
from penstock.core.taskgroup import TaskGroup
from penstock.errors import Cancelled, DeadlineExceeded
from tests.core.threads import PATIENCE, PROMPT, start, wait_until

HOUR = 3600.0
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class FailedHalfWay(Exception):
    """What goes wrong in a child."""


def fail(error: BaseException) -> None:
    raise error


def only_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one leaf of a group."""
    assert len(group.exceptions) == 1, group.exceptions
    return group.exceptions[0]


def test_an_empty_group_is_fine() -> None:
    """No children, no effect."""
    with TaskGroup():
        pass


def test_children_run_and_are_waited_for() -> None:
    """When the block is left every child has ended; futures hold their results."""
    gate = threading.Event()
    ended: list[int] = []

    def child(number: int) -> int:
        assert gate.wait(PATIENCE)
        ended.append(number)
        return number * 2

    with TaskGroup() as group:
        futures = [group.start_soon(child, number) for number in range(5)]
        assert not ended
        gate.set()
    assert sorted(ended) == [0, 1, 2, 3, 4]
    assert [future.result() for future in futures] == [0, 2, 4, 6, 8]


def test_children_run_concurrently_in_threads_of_their_own() -> None:
    """A barrier of all children and the block only opens if they all run at once."""
    barrier = threading.Barrier(4)
    with TaskGroup() as group:
        for _ in range(3):
            group.start_soon(barrier.wait, PATIENCE)
        barrier.wait(PATIENCE)


def test_start_soon_passes_arguments_and_names_the_thread() -> None:
    """Positional arguments reach the function, name= the thread."""
    with TaskGroup() as group:
        future = group.start_soon(lambda *args: (args, threading.current_thread().name), 1, "two", name="worker-x")
    arguments, name = future.result()
    assert arguments == (1, "two")
    assert "worker-x" in name


def test_the_future_is_a_concurrent_future() -> None:
    """concurrent.futures.wait and as_completed work with it."""
    with TaskGroup() as group:
        futures = [group.start_soon(int, number) for number in range(3)]
        assert all(isinstance(future, concurrent.futures.Future) for future in futures)
        done, pending = concurrent.futures.wait(futures, PATIENCE)
        assert len(done) == 3
        assert not pending
        assert {future.result() for future in concurrent.futures.as_completed(futures, PATIENCE)} == {0, 1, 2}


def test_a_failing_child_raises_an_exception_group() -> None:
    """Even a single error leaves in an ExceptionGroup, the same object inside, its traceback intact."""
    error = FailedHalfWay()
    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        group.start_soon(fail, error)
    assert only_error(caught.value) is error
    assert error.__traceback__ is not None


def test_the_first_failure_cancels_the_siblings() -> None:
    """The others wake in their penstock waits; their Cancelled is no error."""
    seen: list[str] = []

    def wait() -> None:
        try:
            sleep(HOUR)
        except Cancelled:
            seen.append("cancelled")
            raise

    gate = threading.Event()

    def fail_later() -> None:
        assert gate.wait(PATIENCE)
        raise FailedHalfWay

    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        for _ in range(3):
            group.start_soon(wait)
        group.start_soon(fail_later)
        gate.set()
    assert isinstance(only_error(caught.value), FailedHalfWay)
    assert len(seen) <= 3


def test_a_failing_child_wakes_the_block() -> None:
    """The block itself is cancelled where it waits; only the child's error leaves."""
    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        group.start_soon(fail, FailedHalfWay())
        sleep(HOUR)
    assert isinstance(only_error(caught.value), FailedHalfWay)


def test_a_failing_child_wakes_siblings_in_every_kind_of_wait() -> None:
    """Pipe and channel waits of siblings end, too, so the group can be left."""
    reader, writer = pipe()
    send, receive = channel()

    def fail_when_all_wait() -> None:
        wait_until(lambda: reader.statistics().readers_waiting and receive.statistics().tasks_waiting_receive)
        raise FailedHalfWay

    with reader, writer, send, receive:
        with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
            group.start_soon(reader.read, 1)
            group.start_soon(receive.receive)
            group.start_soon(fail_when_all_wait)
        assert isinstance(only_error(caught.value), FailedHalfWay)


def test_a_failing_block_cancels_the_children() -> None:
    """The block's exception leaves in the group, after the children have ended."""
    ended = threading.Event()

    def wait() -> None:
        try:
            sleep(HOUR)
        finally:
            ended.set()

    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        group.start_soon(wait)
        raise FailedHalfWay
    assert ended.is_set()
    assert isinstance(only_error(caught.value), FailedHalfWay)


def test_all_errors_are_collected() -> None:
    """Children that fail together, and the block, are all in the group."""
    barrier = threading.Barrier(3)

    def fail_together(number: int) -> None:
        barrier.wait(PATIENCE)
        raise FailedHalfWay(number)

    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        group.start_soon(fail_together, 1)
        group.start_soon(fail_together, 2)
        barrier.wait(PATIENCE)
        raise KeyError("block")
    kinds = sorted(type(error).__name__ for error in caught.value.exceptions)
    assert kinds == ["FailedHalfWay", "FailedHalfWay", "KeyError"]


def test_an_error_while_cleaning_up_is_collected() -> None:
    """A sibling that fails in answer to its cancellation is heard."""
    entered = threading.Event()

    def clean_up_badly() -> None:
        try:
            entered.set()
            sleep(HOUR)
        except Cancelled:
            raise KeyError("clean-up") from None

    def fail_after_that() -> None:
        assert entered.wait(PATIENCE)
        raise FailedHalfWay

    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        group.start_soon(clean_up_badly)
        group.start_soon(fail_after_that)
    assert sorted(type(error).__name__ for error in caught.value.exceptions) == ["FailedHalfWay", "KeyError"]


def test_cancel_scope_of_the_group_stops_it_quietly() -> None:
    """Cancelling the group by hand ends children and block without an error."""
    with TaskGroup() as group:
        futures = [group.start_soon(sleep, HOUR) for _ in range(3)]
        group.cancel_scope.cancel("enough")
        sleep(HOUR)
    assert group.cancel_scope.cancelled_caught
    assert group.cancel_scope.reason == "enough"
    assert all(future.done() for future in futures)


def test_a_cancel_from_outside_passes_through() -> None:
    """An outer cancel ends the group and is caught by the outer scope; code after the group does not run."""
    with CancelScope() as outer:
        with TaskGroup() as group:
            group.start_soon(sleep, HOUR)
            outer.cancel()
        pytest.fail("the block after the group ran on")
    assert outer.cancelled_caught


def test_a_deadline_around_the_group_is_a_deadline() -> None:
    """fail_after around it raises DeadlineExceeded, bare."""
    with pytest.raises(DeadlineExceeded), fail_after(0.05), TaskGroup() as group:
        group.start_soon(sleep, HOUR)
        sleep(HOUR)


def test_a_deadline_while_the_block_waits_for_a_childs_result_is_a_deadline() -> None:
    """future.result() of a child that the deadline cancelled raises Cancelled too, not CancelledError in a group."""
    for _ in range(20):
        with pytest.raises(DeadlineExceeded), fail_after(0.01), TaskGroup() as group:
            group.start_soon(sleep, HOUR).result()


def test_a_deadline_and_a_failure_is_a_failure() -> None:
    """An error that happened while time ran out is not swallowed by move_on_after."""

    def fail_when_cancelled() -> None:
        try:
            sleep(HOUR)
        except Cancelled:
            raise FailedHalfWay from None

    with pytest.raises(ExceptionGroup) as caught, move_on_after(0.02), TaskGroup() as group:
        group.start_soon(fail_when_cancelled)
    assert isinstance(only_error(caught.value), FailedHalfWay)


def test_children_may_start_children() -> None:
    """start_soon works from inside a child; the group waits for those too."""
    ended: list[int] = []

    def child(depth: int) -> None:
        if depth:
            group.start_soon(child, depth - 1)
        ended.append(depth)

    with TaskGroup() as group:
        group.start_soon(child, 5)
    assert sorted(ended) == [0, 1, 2, 3, 4, 5]


def test_start_soon_outside_the_block_is_refused() -> None:
    """Before entering and after leaving there is no owner: an error, and the function does not run."""
    ran: list[int] = []
    group = TaskGroup()
    with pytest.raises(RuntimeError):
        group.start_soon(ran.append, 1)
    with group:
        pass
    with pytest.raises(RuntimeError):
        group.start_soon(ran.append, 1)
    assert not ran


def test_groups_nest() -> None:
    """An inner group's failure leaves it as a group and fails the outer one."""
    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as outer:
        outer.start_soon(sleep, HOUR)
        with TaskGroup() as inner:
            inner.start_soon(fail, FailedHalfWay())
    leaf = caught.value
    while isinstance(leaf, BaseExceptionGroup):
        leaf = only_error(leaf)  # type: ignore[assignment]
    assert isinstance(leaf, FailedHalfWay)


def test_context_variables_travel_and_do_not_leak_back() -> None:
    """A child sees the context of its start_soon; what it sets stays its own."""

    def child() -> str:
        seen = variable.get()
        variable.set("changed by the child")
        return seen

    token = variable.set("parent")
    try:
        with TaskGroup() as group:
            first = group.start_soon(child)
            variable.set("parent later")
            second = group.start_soon(child)
        assert (first.result(), second.result()) == ("parent", "parent later")
        assert variable.get() == "parent later"
    finally:
        variable.reset(token)


def test_a_child_that_is_done_before_the_failure_keeps_its_result() -> None:
    """Results of siblings that finished are there after the group raised."""
    with pytest.raises(ExceptionGroup), TaskGroup() as group:
        done = group.start_soon(int, 7)
        assert done.result(PATIENCE) == 7
        group.start_soon(fail, FailedHalfWay())
    assert done.result() == 7


def test_the_childs_error_is_on_its_future_too() -> None:
    """The same object as in the group."""
    error = FailedHalfWay()
    with pytest.raises(ExceptionGroup), TaskGroup() as group:
        future = group.start_soon(fail, error)
    assert future.exception() is error


def test_waiting_for_a_child_with_a_timeout() -> None:
    """result(timeout) raises DeadlineExceeded, a TimeoutError, and the child goes on."""
    gate = threading.Event()
    with TaskGroup() as group:
        future = group.start_soon(gate.wait, PATIENCE)
        with pytest.raises(TimeoutError) as caught:
            future.result(timeout=0.01)
        assert isinstance(caught.value, DeadlineExceeded)
        gate.set()
        assert future.result() is True


def test_no_thread_is_left() -> None:
    """After the block every child's thread is gone, normal or not."""
    threads: list[threading.Thread] = []

    def child(then: Callable[[], object]) -> None:
        threads.append(threading.current_thread())
        then()

    with TaskGroup() as group:
        group.start_soon(child, int)
    with pytest.raises(ExceptionGroup), TaskGroup() as group:
        group.start_soon(child, lambda: sleep(HOUR))
        wait_until(lambda: len(threads) == 2)
        group.start_soon(child, lambda: fail(FailedHalfWay()))
    assert len(threads) == 3
    assert not any(thread.is_alive() for thread in threads)


def test_a_child_stuck_in_foreign_code_is_named_with_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    """It is waited for, but not in silence."""
    gate = threading.Event()

    def stuck_in_foreign_code() -> None:
        assert gate.wait(PATIENCE)

    def work() -> None:
        with TaskGroup() as group:
            group.start_soon(stuck_in_foreign_code, name="stuck-one")
            group.cancel_scope.cancel()

    with caplog.at_level(logging.WARNING, logger="penstock"):
        running = start(work)
        wait_until(lambda: caplog.records)
        assert not running.done
        gate.set()
        running.result()
    message = caplog.records[0].getMessage()
    assert "stuck-one" in message
    assert "stuck_in_foreign_code" in message


def test_keyboard_interrupt_in_the_block_stays_a_keyboard_interrupt() -> None:
    """Ctrl-C cancels the children and leaves bare, as every handler of it expects."""
    with pytest.raises(KeyboardInterrupt), TaskGroup() as group:
        future = group.start_soon(sleep, HOUR)
        raise KeyboardInterrupt
    assert future.done()


def test_a_group_that_is_cancelled_before_it_starts_anything() -> None:
    """In a cancelled scope children are cancelled at their first wait, and nothing hangs."""
    with CancelScope() as scope:
        scope.cancel()
        with TaskGroup() as group:
            group.start_soon(sleep, HOUR)
            check_cancelled()
    assert scope.cancelled_caught


def test_many_children() -> None:
    """A hundred children all run and all end."""
    with TaskGroup() as group:
        futures = [group.start_soon(int, number) for number in range(100)]
    assert [future.result() for future in futures] == list(range(100))


def test_ending_takes_no_longer_than_the_contract() -> None:
    """Fifty parked children are gone promptly after a cancel."""
    with move_on_after(PATIENCE), TaskGroup() as group:
        for _ in range(50):
            group.start_soon(sleep, HOUR)
        group.cancel_scope.deadline = 0.0
    assert group.cancel_scope.cancel_called
    assert PROMPT < PATIENCE
