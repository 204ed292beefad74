"""A trio worker is idle when it has nothing to do, and not when it has only not begun."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import pytest
import trio
import trio._core._thread_cache as cache  # the rule that is tested is about its private parts

from penstock.leaks import find_leaks, snapshot
from penstock.leaks._defaults import DEFAULT_IGNORES
from penstock.leaks._finders.threads import ThreadFinder
from penstock.leaks._ignore import ignored
from tests.core.threads import wait_until


def is_passed_over(thread: threading.Thread) -> bool:
    """Whether the default rules take it for one that idles, where it is now."""
    [straggler] = [found for found in ThreadFinder().stragglers(None) if found.identity[1] == thread.ident]
    return ignored(straggler, DEFAULT_IGNORES)


def test_a_worker_with_a_job_that_it_has_not_picked_up_is_no_idle_one() -> None:
    """It is about to do what it was given, which is what there is to find; before and after, it idles."""
    worker = cache.WorkerThread[None](cache.ThreadCache())
    done: list[object] = []
    wait_until(lambda: is_passed_over(worker._thread))
    worker._job = (lambda: None, done.append, None)  # as the cache does it, which then lets the worker go on
    assert not is_passed_over(worker._thread)
    worker._worker_lock.release()
    wait_until(lambda: done and is_passed_over(worker._thread))


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """None that idles since an earlier test, and would be no new thread."""
    monkeypatch.setattr(cache, "THREAD_CACHE", cache.ThreadCache())


@pytest.mark.usefixtures("no_workers")
def test_a_thread_abandoned_before_it_began_is_found() -> None:
    """Its deadline passed before the machine came to start its work."""
    answers: queue.Queue[str] = queue.Queue()

    async def program(work: Callable[[], str]) -> None:
        with trio.CancelScope() as scope:
            scope.deadline = trio.current_time()
            await trio.to_thread.run_sync(work, abandon_on_cancel=True)

    before = snapshot()
    trio.run(program, answers.get)
    assert len(find_leaks(since=before).leaks) == 1
    answers.put("let go")
    wait_until(lambda: not find_leaks(since=before, grace=0).leaks)
