"""A thread asks the trio run for something that takes an hour, and waits for the answer."""

import threading

import trio
import trio.testing

from tests.leaks.corpus import Expected, until_parked

LOOP = "trio"
REQUIRES = ("trio",)
# Not proven: the deadline will wake the task, and the task's end the thread.
LEAKS = [
    Expected(kind="thread", name="asker", function="ask"),
    Expected(kind="task", function="take_long"),
]


async def take_long() -> None:
    await trio.sleep(3600)


def ask(token: trio.lowlevel.TrioToken) -> None:
    trio.from_thread.run(take_long, trio_token=token)


async def program() -> None:
    asker = threading.Thread(target=ask, args=(trio.lowlevel.current_trio_token(),), name="asker", daemon=True)
    asker.start()
    await trio.to_thread.run_sync(until_parked, asker)
    await trio.testing.wait_all_tasks_blocked()
