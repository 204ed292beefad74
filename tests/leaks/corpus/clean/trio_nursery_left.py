"""A nursery waits for its tasks; a channel whose sender is closed ends its receiver; a deadline ends a wait."""

import trio

LOOP = "trio"
REQUIRES = ("trio",)


async def program() -> None:
    send, receive = trio.open_memory_channel[int](0)

    async def produce() -> None:
        async with send:
            for number in range(3):
                await send.send(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        assert [number async for number in receive] == [0, 1, 2]
    with trio.move_on_after(0.01):
        await trio.sleep_forever()
