"""The producer waits for room in the queue and holds the lock that the consumer needs to make room.

Of the "mixed" kind in Go's goker set: a send on a full channel inside a critical section.
"""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="producer", function="produce", blocked_on="Queue.put"),
    Expected(kind="thread", proven=True, name="consumer", function="consume", blocked_on="Lock"),
]


def produce(lock: threading.Lock, jobs: queue.Queue[int]) -> None:
    with lock:
        for number in range(3):
            jobs.put(number)


def consume(lock: threading.Lock, jobs: queue.Queue[int]) -> int:
    total = 0
    while total < 3:
        with lock:
            total += jobs.get()
    return total


def program() -> None:
    lock = threading.Lock()
    jobs: queue.Queue[int] = queue.Queue(maxsize=1)
    producer = threading.Thread(target=produce, args=(lock, jobs), name="producer")
    producer.start()
    until_parked(producer)
    consumer = threading.Thread(target=consume, args=(lock, jobs), name="consumer")
    consumer.start()
    until_parked(consumer)
