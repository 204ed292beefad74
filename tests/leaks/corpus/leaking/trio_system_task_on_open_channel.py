"""A system task ranges over a channel whose last sender was dropped instead of closed."""

import trio
import trio.testing

from tests.leaks.corpus import Expected

LOOP = "trio"
REQUIRES = ("trio",)
# Not proven: the run itself holds every task, and cancels system tasks at its end.
LEAKS = [Expected(kind="task", name="*receiver*", function="receive_all")]


async def receive_all(items: trio.MemoryReceiveChannel[int]) -> None:
    async for _item in items:
        pass


async def program() -> None:
    send, receive = trio.open_memory_channel[int](0)
    trio.lowlevel.spawn_system_task(receive_all, receive, name="receiver")
    await send.send(1)
    await trio.testing.wait_all_tasks_blocked()
