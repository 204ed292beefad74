"""Two inputs are merged, one thread each; one of them never ends, so neither does its thread, nor who waits for both.

The fan-in of Go's pipelines article, with a producer that forgot to close.
"""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="forward-1", function="forward", blocked_on="Queue.get"),
    Expected(kind="thread", proven=True, name="closer", function="close_when_all_ended", blocked_on="join"),
]

Items = queue.Queue[int | None]


def forward(source: Items, merged: Items) -> None:
    while (item := source.get()) is not None:
        merged.put(item)


def close_when_all_ended(forwarders: list[threading.Thread], merged: Items) -> None:
    for forwarder in forwarders:
        forwarder.join()
    merged.put(None)


def program() -> None:
    merged: Items = queue.Queue()
    sources: list[Items] = [queue.Queue(), queue.Queue()]
    forwarders = [
        threading.Thread(target=forward, args=(source, merged), name=f"forward-{n}") for n, source in enumerate(sources)
    ]
    closer = threading.Thread(target=close_when_all_ended, args=(forwarders, merged), name="closer")
    for thread in (*forwarders, closer):
        thread.start()
    for item in (1, 2, None):
        sources[0].put(item)
    sources[1].put(3)
    forwarders[0].join()
    until_parked(forwarders[1], closer)
