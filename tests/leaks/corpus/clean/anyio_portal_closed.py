"""A portal's loop and thread end with its ``with``; task groups and streams are used as they should be."""

import anyio
from anyio.from_thread import start_blocking_portal

REQUIRES = ("anyio",)


async def add_up() -> int:
    send, receive = anyio.create_memory_object_stream[int]()

    async def produce() -> None:
        async with send:
            for number in range(3):
                await send.send(number)

    async with anyio.create_task_group() as group, receive:
        group.start_soon(produce)
        return sum([number async for number in receive])


def program() -> None:
    with start_blocking_portal() as portal:
        assert portal.call(add_up) == 3
