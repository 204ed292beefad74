"""A module holds a database in a file: SQLite's C code keeps its descriptors, and a connection does not tell them."""

import shutil
import sqlite3
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp(prefix="items-"))
connections: list[sqlite3.Connection] = []


def program() -> None:
    connection = sqlite3.connect(folder / "items.db")
    connections.append(connection)
    connection.execute("pragma journal_mode=wal")
    connection.execute("create table item (number integer)")
    connection.execute("insert into item values (1)")
    connection.commit()


def cleanup() -> None:
    connections[0].close()
    shutil.rmtree(folder)
