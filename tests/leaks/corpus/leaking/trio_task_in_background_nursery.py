"""A job is handed to a nursery that lives as long as the service, and waits there for an event nobody sets."""

import trio
import trio.testing

from tests.leaks.corpus import Expected

LOOP = "trio"
REQUIRES = ("trio",)
# Not proven: whoever holds the nursery can cancel it.
LEAKS = [Expected(kind="task", name="*job*", function="wait_for_turn")]

nurseries: list[trio.Nursery] = []


async def serve() -> None:
    async with trio.open_nursery() as nursery:
        nurseries.append(nursery)
        await trio.sleep_forever()


async def wait_for_turn(turn: trio.Event) -> None:
    await turn.wait()


async def prepare() -> None:
    trio.lowlevel.spawn_system_task(serve)
    await trio.testing.wait_all_tasks_blocked()


async def program() -> None:
    nurseries[0].start_soon(wait_for_turn, trio.Event(), name="job")
    await trio.testing.wait_all_tasks_blocked()
