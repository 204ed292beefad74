"""Two tasks take the same two asyncio locks, each in its own order."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: nobody holds the tasks, so they are garbage. When the collector closes the one, its `async with` releases
# the lock that the other waits for.
LEAKS = [
    Expected(kind="task", name="pay", function="transfer", blocked_on="Lock"),
    Expected(kind="task", name="refund", function="transfer", blocked_on="Lock"),
]


async def transfer(debit: asyncio.Lock, credit: asyncio.Lock) -> None:
    async with debit:
        await asyncio.sleep(0)  # the other task takes its first lock
        async with credit:
            pass


async def program() -> None:
    shop, customer = asyncio.Lock(), asyncio.Lock()
    tasks = [
        asyncio.create_task(transfer(customer, shop), name="pay"),
        asyncio.create_task(transfer(shop, customer), name="refund"),
    ]
    await until_waiting(*tasks)
