"""A loop of its own, with worker threads and sockets, is run and closed."""

import asyncio


async def talk() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
    await asyncio.to_thread(abs, -1)


def program() -> None:
    asyncio.run(talk())
