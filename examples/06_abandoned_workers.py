"""Workers abandoned on a queue nobody closes, and the same program with a channel, where that cannot happen.

`queue.Queue` has no end: a worker in `get()` cannot learn that nobody will ever `put()` again, so its thread stays for
as long as the process runs, with all it holds. A channel has two kinds of end: once every send end is closed, iterating
over a receive end stops; and the TaskGroup is not left before its threads have ended.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable

import penstock

WORKERS = 4


def total_with_a_queue(numbers: Iterable[int]) -> int:
    jobs: queue.Queue[int] = queue.Queue()
    results: queue.Queue[int] = queue.Queue()

    def work() -> None:
        while True:
            results.put(jobs.get() ** 2)

    for number in range(WORKERS):
        # A daemon, or the program could not even exit.
        threading.Thread(target=work, name=f"queue-worker-{number + 1}", daemon=True).start()
    count = 0
    for number in numbers:
        jobs.put(number)
        count += 1
    return sum(results.get() for _ in range(count))  # and who tells the workers?


def total_with_a_channel(numbers: Iterable[int]) -> int:
    def work(jobs: penstock.ReceiveChannel[int]) -> int:
        with jobs:
            return sum(number**2 for number in jobs)

    sender, receiver = penstock.channel(max_buffer_size=10)
    with penstock.TaskGroup() as group:
        with receiver:
            totals = [group.start_soon(work, receiver.clone(), name=f"channel-worker-{n + 1}") for n in range(WORKERS)]
        with sender:  # leaving this block is what ends the workers' loops, also when it is left by an exception
            for number in numbers:
                sender.send(number)
    return sum(total.result() for total in totals)


def others() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread is not threading.main_thread())


def main() -> None:
    expected = sum(number**2 for number in range(1000))

    assert total_with_a_channel(range(1000)) == expected
    print(f"channel: total {expected:,}, threads left: {others() or 'none'}")
    assert others() == []

    for _ in range(3):  # as in a server, where it is called again and again
        assert total_with_a_queue(range(1000)) == expected
    print(f"queue:   total {expected:,}, threads left after 3 calls: {len(others())}, such as {others()[0]}")
    assert len(others()) == 3 * WORKERS

    try:
        total_with_a_channel(number // (number - 500) for number in range(1000))
    except* ZeroDivisionError:
        print(f"channel, with a source that fails: {len(others()) - 3 * WORKERS} more threads left")
    assert len(others()) == 3 * WORKERS


if __name__ == "__main__":
    main()
