"""A loop is closed while a task of its is still waiting; a client object keeps the task and believes in it."""

import asyncio

from tests.leaks.corpus import Expected

# Proven though a module holds it: on a closed loop no task takes another step, be it to be cancelled.
LEAKS = [Expected(kind="task", proven=True, name="keepalive", function="keep_alive")]

clients = []


class Client:
    """Holds the task that keeps its connection alive."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.keepalive = loop.create_task(self.keep_alive(asyncio.Event()), name="keepalive")

    async def keep_alive(self, expired: asyncio.Event) -> None:
        """Wait until the connection has expired."""
        await expired.wait()

    async def fetch(self) -> int:
        """Fetch something."""
        await asyncio.sleep(0)
        return 1


def program() -> None:
    loop = asyncio.new_event_loop()
    clients.append(Client(loop))
    loop.run_until_complete(clients[0].fetch())
    loop.close()
