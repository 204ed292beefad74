"""A reader asks for the lock again while a writer waits, and writers go first: each waits for the other.

Go's goker set calls it "RWR deadlock", of ``sync.RWMutex``.
"""

import threading

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="reader", function="read_twice", blocked_on="Condition"),
    Expected(kind="thread", proven=True, name="writer", function="acquire_write", blocked_on="Condition"),
]


class ReadWriteLock:
    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.readers = 0
        self.waiting_readers = 0
        self.waiting_writers = 0

    def acquire_read(self) -> None:
        with self.changed:
            self.waiting_readers += 1
            self.changed.wait_for(lambda: not self.waiting_writers)
            self.waiting_readers -= 1
            self.readers += 1

    def acquire_write(self) -> None:
        with self.changed:
            self.waiting_writers += 1
            self.changed.wait_for(lambda: not self.readers)
            self.waiting_writers -= 1


def read_twice(lock: ReadWriteLock, again: threading.Event) -> None:
    lock.acquire_read()
    again.wait()
    lock.acquire_read()


def program() -> None:
    lock = ReadWriteLock()
    again = threading.Event()
    reader = threading.Thread(target=read_twice, args=(lock, again), name="reader")
    reader.start()
    until(lambda: lock.readers)
    writer = threading.Thread(target=lock.acquire_write, name="writer")
    writer.start()
    until(lambda: lock.waiting_writers)
    again.set()
    until(lambda: lock.waiting_readers)
    until_parked(reader, writer)
