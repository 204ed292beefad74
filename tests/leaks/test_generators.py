"""Asynchronous generators that were begun and left: which of them nobody will close."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any

import pytest

from penstock.leaks._finders.generators import GeneratorFinder
from penstock.leaks._report.model import Leak
from tests.core.threads import start
from tests.leaks.finding import Look

KEPT: list[Any] = []


@pytest.fixture(autouse=True)
def _kept_by_nobody() -> Any:
    yield
    KEPT.clear()
    gc.collect()


async def rows(count: int = 3) -> AsyncGenerator[int]:
    for number in range(count):
        yield number


async def waiting_rows(gate: asyncio.Event) -> AsyncGenerator[int]:
    yield 0
    await gate.wait()
    yield 1


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run ``main`` in a loop that does not close generators at its end, so that each test must."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


# -- what is found


def test_a_generator_that_was_left_half_way_is_reported() -> None:
    """The report names the function, the line at which it is suspended, who holds it, and the remedy."""

    async def main() -> tuple[Leak, list[Leak]]:
        look = Look(GeneratorFinder())
        numbers = rows()
        async for _ in numbers:
            break
        leak = look.leak()
        await numbers.aclose()
        return leak, look.leaks()

    leak, afterwards = run(main())
    assert (leak.kind, leak.name) == ("generator", "rows")
    assert leak.blocked_on is not None
    assert leak.blocked_on.startswith("suspended at a `yield`")
    (place,) = leak.stack
    assert place == f"{__file__}:{rows.__code__.co_firstlineno + 2} in rows"
    assert any(holder.startswith("local 'numbers' of test_a_generator_that_was_left") for holder in leak.holders)
    assert "contextlib.aclosing" in leak.fix
    assert afterwards == []


def test_a_generator_that_is_not_begun_or_over_is_none() -> None:
    """Nothing is open in a generator before its first value, after its last, and after aclose()."""

    async def main() -> list[Leak]:
        look = Look(GeneratorFinder())
        KEPT.append(rows())
        KEPT.append(rows())
        assert [number async for number in KEPT[-1]] == [0, 1, 2]
        async with contextlib.aclosing(rows()) as closed:
            KEPT.append(closed)
            await anext(closed)
        return look.leaks()

    assert run(main()) == []


def test_a_generator_that_was_begun_before_is_passed_over() -> None:
    """Only what was begun since the snapshot is reported."""

    async def main() -> list[Leak]:
        KEPT.append(rows())
        await anext(KEPT[-1])
        return Look(GeneratorFinder()).leaks()

    assert run(main()) == []


def test_a_dropped_generator_is_closed_by_its_loop() -> None:
    """A generator that is garbage is none; the loop closes it in a task of its own."""

    async def main() -> list[Leak]:
        look = Look(GeneratorFinder())
        cycle: list[Any] = [rows()]
        await anext(cycle[0])
        cycle.append(cycle)
        del cycle
        return look.leaks()

    assert run(main()) == []


def test_a_generator_of_a_loop_in_another_thread_is_found() -> None:
    """Loops that are made while somebody watches are known wherever they run."""
    look = Look(GeneratorFinder())
    begun, done = threading.Event(), threading.Event()

    async def main() -> None:
        KEPT.append(rows())
        await anext(KEPT[-1])
        begun.set()
        await asyncio.to_thread(done.wait)
        await KEPT[-1].aclose()

    thread = start(run, main())
    begun.wait()
    leaks = look.leaks()
    done.set()
    thread.join()
    assert [leak.name for leak in leaks] == ["rows"]
    assert look.leaks() == []


def test_a_generator_of_trio_is_found() -> None:
    """What was begun in trio is found by a check inside the run."""
    trio = pytest.importorskip("trio", reason="trio is not installed")

    async def main() -> tuple[list[str], list[str]]:
        look = Look(GeneratorFinder())
        numbers = rows()
        await anext(numbers)
        found = look.names()
        await numbers.aclose()
        return found, look.names()

    assert trio.run(main) == (["rows"], [])


# -- what is in order


def test_a_generator_whose_next_value_is_awaited_is_in_order() -> None:
    """While a task waits for it to go on, it is that task's business."""

    async def main() -> list[Leak]:
        look = Look(GeneratorFinder())
        gate = asyncio.Event()
        numbers = waiting_rows(gate)
        await anext(numbers)
        task = asyncio.ensure_future(anext(numbers))
        await asyncio.sleep(0)
        leaks = look.leaks()
        gate.set()
        await task
        await numbers.aclose()
        return leaks

    assert run(main()) == []


async def loop_over(numbers: AsyncIterator[int], gate: asyncio.Event) -> None:
    async for _ in numbers:
        await gate.wait()


def test_a_generator_that_a_task_is_in_a_loop_over_is_in_order_unless_the_task_is_not() -> None:
    """A loop in a task that has not leaked goes on; in one that has, both are reported."""

    async def main() -> tuple[list[Leak], list[str]]:
        look = Look(GeneratorFinder())
        gate = asyncio.Event()
        task = asyncio.create_task(loop_over(rows(), gate))
        await asyncio.sleep(0)
        leaked = Leak(kind="task", name="x", fix="", identity=("task", id(task)))
        found = look.leaks(), [leak.name for leak in look.leaks([leaked])]
        gate.set()
        await task
        return found

    assert run(main()) == ([], ["rows"])


async def evens(numbers: AsyncIterator[int]) -> AsyncGenerator[int]:
    async for number in numbers:
        if number % 2 == 0:
            yield number


def test_a_generator_inside_another_one_is_in_order_with_it() -> None:
    """Generators that read from each other are used by whoever reads from the last."""

    async def main() -> tuple[list[Leak], list[str]]:
        look = Look(GeneratorFinder())
        gate = asyncio.Event()
        task = asyncio.create_task(loop_over(evens(rows(5)), gate))
        await asyncio.sleep(0)
        leaked = Leak(kind="task", name="x", fix="", identity=("task", id(task)))
        found = look.leaks(), sorted(leak.name for leak in look.leaks([leaked]))
        gate.set()
        await task
        return found

    assert run(main()) == ([], ["evens", "rows"])


def test_a_context_manager_that_was_entered_is_in_order() -> None:
    """An entered ``@asynccontextmanager`` is a generator that is suspended by design."""

    @contextlib.asynccontextmanager
    async def manager() -> AsyncIterator[int]:
        yield 1

    async def main() -> list[Leak]:
        look = Look(GeneratorFinder())
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(manager())
            async with manager():
                assert len(look.stragglers()) == 2
                return look.leaks()

    assert run(main()) == []


def test_without_asyncio_there_are_none() -> None:
    """The finder imports no event loop to look for generators in."""
    from tests.core.subprocesses import run_python

    done = run_python(
        """
        import sys
        from penstock.leaks._finders.generators import GeneratorFinder
        print(len(GeneratorFinder().stragglers(GeneratorFinder().baseline())), "asyncio" in sys.modules)
        """
    )
    assert done.stdout.split() == ["0", "False"], done.stderr
