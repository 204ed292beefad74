"""A task reads a line from a peer who accepted the connection and never says a word."""

import asyncio
import socket

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the peer may yet speak.
LEAKS = [
    Expected(kind="task", name="reader", function="read_greeting"),
    Expected(kind="socket"),
]

listener = socket.create_server(("127.0.0.1", 0))
silent_peers: list[socket.socket] = []


async def read_greeting(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.close()


async def program() -> None:
    task = asyncio.create_task(read_greeting(listener.getsockname()[1]), name="reader")
    await asyncio.sleep(0)
    silent_peers.append(listener.accept()[0])
    await until_waiting(task)
