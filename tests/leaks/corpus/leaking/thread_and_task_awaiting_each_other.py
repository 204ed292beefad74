"""A thread wants an answer before it asks, and the task that would answer waits for the question."""

import asyncio
import queue
import threading

from tests.leaks.corpus import Expected, until_parked
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [
    Expected(kind="thread", proven=True, name="asker", function="ask", blocked_on="queue.Queue.get"),
    Expected(kind="task", proven=True, name="answerer", function="answer", blocked_on="Event"),
]


async def answer(asked: asyncio.Event, answers: queue.Queue[str]) -> None:
    await asked.wait()
    answers.put("yes")


def ask(asked: asyncio.Event, answers: queue.Queue[str], loop: asyncio.AbstractEventLoop) -> None:
    answers.get()
    loop.call_soon_threadsafe(asked.set)


async def program() -> None:
    asked, answers = asyncio.Event(), queue.Queue[str]()
    task = asyncio.create_task(answer(asked, answers), name="answerer")
    arguments = (asked, answers, asyncio.get_running_loop())
    thread = threading.Thread(target=ask, args=arguments, name="asker", daemon=True)
    thread.start()
    await asyncio.to_thread(until_parked, thread)
    await until_waiting(task)
