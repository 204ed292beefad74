"""Finding asyncio tasks that are not done, and saying what they wait for."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any

import anyio
import pytest

from penstock.leaks import trace_starts
from penstock.leaks._finders.tasks import AsyncioTaskStraggler
from penstock.leaks._report.model import Leak
from penstock.leaks._straggler import Verdict
from tests.leaks.tasks import (
    FINDER,
    LONG_SECONDS,
    Call,
    await_future,
    cancelled,
    found_names,
    get,
    settle,
    waiting,
)

_HELD: list[asyncio.Future[None]] = []


# -- where they are


async def values(queue: asyncio.Queue[int]) -> AsyncIterator[int]:
    while True:
        yield await queue.get()


class Wrapped:
    """Awaitable by way of a generator."""

    def __init__(self, inner: Awaitable[int]) -> None:
        self._inner = inner

    def __await__(self) -> Generator[Any, None, int]:
        return (yield from self._inner.__await__())


async def over_async_generator() -> None:
    async for _ in values(asyncio.Queue()):
        pass


async def over_anext() -> None:
    await anext(values(asyncio.Queue()), None)


async def over_asend() -> None:
    await values(asyncio.Queue()).asend(None)


async def over_wrapper() -> None:
    await Wrapped(asyncio.Queue[int]().get())


@pytest.mark.parametrize(
    ("call", "between"),
    [
        (over_async_generator, ["values"]),
        (over_anext, ["values"]),
        (over_asend, ["values"]),
        (over_wrapper, ["Wrapped.__await__"]),
    ],
)
def test_the_stack_goes_through_all_that_can_be_awaited(call: Call, between: list[str]) -> None:
    """Coroutines, generators and asynchronous generators are followed from the task to where it is suspended."""

    async def main() -> tuple[list[str], list[str]]:
        async with waiting(call) as straggler:
            return list(straggler.functions()), list(straggler.leak(0).stack)

    functions, stack = asyncio.run(main())
    own = [f"{__name__}.{name}" for name in (call.__name__, *between)]
    assert functions == ["asyncio.queues.Queue.get", *reversed(own)]
    assert [place.rpartition(" in ")[2] for place in stack] == [call.__name__, *between, "Queue.get"]
    assert stack[0].startswith(f"{__file__}:{inspect.getsourcelines(call)[1] + 1} in")


def test_it_says_who_started_a_task() -> None:
    """The line that made the task is told, and with tracing the calls that led there, and the function for rules."""

    async def main() -> tuple[Leak, str | None]:
        async with waiting(get, name="greeter") as straggler:
            return straggler.leak(0.25), straggler.created_by()

    with trace_starts():
        leak, created_by = asyncio.run(main())
    assert leak.kind == "task"
    assert leak.name == "greeter"
    assert leak.waited_seconds == 0.25
    assert (leak.started_at or "").endswith(" in waiting")
    assert any(place.endswith(" in test_it_says_who_started_a_task") for place in leak.start_stack)
    assert created_by == "tests.leaks.tasks.waiting"


# -- which are found


def test_tasks_there_before_those_done_and_the_one_that_asks_are_not_found() -> None:
    """What is found was made since the snapshot, is not done, and is not the task that asks."""

    async def ask(before: Any) -> set[str]:
        return found_names(before)

    async def main() -> set[str]:
        old = asyncio.create_task(get(), name="old")
        await settle()
        before = FINDER.baseline()
        fresh = asyncio.create_task(get(), name="fresh")
        done = asyncio.create_task(asyncio.sleep(0), name="done")
        await settle()
        try:
            return await asyncio.create_task(ask(before), name="asking")
        finally:
            await cancelled(old, fresh, done)

    assert asyncio.run(main()) == {"fresh"}


def test_without_a_snapshot_every_task_is_found() -> None:
    """Without a snapshot, what was there before anybody looked is found as well."""

    async def main() -> set[str]:
        task = asyncio.create_task(get(), name="old")
        await settle()
        try:
            return found_names(None)
        finally:
            await cancelled(task)

    assert "old" in asyncio.run(main())


async def by_await(task: asyncio.Task[None]) -> None:
    await task


async def by_gather(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, asyncio.sleep(0))


async def by_shield(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)


async def by_wait(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])


async def by_wait_for(task: asyncio.Task[None]) -> None:
    await asyncio.wait_for(task, LONG_SECONDS)


async def by_as_completed(task: asyncio.Task[None]) -> None:
    for future in asyncio.as_completed([task]):
        await future


@pytest.mark.parametrize("how", [by_await, by_gather, by_shield, by_wait, by_wait_for, by_as_completed])
def test_a_task_that_waits_for_the_check_is_not_found(
    how: Callable[[asyncio.Task[None]], Coroutine[Any, Any, None]],
) -> None:
    """A task that waits for the one that asks, by whatever means, ends when the check does."""

    async def main() -> set[str]:
        before = FINDER.baseline()
        go = asyncio.Event()
        names: set[str] = set()

        async def ask() -> None:
            await go.wait()
            names.update(found_names(before))

        asking = asyncio.create_task(ask(), name="asking")
        parent = asyncio.create_task(how(asking), name="parent")
        stuck = asyncio.create_task(get(), name="stuck")
        await settle()
        go.set()
        await parent
        await cancelled(stuck)
        return names

    assert asyncio.run(main()) == {"stuck"}


@pytest.mark.parametrize("group", [asyncio.TaskGroup, anyio.create_task_group])
def test_a_task_whose_group_contains_the_check_is_not_found(group: Callable[[], Any]) -> None:
    """A task at the end of a task group that the one that asks is a child of ends when the check does."""

    async def main() -> set[str]:
        before = FINDER.baseline()
        go = asyncio.Event()
        names: set[str] = set()

        async def ask() -> None:
            await go.wait()
            names.update(found_names(before))

        async def lead() -> None:
            async with group() as children:
                getattr(children, "start_soon", lambda function: children.create_task(function()))(ask)

        parent = asyncio.create_task(lead(), name="parent")
        await settle()
        go.set()
        await parent
        return names

    assert asyncio.run(main()) == set()


@contextlib.contextmanager
def loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_tasks_of_a_loop_in_another_thread_are_found() -> None:
    """A loop that runs in another thread is looked at from outside, and its tasks are left alone."""

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(get(), name="elsewhere")
        await settle()
        return task

    before = FINDER.baseline()
    with loop_in_thread() as loop:
        task = asyncio.run_coroutine_threadsafe(begin(), loop).result()
        [straggler] = [s for s in FINDER.stragglers(before) if s.name == "elsewhere"]
        assert (straggler.leak(0).blocked_on or "").startswith("asyncio.Queue.get()")
        assert not task.done()
        asyncio.run_coroutine_threadsafe(cancelled(task), loop).result()
        assert "elsewhere" not in found_names(before)


def test_a_task_that_runs_in_another_thread_waits_for_nothing() -> None:
    """A task in the middle of a step is found with the function it began with, and is not said to wait."""
    entered, release = threading.Event(), threading.Event()

    async def compute() -> None:
        entered.set()
        release.wait()

    before = FINDER.baseline()
    with loop_in_thread() as loop:
        future = asyncio.run_coroutine_threadsafe(compute(), loop)
        entered.wait()
        [straggler] = FINDER.stragglers(before)
        leak = straggler.leak(0)
        release.set()
        future.result()
    assert straggler.awaited() is None
    assert leak.blocked_on is None
    assert [place.rpartition(".")[2] for place in leak.stack] == ["compute"]
    assert "it has not ended" in leak.fix


def test_a_task_on_a_loop_that_rests_is_found() -> None:
    """A task that a loop was stopped under is found, and one that was about to go on is told to need the loop."""
    before = FINDER.baseline()
    loop = asyncio.new_event_loop()
    waits = loop.create_task(get(), name="waits")
    loop.run_until_complete(settle())
    begins = loop.create_task(get(), name="begins")
    leaks = {straggler.name: straggler.leak(0) for straggler in FINDER.stragglers(before)}
    loop.run_until_complete(cancelled(waits, begins))
    loop.close()
    assert leaks.keys() == {"waits", "begins"}
    assert "sentinel" in leaks["waits"].fix
    assert leaks["begins"].blocked_on is None
    assert "event loop does not run any more" in leaks["begins"].fix


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has eager tasks from 3.12 on")
def test_a_task_in_its_eager_first_step_belongs_to_its_time() -> None:
    """An eager task in its first step is neither found by its own check, nor new to a snapshot it took itself."""

    async def main() -> tuple[set[str], set[str]]:
        async def ask() -> tuple[set[str], Any]:
            own = found_names(outer)
            before = FINDER.baseline()
            await asyncio.sleep(0)
            return own, before

        async def snap() -> None:
            nonlocal before
            before = FINDER.baseline()
            await asyncio.Event().wait()

        outer = FINDER.baseline()
        before: Any = None
        eager = getattr(asyncio, "eager_task_factory")  # noqa: B009  mypy checks for 3.11
        asyncio.get_running_loop().set_task_factory(eager)
        own, _ = await asyncio.create_task(ask(), name="asking")
        suspended = asyncio.create_task(snap(), name="suspended")
        fresh = found_names(before)
        await cancelled(suspended)
        return own, fresh

    assert asyncio.run(main()) == (set(), set())


# -- who can wake them


def test_what_a_task_awaits_is_its_own_future() -> None:
    """The future a task is suspended on is given, a task that it awaits included, and nothing once that is done."""

    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def await_it() -> None:
            await future

        inner = asyncio.create_task(await_it(), name="inner")

        async def await_inner() -> None:
            await inner

        async with waiting(await_inner) as straggler:
            assert straggler.awaited() is inner
            assert AsyncioTaskStraggler(inner).awaited() is future
            future.set_result(None)
            assert AsyncioTaskStraggler(inner).awaited() is None

    asyncio.run(main())


@pytest.mark.leakcheck(False)  # nothing can end such a task
def test_a_task_on_a_closed_loop_is_certain_never_to_go_on() -> None:
    """A closed loop runs nothing, so that is proven without a search, whatever anybody else says."""
    before = FINDER.baseline()
    loop = asyncio.new_event_loop()
    task = loop.create_task(await_future(), name="left behind")
    loop.run_until_complete(settle())
    [straggler] = FINDER.stragglers(before)
    assert straggler.certain() is None
    loop.close()
    assert straggler.certain() == Verdict(True, "its event loop is closed")
    leak = straggler.leak(0, Verdict(False, "somebody holds it", held_by_module="app.TASKS"))
    assert leak.proven
    assert leak.verdict == "its event loop is closed"
    assert "before its event loop is closed" in leak.fix
    assert straggler.serves(Verdict(False, "", held_by_module="app.TASKS")) is None
    task._log_destroy_pending = False  # type: ignore[attr-defined]  this loss is what the test is about


def test_the_verdict_is_passed_on() -> None:
    """The report says what was found out about who could wake the task."""

    async def main() -> Leak:
        async with waiting(get) as straggler:
            return straggler.leak(0, Verdict(True, "by nobody but itself", holders=("local 'inbox'",)))

    leak = asyncio.run(main())
    assert leak.proven
    assert leak.verdict == "by nobody but itself"
    assert leak.holders == ("local 'inbox'",)
