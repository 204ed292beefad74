"""SQLite tables WITHOUT ROWID in pages, by primary key: every row once, in its order, whatever the key is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from penstock import connectors, formats
from penstock.connectors.sqlite._database import Database
from penstock.connectors.sqlite._order import Position, Stretch
from penstock.connectors.sqlite._paged import TableInPages, in_pages
from penstock.errors import SourceError
from tests.connectors.parts import Cancellable, read_table, source_of
from tests.connectors.sqlite_parts import (
    MANY,
    TEXTS,
    VALUES,
    assert_is_not_read_in_order,
    fill,
    in_any_order,
    in_rows,
    outcome,
)

SMALL_BYTES = 20_000  # pages of some hundred rows, or fewer
KEYED = "CREATE TABLE t (tenant INTEGER, name TEXT, n INTEGER, PRIMARY KEY (tenant, name)) WITHOUT ROWID"
TENANTS = f"INSERT INTO t {MANY.format(10_000)} SELECT i / 1000, printf('%05d', i), i FROM n"

KEY_COLUMNS = [
    "INTEGER",
    "TEXT",
    "REAL",
    "NUMERIC",
    "BLOB",
    "",
    "TEXT COLLATE NOCASE",
    "BLOB COLLATE RTRIM",
]
# Bytes with a mark in front are stored as text, which they need not be.
BROKEN_TEXTS = st.binary(max_size=4).map(lambda value: f"CAST(x'{value.hex()}' AS TEXT)") | st.sampled_from(
    ["CAST(x'61FF' AS TEXT)", "CAST(x'61FE00' AS TEXT)", "CAST(x'610061' AS TEXT)", "CAST(x'6100' AS TEXT)"]
)
NEAR = st.integers(-3, 3) | st.integers(-3, 3).map(float) | st.sampled_from(["a", "A", "a ", "", "1", b"", b"a", b"1"])


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data.db'}"


Key = tuple[list[str], str, list[list[tuple[str, list[Any]]]]]


@st.composite
def keys(draw: st.DrawFn) -> Key:
    """Declarations of one to three columns, what the key says of each, and values for them: as SQL, and its parameters."""
    declared = draw(st.lists(st.sampled_from(KEY_COLUMNS), min_size=1, max_size=3))
    value = (VALUES | NEAR).map(lambda value: ("?", [value])) | BROKEN_TEXTS.map(lambda text: (text, []))
    row = st.tuples(*(value for _column in declared)).map(list)
    collation = draw(st.sampled_from(["", " COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY"]))
    said = (collation if len(declared) == 1 else "") + draw(st.sampled_from(["", " DESC"]))
    return declared, said, draw(st.lists(row, min_size=17, max_size=40))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=keys(), on_type_loss=st.sampled_from(["error", "warn"]), is_small=st.booleans())
def test_pages_by_key_are_what_rows_are(tmp_path: Path, key: Key, on_type_loss: str, is_small: bool) -> None:
    """Numbers, text that is none, bytes and all of them in one column: no row is lost, or comes twice."""
    declared, said, rows = key
    uri = f"sqlite:///{tmp_path / 'keyed.db'}"
    names = [f"k{number}" for number in range(len(declared))]
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, declared, strict=True))
    statements = [
        (
            f"INSERT OR IGNORE INTO t VALUES ({number}, {', '.join(sql for sql, _values in row)})",
            [[value for _sql, values in row for value in values]],
        )
        for number, row in enumerate(rows)
    ]
    terms = ", ".join(f"{name}{said}" for name in reversed(names))
    created = f"CREATE TABLE t (n INTEGER, {columns}, PRIMARY KEY ({terms})) WITHOUT ROWID"
    fill(uri, "DROP TABLE IF EXISTS t", created, *statements)
    described = source_of(uri, table="t").describe(None)  # type: ignore[attr-defined]
    assert described.why == "the table has a primary key to page by"
    for asked in (["n"], ["n", *(name for name, kind in zip(names, declared, strict=True) if kind)]):
        wanted: dict[str, Any] = {"table": "t", "columns": asked, "on_type_loss": on_type_loss}
        if is_small:
            wanted["batch_bytes"] = 4 * 64 * len(asked) * 16  # pages of 16 rows
        assert in_any_order(outcome(uri, **wanted)) == in_any_order(in_rows(uri, **wanted))


@pytest.mark.usefixtures("no_python_rows")
def test_no_row_of_a_table_with_a_key_passes_through_python(uri: str) -> None:
    """The plan says that it is read in pages, and by what; no order is asked of SQLite but that of its tree."""
    fill(uri, KEYED, TENANTS)
    described = source_of(uri, table="t").describe(None)  # type: ignore[attr-defined]
    assert described.reading == "pages of rows, which SQLite packs and Arrow unpacks"
    assert described.why == "the table has a primary key to page by"
    assert described.consistency == "one read transaction: a snapshot"
    table = read_table(source_of(uri, table="main.t", batch_bytes=SMALL_BYTES))
    assert table["n"].to_pylist() == [*range(1, 10_001)]
    assert table["name"].to_pylist() == [f"{number:05d}" for number in range(1, 10_001)]
    few = read_table(source_of(uri, table="t", columns=["n", "tenant"], limit=5000, batch_bytes=SMALL_BYTES))
    assert few["n"].to_pylist() == [*range(1, 5001)]
    assert read_table(source_of(uri, table="t", limit=0)).num_rows == 0


@pytest.mark.usefixtures("no_python_rows")
@pytest.mark.parametrize(
    ("key", "where", "wanted"),
    [
        ("tenant DESC, name DESC", None, range(10_000, 0, -1)),
        ("tenant DESC, name DESC", "tenant = 3", range(3999, 2999, -1)),
        ("tenant DESC, name DESC", "tenant > 2 AND tenant < 5", range(4999, 2999, -1)),
        ("name DESC", None, range(10_000, 0, -1)),
        ("name COLLATE NOCASE", None, range(1, 10_001)),
        ("name COLLATE NOCASE DESC", "name COLLATE NOCASE <= '01500'", range(1500, 0, -1)),
    ],
)
def test_a_key_may_be_in_descending_order_and_have_a_collation(
    uri: str, key: str, where: str | None, wanted: Iterable[int]
) -> None:
    """Pages follow the tree, from its beginning, whichever end of the values that is."""
    fill(uri, f"CREATE TABLE t (tenant INTEGER, name TEXT, n INTEGER, PRIMARY KEY ({key})) WITHOUT ROWID", TENANTS)
    asked: dict[str, Any] = {"table": "t", "where": where, "batch_bytes": SMALL_BYTES}
    rows = list(wanted)
    assert read_table(source_of(uri, **asked))["n"].to_pylist() == rows
    assert read_table(source_of(uri, limit=700, **asked))["n"].to_pylist() == rows[:700]


@pytest.mark.usefixtures("no_python_rows")
@pytest.mark.parametrize("name", ["rowid", "select", 'a"b', "a`b", "a b", "ANY(x", "a>?", "é"])
def test_a_key_may_be_called_anything(uri: str, name: str) -> None:
    """As a column of a name SQLite has for itself, or writes in its plans."""
    quoted = '"' + name.replace('"', '""') + '"'
    fill(uri, f"CREATE TABLE t ({quoted} TEXT, n INTEGER, PRIMARY KEY ({quoted}, n)) WITHOUT ROWID")
    fill(uri, f"INSERT INTO t {MANY.format(1000)} SELECT printf('%d', i / 10), i FROM n")
    table = read_table(source_of(uri, table="t", batch_bytes=SMALL_BYTES))
    assert sorted(table["n"].to_pylist()) == [*range(1, 1001)]


@pytest.mark.usefixtures("no_python_rows")
@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("tenant = 3", range(3000, 4000)),
        ("tenant = 3 AND name > '03500' AND n % 2 = 0", range(3502, 4000, 2)),
        ("tenant >= 9 AND +name <> 'x'", range(9000, 10_001)),
        ("tenant > 2 AND tenant < 5", range(3000, 5000)),
        ("(tenant, name) <= (1, '01500')", range(1, 1501)),
        ("tenant > 20", ()),
        ("tenant = 3 AND n = 7", ()),
        ("n > 4990 AND n < 5010", range(4991, 5010)),
        ("n = 10000 OR n = 1", (1, 10_000)),
    ],
)
def test_a_condition_and_a_limit_hold_across_pages_by_key(uri: str, where: str, wanted: Iterable[int]) -> None:
    """On the key, on its first column, or on none of it."""
    fill(uri, KEYED, TENANTS)
    rows = list(wanted)
    asked: dict[str, Any] = {"table": "t", "where": where, "batch_bytes": SMALL_BYTES}
    assert read_table(source_of(uri, **asked))["n"].to_pylist() == rows
    assert read_table(source_of(uri, limit=700, **asked))["n"].to_pylist() == rows[:700]


def test_beside_the_range_of_a_condition_nothing_is_looked_for(uri: str) -> None:
    """Its first and last row are found at once: every statement goes to its place by the key, none sorts or scans."""
    fill(uri, KEYED, TENANTS)
    request = connectors.SourceRequest(uri=uri, formats=formats, table="t", where="tenant = 3")
    with closing(Database(Path(uri.removeprefix("sqlite:///")), "t", request)) as database:
        table = in_pages(database, request)
        assert isinstance(table, TableInPages)
        assert table.is_range
        somewhere = Position("?, ?", (3, "03500"))
        stretch = Stretch(somewhere, somewhere)
        asked: list[tuple[str, tuple[object, ...]]] = [(statement, ()) for statement in table.bounds]
        asked += [(table.before(somewhere), somewhere.values)]
        asked += [(statement, stretch.parameters) for statement in (table.end(stretch, 100), table.rows(stretch, -1))]
        for statement, parameters in asked:
            ((*_, step),) = database.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            assert step.startswith("SEARCH t USING PRIMARY KEY (")


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"table": "d"}, "its primary key has columns in ascending and in descending order"),
        ({"table": "c"}, "SQLite does not seek its rows by all of its primary key, which may have a collation"),
        ({"table": "o"}, "SQLite does not seek its rows by all of its primary key, which may have a collation"),
        ({"table": "t", "where": "tenant IN (1, 9)"}, "SQLite finds the rows by an index"),
        ({"table": "t", "where": "tenant = 1 OR tenant = 9"}, "SQLite finds the rows by an index"),
        ({"table": "t", "where": "n = 5"}, "SQLite finds the rows by an index"),
        ({"table": "t", "where": "tenant < random()"}, "the condition calls functions"),
        ({"table": "t", "where": "tenant > 1 LIMIT 1"}, "SQLite does not take the condition in brackets"),
        ({"table": "three"}, "its columns have taken every name of the row number"),
    ],
)
def test_a_table_with_a_key_that_is_not_read_by_it_is_said_to_be(uri: str, wanted: dict[str, Any], why: str) -> None:
    """The plan says so, and why; and so it is read."""
    fill(
        uri,
        KEYED,
        "CREATE INDEX i ON t (n)",
        "CREATE TABLE d (a INTEGER, b TEXT, PRIMARY KEY (a, b DESC)) WITHOUT ROWID",
        "CREATE TABLE c (a TEXT, b TEXT, PRIMARY KEY (a COLLATE NOCASE, b)) WITHOUT ROWID",
        "CREATE TABLE o (a INTEGER, b TEXT COLLATE NOCASE, PRIMARY KEY (a, b COLLATE BINARY)) WITHOUT ROWID",
        "CREATE TABLE three (rowid PRIMARY KEY, oid, _rowid_) WITHOUT ROWID",
        "INSERT INTO t VALUES (1, 'x', 5)",
    )
    assert_is_not_read_in_order(uri, wanted, why)


@pytest.mark.parametrize("where", ["name = ?", "name = ?1", "name = :first", "n > 0) OR (n > 0"])
def test_no_condition_takes_the_parameters_of_a_page(uri: str, where: str) -> None:
    """A page has its own; those and brackets in a condition are the errors they were."""
    fill(uri, KEYED, TENANTS)
    with pytest.raises(SourceError, match=r"syntax error|bindings|binding 1"):
        read_table(source_of(uri, table="t", where=where))


def test_a_key_of_text_that_is_no_text(uri: str, row_pages: list[Stretch]) -> None:
    """Its rows are all there: as bytes in pages that are packed, and as what on_type_loss says where they are text."""
    fill(uri, "CREATE TABLE t (s TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID")
    broken = f"INSERT INTO t {MANY.format(2000)} SELECT CAST(x'ff00' || printf('%04d', i) || x'fe' AS TEXT), i FROM n"
    fill(uri, broken)
    wanted: dict[str, Any] = {"table": "t", "batch_bytes": SMALL_BYTES}
    assert read_table(source_of(uri, columns=["n"], **wanted))["n"].to_pylist() == [*range(1, 2001)]
    assert row_pages == []
    assert outcome(uri, on_type_loss="warn", **wanted) == in_rows(uri, on_type_loss="warn", **wanted)
    said = outcome(uri, **wanted)
    assert isinstance(said, str)
    assert "column 's': row 1 holds text that is not UTF-8" in said


def test_a_negative_zero_in_a_table_with_a_key_keeps_its_sign(uri: str) -> None:
    """In a column without a type, of the key or not; in one of numbers SQLite stores zero."""
    fill(uri, "CREATE TABLE t (k PRIMARY KEY, r REAL, d) WITHOUT ROWID")
    fill(uri, ("INSERT INTO t VALUES (?, ?, ?)", [(-0.0, -0.0, -0.0), (1.5, 1.5, 1.5)]))
    assert outcome(uri, table="t") == in_rows(uri, table="t")
    assert math.copysign(1, read_table(source_of(uri, table="t"))["k"].to_pylist()[0]) == -1


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(beginning=TEXTS)
def test_wide_keys_are_read_row_by_row(tmp_path: Path, beginning: str) -> None:
    """Some wider than a page may be, between narrow ones."""
    uri = f"sqlite:///{tmp_path / 'wide.db'}"
    fill(uri, "DROP TABLE IF EXISTS t", "CREATE TABLE t (s TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID")
    fill(uri, ("INSERT INTO t VALUES (? || ?, ?)", [(beginning, f"{number:03d}", number) for number in range(300)]))
    wide = [(beginning, "1" + "é" * 30_000 + str(number), -number) for number in range(20)]
    fill(uri, ("INSERT INTO t VALUES (? || ?, ?)", wide))
    wanted: dict[str, Any] = {"table": "t", "batch_bytes": SMALL_BYTES}
    assert outcome(uri, **wanted) == in_rows(uri, **wanted)


def test_pages_by_key_are_of_one_snapshot(uri: str) -> None:
    """What another connection commits between two pages is not seen, be it the key."""
    fill(uri, "PRAGMA journal_mode = WAL", KEYED, TENANTS)
    with source_of(uri, table="t", batch_bytes=SMALL_BYTES).open_batches() as batches:
        iterator = iter(batches)
        numbers = next(iterator)["n"].to_pylist()
        fill(uri, "UPDATE t SET tenant = 9 - tenant WHERE tenant < 10", "DELETE FROM t WHERE n % 2 = 0")
        for batch in iterator:
            numbers += batch["n"].to_pylist()
    assert numbers == [*range(1, 10_001)]


def test_a_cancel_interrupts_a_page_by_key(uri: str) -> None:
    """While SQLite looks through rows of which it wants none."""
    fill(uri, "CREATE TABLE t (k INTEGER, s TEXT, PRIMARY KEY (k, s)) WITHOUT ROWID")
    fill(uri, f"INSERT INTO t {MANY.format(20_000)} SELECT i / 9, i || hex(zeroblob(150)) FROM n")
    slow = " OR ".join(f"s LIKE '%{number}b'" for number in range(500))
    assert source_of(uri, table="t", where=slow).describe(None).reading.startswith("pages")  # type: ignore[attr-defined]
    call = Cancellable(lambda: read_table(source_of(uri, table="t", where=slow)))
    call.wait_still()
    assert call.cancel() < 0.5
