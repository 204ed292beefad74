"""Blocks of threads in a given order, and what happens when the order cannot be kept."""

from __future__ import annotations

import pytest

import penstock
from penstock.testing import Sequencer
from tests.core.threads import PROMPT, start


def test_blocks_run_in_their_order() -> None:
    """Whoever starts first, position 0 comes first, then 1, and so on, across threads."""
    order, seen = Sequencer(), []

    def take(*positions: int) -> None:
        for position in positions:
            with order(position):
                seen.append(position)

    threads = [start(take, 2, 4), start(take, 1, 3, 5), start(take, 0)]
    for thread in threads:
        thread.result()
    assert seen == [0, 1, 2, 3, 4, 5]


def test_a_block_begins_when_the_one_before_was_left() -> None:
    """Not already when that has begun."""
    order, seen = Sequencer(), []

    def second() -> None:
        with order(1):
            seen.append("second")

    waiting = start(second)
    with order(0):
        waiting.wait_parked()
        seen.append("first")
    waiting.result()
    assert seen == ["first", "second"]


def test_a_block_that_fails_wakes_everybody() -> None:
    """Nobody waits for a block that will not come; the failure is told as the reason."""
    order, failure = Sequencer(), ValueError("the first one failed")

    def wait_for(position: int) -> None:
        with order(position):
            raise AssertionError("its turn never comes")

    waiting = [start(wait_for, 1), start(wait_for, 2)]
    for thread in waiting:
        thread.wait_parked()
    with pytest.raises(ValueError, match="the first one failed"), order(0):
        raise failure
    for thread in waiting:
        assert thread.error(RuntimeError).__cause__ is not None
    with pytest.raises(RuntimeError, match="position 3 of the sequence never came"), order(3):
        pass


def test_a_cancel_ends_the_wait_and_breaks_the_order() -> None:
    """The one who waited is cancelled, the others are told."""
    order, scope = Sequencer(), penstock.CancelScope()

    def cancelled() -> None:
        with scope, order(1):
            raise AssertionError("its turn never comes")

    def other() -> None:
        with order(2):
            raise AssertionError("its turn never comes")

    first, second = start(cancelled), start(other)
    first.wait_parked()
    second.wait_parked()
    scope.cancel()
    first.result(PROMPT)
    assert scope.cancelled_caught
    assert isinstance(second.error(RuntimeError, PROMPT).__cause__, penstock.Cancelled)


def test_a_position_is_taken_once() -> None:
    """A second taker would wait for ever, or run at the same time."""
    order = Sequencer()
    with order(0):
        pass
    for position in (0, -1):
        with pytest.raises(RuntimeError, match="taken already"):
            order(position)
