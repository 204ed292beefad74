"""A listing shows the first page of a cursor's rows and keeps the cursor, open, in case somebody asks for the next."""

import sqlite3

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="cursor", fix="close")]

database = sqlite3.connect(":memory:")
listings: dict[str, sqlite3.Cursor] = {}


def prepare() -> None:
    database.execute("create table item (number integer)")
    database.executemany("insert into item values (?)", [(number,) for number in range(100)])


def program() -> None:
    cursor = listings["session-1"] = database.execute("select number from item")
    for (number,) in cursor:
        if number == 10:
            break
