"""A generator of rows is kept half-consumed: the cursor in its frame keeps the read transaction open."""

import sqlite3
from collections.abc import Iterator

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="cursor", fix="close")]

database = sqlite3.connect(":memory:")
exports: list[Iterator[int]] = []


def prepare() -> None:
    database.execute("create table item (number integer)")
    database.executemany("insert into item values (?)", [(number,) for number in range(100)])


def numbers() -> Iterator[int]:
    cursor = database.execute("select number from item")
    for (number,) in cursor:
        yield number
    cursor.close()


def program() -> None:
    exports.append(numbers())
    assert next(exports[0]) == 0
