"""What a copy of wide values takes of memory, as the kernel counts it; ``bench/tables/values.py`` has the whole table."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from penstock.engines.resident import peak_resident_bytes

MEBIBYTE = 1 << 20
VALUE_BYTES = 48 * MEBIBYTE
MAX_MEMORY = 128 * MEBIBYTE
COPY = """
import sys, penstock
from penstock.engines.resident import peak_resident_bytes
penstock.copy(sys.argv[1], sys.argv[2], table=sys.argv[3], max_memory="128MiB")
print(peak_resident_bytes())
"""


def peak(uri: str, target: Path, table: str) -> int:
    """Copy in a process of its own; return the most memory it had."""
    command = [sys.executable, "-c", COPY, uri, str(target), table]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(peak_resident_bytes() is None, reason="the system does not tell a process's memory")
@pytest.mark.parametrize(("name", "forced"), [("csv", 1), ("ndjson", 1), ("arrow", 1), ("parquet", 1 + 3)])
def test_wide_values_stay_within_max_memory_and_what_libraries_hold(tmp_path: Path, name: str, forced: int) -> None:
    """On top of what a copy of next to nothing takes: one value is SQLite's, and three copies are Arrow's for Parquet."""
    with closing(sqlite3.connect(tmp_path / "wide.db")) as connection, connection:
        for table, size in (("narrow", 1), ("wide", VALUE_BYTES)):
            connection.execute(f"CREATE TABLE {table} (id INTEGER, text TEXT)")
            texts = ((number, os.urandom(size // 2).hex()) for number in range(3))
            connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", texts)
    uri = f"sqlite:///{tmp_path}/wide.db"
    floor = peak(uri, tmp_path / f"narrow.{name}", "narrow")
    assert peak(uri, tmp_path / f"wide.{name}", "wide") - floor <= MAX_MEMORY + forced * VALUE_BYTES
