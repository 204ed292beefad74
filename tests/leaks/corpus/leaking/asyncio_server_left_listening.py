"""A server is started for one exchange and never closed: the loop keeps it, and its port stays taken."""

import asyncio

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="socket", fix="close")]


async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def program() -> None:
    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    assert server.is_serving()
