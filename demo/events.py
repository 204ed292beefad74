"""The data: a table of events in an SQLite file, and a way to damage that file for a while."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

TABLE = "events"
PAGE_BYTES = 4096
TABLE_LEAF = 0x0D  # the first byte of a page that holds rows

CREATE = """
create table events (
    id integer primary key, at text not null, user_id integer not null, kind text not null, amount real,
    payload text not null
)
"""

FILL = """
insert into events
with recursive n(i) as (select 1 union all select i + 1 from n limit ?)
select i, datetime(1735689600 + i, 'unixepoch'), i * 7919 % 50000,
       case i % 4 when 0 then 'view' when 1 then 'click' when 2 then 'cart' else 'order' end,
       case i % 4 when 3 then i % 10000 / 100.0 end,
       printf('{"page":"/item/%d","session":"%08x%08x","agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0"}',
              i % 977, i * 2654435761 % 4294967296, i * 40503)
from n
"""


def make_events(file: Path, rows: int) -> None:
    """Make the database. SQLite itself makes the rows, half a million in a second."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(f"pragma page_size = {PAGE_BYTES}")
        connection.execute("pragma journal_mode = off")
        connection.execute("pragma synchronous = off")
        connection.execute(CREATE)
        connection.execute(FILL, [rows])
        connection.commit()


@contextlib.contextmanager
def damaged(file: Path) -> Iterator[None]:
    """Let the disk have lost one page of rows, in the middle of the table, while the block runs."""
    with file.open("r+b", buffering=0) as pages:
        number = _middle_page_of_rows(pages)
        healthy = _read(pages, number)
        _write(pages, number, bytes(PAGE_BYTES))
        try:
            yield
        finally:
            _write(pages, number, healthy)


def _middle_page_of_rows(pages: BinaryIO) -> int:
    number = pages.seek(0, 2) // PAGE_BYTES // 2
    while _read(pages, number)[0] != TABLE_LEAF:
        number += 1
    return number


def _read(pages: BinaryIO, number: int) -> bytes:
    pages.seek(number * PAGE_BYTES)
    return pages.read(PAGE_BYTES)


def _write(pages: BinaryIO, number: int, content: bytes) -> None:
    pages.seek(number * PAGE_BYTES)
    pages.write(content)
