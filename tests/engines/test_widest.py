"""A value larger than all the memory there is: refused, with where it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

import penstock
from penstock.connectors._batches import Batches
from penstock.engines.widest import narrow_enough

SCHEMA = pa.schema([("id", pa.int64()), ("note", pa.string())])


def batch(*notes: str) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(range(len(notes))), pa.array(notes)], schema=SCHEMA)


def narrow(most_bytes: int, *batches: pa.RecordBatch) -> list[pa.RecordBatch]:
    return list(narrow_enough(Batches(SCHEMA, iter(batches)), most_bytes, where="here"))


def test_many_narrow_rows_pass() -> None:
    """A batch may be large: it is single rows that may not."""
    batches = [batch(*["x" * 100] * 50), batch("y" * 900)]
    assert narrow(1000, *batches) == batches


def test_a_wide_row_is_refused_with_its_number_and_column() -> None:
    """Rows are counted over all batches, from 1."""
    with pytest.raises(penstock.SourceError) as caught:
        narrow(1000, batch("a", "b"), batch("c", "d" * 5000, "e"))
    assert str(caught.value) == (
        "here: row 4: column 'note' holds 4.9 KiB, which is more than all the memory there is (1000 bytes) "
        "(raise max_memory, or leave the column out)"
    )


def test_a_copy_of_a_value_beyond_its_memory_fails_and_publishes_nothing(tmp_path: Path) -> None:
    """A source that does not notice by itself is covered too."""
    with closing(sqlite3.connect(tmp_path / "wide.db")) as connection:
        connection.execute("CREATE TABLE wide (id INTEGER, note TEXT)")
        connection.execute("INSERT INTO wide VALUES (1, 'short'), (2, printf('%.*c', 20000000, 'x'))")
        connection.commit()
    with pytest.raises(penstock.SourceError, match=r"row 2: column .note. holds 19\.1 MiB"):
        penstock.copy(f"sqlite:///{tmp_path}/wide.db", tmp_path / "wide.csv", table="wide", max_memory="16MiB")
    assert not (tmp_path / "wide.csv").exists()
