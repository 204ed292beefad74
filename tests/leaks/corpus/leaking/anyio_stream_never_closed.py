"""Both ends of a memory stream lose their owner, one of them without ``close``; the receiver waits on."""

import asyncio
import warnings

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

REQUIRES = ("anyio",)
LEAKS = [Expected(kind="task", proven=None, name="receiver", function="receive_all")]


async def receive_all(items: MemoryObjectReceiveStream[int]) -> None:
    async for _item in items:
        pass


async def program() -> None:
    send, receive = anyio.create_memory_object_stream[int]()
    receiver = asyncio.create_task(receive_all(receive), name="receiver")
    await send.send(1)
    await until_waiting(receiver)
    warnings.simplefilter("ignore", ResourceWarning)  # AnyIO's own complaint about `send`
