"""A copy from one table of a database file into another of the same file works, however large either is."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.errors import SourceError

duckdb = pytest.importorskip("duckdb")

SMALL, LARGE = 3, 300_000  # read whole before the load begins; read while it goes on
KINDS = ["duckdb", "sqlite", "sqlite-wal"]


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where DuckDB spills to; every test leaves it empty."""
    folder = tmp_path_factory.mktemp("spilled")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def connected(kind: str, path: Path) -> Any:
    return closing(duckdb.connect(str(path)) if kind == "duckdb" else sqlite3.connect(path, isolation_level=None))


def made(kind: str, path: Path, rows: int) -> str:
    """Make a file with a table ``x`` of so many rows, and return its scheme."""
    with connected(kind, path) as connection:
        if kind == "sqlite-wal":
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE x AS WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 99) "
            "SELECT a.i + 100 * b.i + 10000 * c.i AS i, 'a text of some length' AS t FROM r a, r b, r c "
            f"WHERE a.i + 100 * b.i + 10000 * c.i < {rows}"
        )
    return kind.partition("-")[0]


def counted(kind: str, path: Path, table: str) -> tuple[int, int]:
    """Return how many rows there are, and how many different ones."""
    with connected(kind, path) as connection:
        found: tuple[int, int] = connection.execute(f"SELECT count(*), count(DISTINCT i) FROM {table}").fetchone()
    return found


@pytest.mark.parametrize("rows", [SMALL, LARGE])
@pytest.mark.parametrize("kind", KINDS)
def test_a_table_is_copied_within_its_file(tmp_path: Path, kind: str, rows: int) -> None:
    """Every row is in the new table, once; the old one is as it was, and the file is alone in its folder."""
    path = tmp_path / "a.db"
    address = f"{made(kind, path, rows)}:///{path}"
    assert penstock.copy(address, address, table="x", to_table="y").rows == rows
    assert counted(kind, path, "y") == counted(kind, path, "x") == (rows, rows)
    assert [each.name for each in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize("rows", [SMALL, LARGE])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("if_exists", "times"), [("overwrite", 1), ("append", 2)])
def test_a_table_is_copied_into_itself(tmp_path: Path, kind: str, rows: int, if_exists: str, times: int) -> None:
    """What is read is the table as it was before: it does not grow under its own reader, and does not vanish."""
    path = tmp_path / "a.db"
    address = f"{made(kind, path, rows)}:///{path}"
    penstock.copy(address, address, table="x", to_table="x", if_exists=if_exists)
    assert counted(kind, path, "x") == (times * rows, rows)


@pytest.mark.parametrize("rows", [SMALL, LARGE])
@pytest.mark.parametrize("way", ["relative", "symbolic link", "hard link"])
def test_a_file_is_the_same_by_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, rows: int
) -> None:
    """The destination may name the source's file otherwise: the copy works all the same."""
    path, other = tmp_path / "a.db", tmp_path / "b.db"
    made("duckdb", path, rows)
    monkeypatch.chdir(tmp_path)
    if way == "relative":
        other = Path("a.db")
    elif way == "symbolic link":
        other.symlink_to(path)
    else:
        os.link(path, other)
    penstock.copy(f"duckdb:///{path}", f"duckdb:///{other}", table="x", to_table="y")
    assert counted("duckdb", path, "y") == (rows, rows)


def test_nothing_of_it_is_held_in_memory(tmp_path: Path) -> None:
    """Below a reader SQLite writes nothing without WAL; 100 MB are written when the reading has ended."""
    path, link = tmp_path / "a.db", tmp_path / "b.db"
    made("sqlite", path, 100)
    with connected("sqlite", path) as connection:
        connection.execute("UPDATE x SET t = hex(randomblob(500000))")
    link.symlink_to(path)
    command = [
        sys.executable,
        "-m",
        "penstock",
        "cp",
        f"sqlite:///{path}",
        f"sqlite:///{link}",
        "-t",
        "x",
        "--to-table",
        "y",
    ]
    said = subprocess.run(
        [*command, "--progress", "none"], check=True, timeout=60, stderr=subprocess.PIPE, text=True
    ).stderr
    assert float(re.search(r"peak memory ([0-9.]+) MiB", said)[1]) < 170, said  # type: ignore[index]
    with connected("sqlite", path) as connection:
        assert connection.execute("SELECT count(*) FROM x JOIN y USING (i) WHERE x.t = y.t").fetchone() == (100,)


def test_the_command_does_too(tmp_path: Path) -> None:
    """``penstock cp`` copies within one DuckDB file."""
    path = tmp_path / "a.db"
    made("duckdb", path, LARGE)
    command = [sys.executable, "-m", "penstock", "cp", f"duckdb:///{path}", f"duckdb:///{path}", "-t", "x"]
    subprocess.run([*command, "--to-table", "y", "--quiet"], check=True, timeout=60)
    assert counted("duckdb", path, "y") == (LARGE, LARGE)


def test_steps_may_stand_between(tmp_path: Path) -> None:
    """A flow that reads a DuckDB file is written into the same one."""
    path = tmp_path / "a.db"
    made("duckdb", path, LARGE)
    penstock.read(f"duckdb:///{path}", table="x").filter(lambda row: row["i"] < 1000).write(
        f"duckdb:///{path}", to_table="y"
    )
    assert counted("duckdb", path, "y") == (1000, 1000)


@pytest.mark.parametrize("rows", [SMALL, LARGE])
def test_a_query_that_fails_leaves_the_file_as_it_was(tmp_path: Path, rows: int) -> None:
    """An error in one row undoes the load that went on beside it; the next copy works."""
    path = tmp_path / "a.db"
    made("duckdb", path, rows)
    query = "SELECT CASE WHEN i = (SELECT max(i) FROM x) THEN error('such a row') ELSE i END AS i FROM x"
    with pytest.raises(SourceError, match="such a row"):
        penstock.copy(f"duckdb:///{path}", f"duckdb:///{path}", query=query, to_table="y")
    with connected("duckdb", path) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("x",)]
    penstock.copy(f"duckdb:///{path}", f"duckdb:///{path}", table="x", to_table="y")
    assert counted("duckdb", path, "y") == (rows, rows)


def test_the_side_that_reads_may_not_write(tmp_path: Path) -> None:
    """A query with a side effect is refused beside a load, as it is alone; nothing has changed."""
    path = tmp_path / "a.db"
    made("duckdb", path, SMALL)
    with connected("duckdb", path) as connection:
        connection.execute("CREATE SEQUENCE numbers")
    for target in (f"duckdb:///{path}", f"duckdb:///{tmp_path / 'other.db'}"):
        with pytest.raises(SourceError, match="read-only"):
            penstock.copy(f"duckdb:///{path}", target, query="SELECT nextval('numbers') AS i", to_table="y")
    with connected("duckdb", path) as connection:
        assert connection.execute("SELECT nextval('numbers')").fetchone() == (1,)
