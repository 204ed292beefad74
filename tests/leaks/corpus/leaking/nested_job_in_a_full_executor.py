"""A job waits for another job of the same executor, whose only worker is the one that waits."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from tests.leaks.corpus import Expected

# Nobody but its worker takes jobs from an executor. But the queue of every executor hangs on a global of
# concurrent.futures, and to know that nobody answers through that takes knowledge of the library.
LEAKS = [Expected(kind="thread", proven=None, name="report_0", function="monthly", blocked_on="Future")]


def daily(day: int) -> int:
    return day * day


def monthly(executor: ThreadPoolExecutor, begun: Event) -> int:
    days = [executor.submit(daily, day) for day in range(30)]
    begun.set()
    return sum(day.result() for day in days)


def program() -> None:
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="report")
    begun = Event()
    executor.submit(monthly, executor, begun)
    begun.wait()
