"""The byte budget: how much may be in flight, who waits, who goes first."""

from __future__ import annotations

import threading

import pytest

from penstock.core.budget import Budget
from penstock.core.cancel import CancelScope
from penstock.errors import BudgetExceeded
from tests.core.threads import Running, start, wait_until


def acquiring(budget: Budget, size_bytes: int) -> Running[None]:
    """A thread that is parked in acquire."""
    running = start(budget.acquire, size_bytes)
    running.wait_parked()
    return running


def test_what_fits_is_taken_at_once() -> None:
    """Claims up to the limit do not block; used and peak count them."""
    budget = Budget(10)
    budget.acquire(4)
    budget.acquire(6)
    assert (budget.limit_bytes, budget.used_bytes, budget.peak_bytes) == (10, 10, 10)
    budget.release(6)
    budget.release(4)
    assert (budget.used_bytes, budget.peak_bytes) == (0, 10)


def test_what_does_not_fit_waits_for_a_release() -> None:
    """Acquire returns when enough has been given back, not before."""
    budget = Budget(10)
    budget.acquire(8)
    waiting = acquiring(budget, 5)
    budget.release(2)
    waiting.wait_parked()
    budget.release(1)
    waiting.result()
    assert budget.used_bytes == 10


def test_first_come_first_served() -> None:
    """A large claim is not starved by small ones that would fit."""
    budget = Budget(10)
    budget.acquire(6)
    large = acquiring(budget, 9)
    small = acquiring(budget, 1)
    budget.release(6)
    large.result()
    small.result()
    assert budget.used_bytes == 10


def test_a_cancelled_claim_takes_nothing_and_lets_the_next_go() -> None:
    """Whoever was queued behind it is served at once."""
    budget = Budget(10)
    budget.acquire(6)
    scope = CancelScope()

    def claim() -> None:
        with scope:
            budget.acquire(9)

    large = start(claim)
    large.wait_parked()
    small = acquiring(budget, 4)
    scope.cancel()
    large.result()
    small.result()
    assert budget.used_bytes == 10


def test_one_value_larger_than_the_budget_is_refused() -> None:
    """No amount of waiting would help: BudgetExceeded at once, also when the budget is in use."""
    budget = Budget(10)
    budget.acquire(3)
    with pytest.raises(BudgetExceeded):
        budget.acquire(11)
    assert budget.used_bytes == 3


def test_reserve_gives_back_on_every_way_out() -> None:
    """``with budget.reserve(n)`` releases, error or not."""
    budget = Budget(10)
    with budget.reserve(10):
        assert budget.used_bytes == 10
    with pytest.raises(ZeroDivisionError), budget.reserve(5):
        raise ZeroDivisionError
    assert budget.used_bytes == 0


@pytest.mark.parametrize("limit", [0, -1])
def test_a_budget_of_nothing_is_refused(limit: int) -> None:
    """It could never be used."""
    with pytest.raises(ValueError, match="limit_bytes"):
        Budget(limit)


def test_releasing_more_than_was_taken_is_a_mistake() -> None:
    """It is refused and changes nothing, as is a negative claim."""
    budget = Budget(10)
    budget.acquire(3)
    with pytest.raises(ValueError, match="release"):
        budget.release(4)
    with pytest.raises(ValueError, match="release"):
        budget.release(-1)
    with pytest.raises(ValueError, match="size_bytes"):
        budget.acquire(-1)
    assert budget.used_bytes == 3


def test_the_limit_holds_under_contention() -> None:
    """Eight threads that take and give at random never exceed the limit, and all get through."""
    budget = Budget(100)
    most: list[int] = []
    barrier = threading.Barrier(8)

    def work(seed: int) -> None:
        barrier.wait(10)
        for step in range(100):
            size = 1 + (seed * 31 + step * 17) % 60
            with budget.reserve(size):
                most.append(budget.used_bytes)

    for running in [start(work, seed) for seed in range(8)]:
        running.result()
    assert max(most) <= 100
    assert budget.peak_bytes <= 100
    wait_until(lambda: budget.used_bytes == 0)
