"""Checks for asyncio tasks as a whole, and what they leave as it was."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref
from typing import Any

import aiohttp
import aiohttp.web
import pytest

from penstock.leaks import LeakError, find_leaks_async, ignore, leakcheck
from penstock.leaks._finders.loops import pause_in_loop
from tests.leaks.tasks import FINDER, LONG_SECONDS, cancelled, get, settle, sleep, waiting

_HELD: list[asyncio.Future[None]] = []


def test_neither_a_snapshot_nor_a_look_keeps_a_task_alive() -> None:
    """A task that nobody else holds goes away as if nobody had looked."""

    async def main() -> tuple[object, list[str]]:
        task: asyncio.Task[None] | None = asyncio.create_task(get())
        await settle()
        before = FINDER.baseline()
        for straggler in FINDER.stragglers(None):
            straggler.leak(0)
        del straggler
        alive = weakref.ref(task)
        task._log_destroy_pending = False  # type: ignore[union-attr]
        task = None
        gc.collect()
        return alive(), [straggler.name for straggler in FINDER.stragglers(before)]

    assert asyncio.run(main()) == (None, [])


def test_locals_of_a_task_stay_as_they_are() -> None:
    """The dict that ``locals()`` gave to a suspended function is not touched by looking at the function."""

    async def wait() -> None:
        mine = 1
        mirror = locals()
        seen.append(mirror)
        mirror["extra"] = mine
        await asyncio.Event().wait()

    async def main() -> None:
        async with waiting(wait) as straggler:
            straggler.leak(0)
            straggler.functions()

    seen: list[dict[str, Any]] = []
    asyncio.run(main())
    assert seen[0]["mine"] == 1
    assert seen[0]["extra"] == 1


def test_asyncio_is_not_imported() -> None:
    """Where nobody uses asyncio or trio, looking for their tasks imports neither."""
    program = (
        "import sys\n"
        "from penstock.leaks._finders.tasks import TaskFinder\n"
        "from penstock.leaks._finders.trio_tasks import TrioTaskFinder\n"
        "for finder in (TaskFinder(), TrioTaskFinder()):\n"
        "    assert list(finder.stragglers(finder.baseline())) == list(finder.stragglers(None)) == []\n"
        "sys.exit('asyncio' in sys.modules or 'trio' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


# -- the check as a whole


@pytest.fixture
def tasks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks look for asyncio tasks and nothing else."""
    monkeypatch.setattr("penstock.leaks._check.FINDERS", (FINDER,))


def test_a_check_lets_tasks_end(tasks_only: None) -> None:
    """A check in a task waits in the loop, so that a task on its way out gets there, and nothing is reported."""

    async def main() -> None:
        async with leakcheck(grace=LONG_SECONDS):
            tasks = [asyncio.create_task(asyncio.sleep(0.01)) for _ in range(3)]
        assert all(task.done() for task in tasks)

    asyncio.run(main())


def test_a_check_names_what_is_left(tasks_only: None) -> None:
    """A task that is left is in the error, and goes on."""

    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []
        with pytest.raises(LeakError, match="task 'forgotten'") as caught:
            async with leakcheck(grace=0.02):
                tasks.append(asyncio.create_task(sleep(), name="forgotten"))
        [leak] = caught.value.report
        assert not leak.proven
        assert leak.blocked_on == "asyncio.sleep()"
        assert not tasks[0].done()
        assert tasks[0].cancelling() == 0
        await cancelled(*tasks)

    asyncio.run(main())


def test_what_a_module_holds_does_not_prove_a_task(tasks_only: None) -> None:
    """A task on a future that a global can still resolve is reported as suspected; on one that nobody has, as proven."""

    async def wait(future: asyncio.Future[None]) -> None:
        await future

    async def main() -> dict[str, bool]:
        loop = asyncio.get_running_loop()
        _HELD.append(loop.create_future())
        before = FINDER.baseline()
        tasks = [
            loop.create_task(wait(_HELD[0]), name="held"),
            loop.create_task(wait(loop.create_future()), name="lost"),
        ]
        await settle()
        gc.collect()  # the lost one will be garbage: only a full collection looks at it again
        tasks.clear()
        # A rule about functions has the check look through the tasks before it asks who holds them.
        report = await find_leaks_async(grace=0.01, ignore=[ignore(kind="task", any_function="nothing.like_it")])
        await cancelled(*(straggler.task for straggler in FINDER.stragglers(before)))
        _HELD.clear()
        return {leak.name: leak.proven for leak in report if leak.name in ("held", "lost")}

    assert asyncio.run(main()) == {"held": False, "lost": True}


def test_pausing_needs_a_loop() -> None:
    """Outside asyncio and trio a pause raises instead of blocking."""
    pausing = pause_in_loop(0.01)
    with pytest.raises(RuntimeError, match="asyncio or trio"):
        pausing.send(None)


def test_an_idle_connection_of_an_aiohttp_server_is_told_by_its_top_function() -> None:
    """A server's task that waits for the next request is in ``RequestHandler.start`` itself: rules can tell it."""

    async def greet(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(text="hello")

    async def main() -> list[str]:
        before = FINDER.baseline()
        app = aiohttp.web.Application()
        app.router.add_get("/", greet)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        try:
            site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/") as response:
                    assert await response.text() == "hello"
                await settle()
                return [straggler.functions()[0] for straggler in FINDER.stragglers(before)]
        finally:
            await runner.cleanup()

    assert asyncio.run(main()) == ["aiohttp.web_protocol.RequestHandler.start"]
