"""Two tasks take the same two asyncio locks, each in its own order, and release them without any ``with``."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [
    Expected(kind="task", proven=True, name="pay", function="transfer", blocked_on="Lock"),
    Expected(kind="task", proven=True, name="refund", function="transfer", blocked_on="Lock"),
]


async def transfer(debit: asyncio.Lock, credit: asyncio.Lock) -> None:
    await debit.acquire()
    await asyncio.sleep(0)  # the other task takes its first lock
    await credit.acquire()
    credit.release()
    debit.release()


async def program() -> None:
    shop, customer = asyncio.Lock(), asyncio.Lock()
    tasks = [
        asyncio.create_task(transfer(customer, shop), name="pay"),
        asyncio.create_task(transfer(shop, customer), name="refund"),
    ]
    await until_waiting(*tasks)
