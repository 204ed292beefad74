"""A thread selects over two channels whose only senders it holds itself."""

import threading

from penstock.core.channel import ReceiveChannel, SendChannel, channel, select
from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=None, name="merger", function="merge", blocked_on="select"),
    Expected(kind="channel", proven=None, optional=True),
    Expected(kind="channel", proven=None, optional=True),
]


def merge(ends: list[tuple[SendChannel[int], ReceiveChannel[int]]]) -> int:
    total = 0
    while total < 10:
        _, item = select(*(receiver for _, receiver in ends))
        total += item
    return total


def program() -> None:
    merger = threading.Thread(target=merge, args=([channel(name="left"), channel(name="right")],), name="merger")
    merger.start()
    until_parked(merger)
