"""A table with a dot in its own name, which a name with a schema in front can not reach."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from penstock.connectors._absent import tables_hint
from penstock.errors import SourceError
from tests.connectors.parts import read_table, source_of
from tests.servers.mariadb import MariaDbDatabase
from tests.servers.postgres import PostgresDatabase


def check_it_is_read_with_a_query(uri: str, quoted: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_table(source_of(uri, table="a.b"))
    hint = "a table with a dot in its own name is read with a query: "
    assert str(caught.value).endswith(f"({hint}SELECT * FROM {quoted})")
    assert read_table(source_of(uri, query=f"SELECT * FROM {quoted}"))["id"].to_pylist() == [1]


def test_sqlite_says_how(tmp_path: Path) -> None:
    """With the query to write."""
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute('CREATE TABLE "a.b" AS SELECT 1 AS id')
        connection.commit()
    check_it_is_read_with_a_query(f"sqlite:///{tmp_path}/x.db", '"a.b"')


def test_duckdb_says_how(tmp_path: Path) -> None:
    """With the query to write."""
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute('CREATE TABLE "a.b" AS SELECT 1 AS id')
    check_it_is_read_with_a_query(f"duckdb:///{tmp_path}/x.duckdb", '"a.b"')


def test_postgres_says_how(postgres: PostgresDatabase) -> None:
    """With the query to write; also where a schema has the name before the dot."""
    postgres.execute('CREATE TABLE "a.b" AS SELECT 1 AS id')
    check_it_is_read_with_a_query(postgres.uri, '"a.b"')
    postgres.execute("CREATE SCHEMA a")
    check_it_is_read_with_a_query(postgres.uri, '"a.b"')
    postgres.execute("CREATE TABLE a.b AS SELECT 2 AS id")
    assert read_table(source_of(postgres.uri, table="a.b"))["id"].to_pylist() == [2]


def test_mysql_says_how(mariadb: MariaDbDatabase) -> None:
    """With the query to write, where the server only says that the user may not read the other database."""
    mariadb.execute("CREATE TABLE `a.b` AS SELECT 1 AS id")
    check_it_is_read_with_a_query(mariadb.uri, "`a.b`")
    mariadb.execute(f"CREATE TABLE `{mariadb.name}.b` AS SELECT 1 AS id")
    with pytest.raises(SourceError, match=f"SELECT . FROM `{mariadb.name}.b`"):
        read_table(source_of(mariadb.uri, table=f"{mariadb.name}.b"))
    with pytest.raises(SourceError, match="ask the administrator for rights on this table"):
        read_table(source_of(mariadb.uri, table="b.a"))


def test_other_names_are_suggested() -> None:
    """The nearest ones, or some of those there are."""
    assert tables_hint("evnts", ["events", "things"]) == "did you mean 'events'?"
    assert tables_hint("zzzz", [f"t{number}" for number in range(11)]).startswith("there are t0, t1, ")
    assert tables_hint("zzzz", [f"t{number}" for number in range(11)]).endswith("t9, ...")
