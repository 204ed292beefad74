"""Tables of many blocks, and short ways to read them in partitions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.flow.partitions import PartitionableSource, Partitions
from tests.connectors.parts import read_table, source_of

if TYPE_CHECKING:
    import pyarrow as pa

    from tests.servers.postgres import PostgresDatabase

ROWS = 5000
WIDE = "repeat(md5(i::text), 10)"  # some 20 rows in a block


def make(database: PostgresDatabase, rows: int = ROWS, *, name: str = "t") -> None:
    """A table of numbers from 1, wide enough to be of many blocks."""
    database.execute(f"CREATE TABLE {name} AS SELECT i AS id, {WIDE} AS word FROM generate_series(1, {rows}) i")
    trim(database, name)


def trim(database: PostgresDatabase, name: str) -> None:
    """Give up the blocks that were added for rows to come."""
    database.execute(f"VACUUM {name}")


def divisible(database: PostgresDatabase, **asked: Any) -> PartitionableSource:
    source = source_of(database.uri, **({"table": "t"} | asked))
    assert isinstance(source, PartitionableSource)
    return source


@contextmanager
def partitioned(database: PostgresDatabase, most: int, by: str | None = None, **asked: Any) -> Iterator[Partitions]:
    with divisible(database, **asked).partitioned(most, by) as partitions:
        yield partitions


def read_each(partitions: Partitions) -> list[pa.Table]:
    return [read_table(partition.source) for partition in partitions.each]


def ids_in(tables: list[pa.Table], column: str = "id") -> list[Any]:
    return [value for table in tables for value in table[column].to_pylist()]
