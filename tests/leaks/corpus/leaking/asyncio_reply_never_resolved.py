"""The connection is lost, its pending replies are forgotten instead of failed, and the caller waits on.

The request-and-reply clients written on asyncio protocols had this one after another: ``connection_lost`` must fail
every future that ``data_received`` will not resolve.
"""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="caller", function="call", blocked_on="Future")]


class Connection:
    """Requests by number, each with the future of its reply."""

    def __init__(self) -> None:
        self.replies: dict[int, asyncio.Future[bytes]] = {}

    async def call(self, number: int) -> bytes:
        """Send a request and wait for its reply."""
        reply = self.replies[number] = asyncio.get_running_loop().create_future()
        return await reply

    def connection_lost(self) -> None:
        """The other side has gone."""
        self.replies.clear()


async def program() -> None:
    connection = Connection()
    caller = asyncio.create_task(connection.call(1), name="caller")
    await asyncio.sleep(0)
    connection.connection_lost()
    await until_waiting(caller)
