"""A thread begins a transaction and then waits for a confirmation that never comes: the database stays locked."""

import queue
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="writer", function="write", blocked_on="queue.Queue.get"),
    Expected(kind="fd", name="*items.db*"),
    Expected(kind="fd", name="*items.db-journal*"),
]

folder = Path(tempfile.mkdtemp(prefix="items-"))


def write(confirmations: queue.Queue[bool]) -> None:
    connection = sqlite3.connect(folder / "items.db")
    connection.execute("create table item (number integer)")
    connection.execute("insert into item values (1)")
    if confirmations.get():
        connection.commit()
    connection.close()


def program() -> None:
    writer = threading.Thread(target=write, args=(queue.Queue(),), name="writer", daemon=True)
    writer.start()
    until_parked(writer)


def cleanup() -> None:
    shutil.rmtree(folder)
