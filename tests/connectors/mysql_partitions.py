"""Tables of MariaDB, and short ways to read them in partitions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.flow.partitions import PartitionableSource, Partitions
from tests.connectors.mysql_parts import make
from tests.connectors.parts import read_table, source_of

if TYPE_CHECKING:
    import pyarrow as pa

    from tests.servers.mariadb import MariaDbDatabase

ROWS = 1000
#: A condition that takes for ever, but not while the ranges are looked up: only sessions that read ranges are so impatient.
SLOW = "sleep(IF(@@lock_wait_timeout = 5, 600, 0)) = 0"


def make_numbered(database: MariaDbDatabase, rows: int = ROWS, *, name: str = "t") -> None:
    """A table of numbers from 1, by which it has its key."""
    make(
        database,
        f"CREATE TABLE {name} (id int PRIMARY KEY, word varchar(40))",
        f"INSERT INTO {name} SELECT seq, md5(seq) FROM seq_1_to_{ROWS} WHERE seq <= {rows}",
    )


def divisible(uri: str, **asked: Any) -> PartitionableSource:
    source = source_of(uri, **({"table": "t"} | asked))
    assert isinstance(source, PartitionableSource)
    return source


@contextmanager
def partitioned(database: MariaDbDatabase, most: int, by: str | None = None, **asked: Any) -> Iterator[Partitions]:
    with divisible(asked.pop("uri", database.uri), **asked).partitioned(most, by) as partitions:
        yield partitions


def read_each(partitions: Partitions) -> list[pa.Table]:
    return [read_table(partition.source) for partition in partitions.each]


def values_in(tables: list[pa.Table], column: str = "id") -> list[Any]:
    return [value for table in tables for value in table[column].to_pylist()]


def ranges_of(partitions: Partitions) -> list[str]:
    return [partition.range for partition in partitions.each]
