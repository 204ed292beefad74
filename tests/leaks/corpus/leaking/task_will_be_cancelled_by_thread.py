"""A task waits for an event nobody sets; a thread knows the task, and will cancel it after its nap."""

import asyncio
import threading
import time

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the thread runs, and holds the task.
LEAKS = [
    Expected(kind="task", name="waiter", function="wait_for_news"),
    Expected(kind="thread", name="watchdog", function="watch", optional=True),  # a daemon that will wake by itself
]


async def wait_for_news(news: asyncio.Event) -> None:
    await news.wait()


def watch(task: "asyncio.Task[None]", loop: asyncio.AbstractEventLoop) -> None:
    time.sleep(60)
    loop.call_soon_threadsafe(task.cancel)


async def program() -> None:
    waiter = asyncio.create_task(wait_for_news(asyncio.Event()), name="waiter")
    watchdog = threading.Thread(target=watch, args=(waiter, asyncio.get_running_loop()), name="watchdog", daemon=True)
    watchdog.start()
    await until_waiting(waiter)
