"""A cancelled task needs a moment for its ``finally``: patience, not a report."""

import asyncio


async def work() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.03)


async def program() -> None:
    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
