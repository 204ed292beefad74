"""One thread waits for another to end, and that one waits for an event nobody can set."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="reader", function="read", blocked_on="Event", created_at="program"),
    Expected(kind="thread", proven=True, name="closer", function="close", blocked_on="join", started_at="program"),
]


def read(end: threading.Event) -> None:
    end.wait()


def close(reader: threading.Thread) -> None:
    reader.join()


def program() -> None:
    reader = threading.Thread(target=read, args=(threading.Event(),), name="reader")
    closer = threading.Thread(target=close, args=(reader,), name="closer")
    reader.start()
    closer.start()
    until_parked(reader, closer)
