"""A loop over ``iter(inbox.get, None)`` ends with a None, and nobody puts one."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="printer", function="collect", blocked_on="Queue.get", fix="sentinel")
]


def collect(inbox: queue.Queue[str | None]) -> list[str]:
    lines = []
    for line in iter(inbox.get, None):
        lines.append(line)  # noqa: PERF402, the loop is the point
    return lines


def program() -> None:
    inbox: queue.Queue[str | None] = queue.Queue()
    printer = threading.Thread(target=collect, args=(inbox,), name="printer")
    printer.start()
    inbox.put("only line")
    until_parked(printer)
