"""What every test of ``penstock.core`` gets: a watchdog, and a proof that it left no thread behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.threads import all_stacks, wait_until

WATCHDOG_SECONDS = 60
"""No test here takes more than a few seconds; one that takes this long hangs."""

IDLE_BY_DESIGN = ("AnyIO worker thread", "Trio thread", "asyncio_", "pytest_timeout", "Thread-auto-flush")
"""Names of threads that other libraries keep on purpose and let expire."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of this folder the watchdog, unless it has its own."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(WATCHDOG_SECONDS))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both event loops."""
    backend: str = request.param
    return backend


def _strays(before: set[threading.Thread]) -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before and not thread.name.startswith(IDLE_BY_DESIGN)
    ]


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """A test whose threads outlive it fails, with their stacks."""
    before = set(threading.enumerate())
    yield
    try:
        wait_until(lambda: not _strays(before), patience=5.0)
    except AssertionError:
        pytest.fail(f"threads left behind: {_strays(before)}\n{all_stacks()}")
