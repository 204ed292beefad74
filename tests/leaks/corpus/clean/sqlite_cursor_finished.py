"""Cursors that were read to their end, closed, or never returned rows; all are kept, and none holds anything."""

import sqlite3

connections: list[sqlite3.Connection] = []
cursors: list[sqlite3.Cursor] = []


def program() -> None:
    connection = sqlite3.connect(":memory:")
    connections.append(connection)
    cursors.append(connection.execute("create table item (number integer)"))
    cursors.append(connection.executemany("insert into item values (?)", [(1,), (2,)]))
    cursors.append(connection.execute("select number from item"))
    assert cursors[-1].fetchall() == [(1,), (2,)]
    cursors.append(connection.execute("select number from item"))
    assert cursors[-1].fetchone() == (1,)
    cursors[-1].close()
