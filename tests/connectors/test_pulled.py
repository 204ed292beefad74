"""What a call hands to a callback, pulled: in turns, with its error, and nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from penstock.connectors._pulled import pulled
from penstock.core.cancel import CancelScope, sleep
from penstock.errors import Cancelled

VALUE: ContextVar[str] = ContextVar("VALUE", default="nothing")


def test_items_come_in_their_order_and_one_at_a_time() -> None:
    """The call goes on when the next item is asked for, and not before."""
    made: list[int] = []

    def produce(hand_over: Callable[[int], None]) -> None:
        for number in range(5):
            made.append(number)
            hand_over(number)

    with pulled(produce, "test") as items:
        for number in items:
            assert made == [*range(number + 1)]
    assert made == [*range(5)]


def test_its_error_is_raised_where_items_are_pulled() -> None:
    """The same object, after the items before it."""
    error = ValueError("half-way")

    def produce(hand_over: Callable[[str], None]) -> None:
        hand_over("first")
        raise error

    with pulled(produce, "test") as items:
        assert next(items) == "first"
        with pytest.raises(ValueError, match="half-way") as caught:
            next(items)
    assert caught.value is error


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_leaving_early_cancels_it_and_waits_for_its_end(taken: int) -> None:
    """Whether it waits to be asked, or works."""
    ended = []

    def produce(hand_over: Callable[[int], None]) -> None:
        try:
            hand_over(1)
            hand_over(2)
            sleep(1000)
        finally:
            ended.append(threading.current_thread())

    with pulled(produce, "test") as items:
        for _ in range(taken):
            next(items)
    assert len(ended) == 1
    assert not ended[0].is_alive()


def test_an_error_of_the_block_is_raised_as_it_is() -> None:
    """After the call has ended."""
    with pytest.raises(KeyError), pulled(lambda hand_over: hand_over(1), "test") as items:
        next(items)
        raise KeyError
    assert "test" not in [thread.name for thread in threading.enumerate()]


def test_it_runs_in_the_context_and_scope_of_the_caller() -> None:
    """A cancel reaches it where it works; who waits for an item is cancelled, too."""
    seen = []

    def produce(hand_over: Callable[[str], None]) -> None:
        hand_over(VALUE.get())
        try:
            sleep(1000)
        except Cancelled:
            seen.append("cancelled")
            raise

    VALUE.set("the caller's")
    with CancelScope() as scope, pulled(produce, "test") as items:
        assert next(items) == "the caller's"
        threading.Timer(0.05, scope.cancel).start()
        next(items)
    assert scope.cancelled_caught
    assert seen == ["cancelled"]


def test_who_waits_is_always_cancelled_itself() -> None:
    """And does not hear first that the call has ended."""
    for _ in range(100):
        with CancelScope() as scope, pulled(lambda _hand_over: sleep(1000), "test") as items:
            canceller = threading.Thread(target=scope.cancel)
            canceller.start()
            next(items)
        canceller.join()
        assert scope.cancelled_caught


def test_nothing_handed_over_is_no_item() -> None:
    """And the thread has the name it was given."""
    names = []
    with pulled(lambda _hand_over: names.append(threading.current_thread().name), "test") as items:
        assert list(items) == []
    assert names == ["test"]
