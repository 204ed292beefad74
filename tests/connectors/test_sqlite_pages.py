"""SQLite tables in pages: what comes packed is what comes row by row, value by value and error by error."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from penstock.connectors.sqlite import _packing, _page_reader, _paged
from penstock.connectors.sqlite._order import Stretch
from penstock.errors import SourceError
from penstock.flow.contracts import Describable
from penstock.flow.losses import Losses
from tests.connectors.parts import Cancellable, read_table, source_of
from tests.connectors.sqlite_parts import (
    ANYTHING,
    FLOATS,
    INTEGERS,
    MANY,
    TEXTS,
    assert_is_not_read_in_order,
    assert_is_read_row_by_row,
    fill,
    in_rows,
    outcome,
)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data.db'}"


ENCODINGS = ["UTF-8", "UTF-16le", "UTF-16be"]
HALVES = ["\ud83c", "\udf0a", "a\ud83cb\n", "\0\ud83c", "\udf0a\0"] * 10
DECLARATIONS = ["INTEGER", "BOOLEAN", "TEXT", "REAL", "NUMERIC", "BLOB", "DATE", ""]
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "INTEGER": INTEGERS,
    "BOOLEAN": st.integers(0, 1),
    "TEXT": TEXTS,
    "REAL": FLOATS,
    "NUMERIC": FLOATS | INTEGERS,
    "BLOB": st.binary(max_size=6),
    "DATE": TEXTS,
    "": TEXTS | INTEGERS | FLOATS | st.binary(max_size=6),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Declarations, and rows, most of which fit."""
    declared = draw(st.lists(st.sampled_from(DECLARATIONS), min_size=1, max_size=5))
    value = {kind: st.none() | (FITTING[kind] if draw(st.integers(0, 3)) else ANYTHING) for kind in set(declared)}
    rows = draw(st.lists(st.tuples(*(value[kind] for kind in declared)), max_size=40))
    return declared, rows


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=tables(),
    on_type_loss=st.sampled_from(["error", "warn"]),
    is_small=st.booleans(),
    encoding=st.sampled_from(ENCODINGS),
)
def test_pages_are_what_rows_are(
    tmp_path: Path, table: tuple[list[str], list[tuple[Any, ...]]], on_type_loss: str, is_small: bool, encoding: str
) -> None:
    """The same batches, losses and errors, whatever stands in the columns, in one page or in several."""
    declared, rows = table
    uri = f"sqlite:///{tmp_path / f'{encoding}.db'}"
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(declared))
    marks = ", ".join("?" * len(declared))
    fill(
        uri,
        f"PRAGMA encoding = '{encoding}'",
        "DROP TABLE IF EXISTS t",
        f"CREATE TABLE t ({columns})",
        (f"INSERT INTO t VALUES ({marks})", rows),
    )
    wanted: dict[str, Any] = {"table": "t", "on_type_loss": on_type_loss}
    if is_small:
        wanted["batch_bytes"] = 4 * 64 * len(declared) * 16  # pages of 16 rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_page_reader.PageReader, "_attempt", lambda _self, _page: None)
        one_by_one = outcome(uri, **wanted)
    assert outcome(uri, **wanted) == one_by_one


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(FLOATS, min_size=16, max_size=40), declared=st.sampled_from(["REAL", "NUMERIC", ""]))
def test_every_double_is_the_same_double(tmp_path: Path, values: list[float], declared: str) -> None:
    """Bit by bit, whichever way it goes."""
    uri = f"sqlite:///{tmp_path / 'doubles.db'}"
    rows = [(value,) for value in values]
    fill(uri, "DROP TABLE IF EXISTS t", f"CREATE TABLE t (d {declared})", ("INSERT INTO t VALUES (?)", rows))
    expected = in_rows(uri, table="t")
    assert outcome(uri, table="t") == expected
    assert outcome(uri, query="SELECT d FROM t") == expected


@pytest.mark.usefixtures("no_python_rows")
@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ("INTEGER", [2**63 - 1, -(2**63), 0, None]),
        ("BOOLEAN", [1, 0, None]),
        ("TEXT", ["plain", "", None, "null", 'q"uo\\te', "a,b"]),
        ("TEXT", ["line\nline\r\n", "\0", "\x01\x1f", "", None, "é\u07ff\u0800\ud7ff\ue000\ufffd🌊"]),
        ("DATE", ["2024-02-30", None]),
        ("BLOB", [b"", b"\0\xff", None, b"\xc3"]),
        ("REAL", [0.0, 0.07, -12345678.91, None]),
        ("REAL", [12.3456789, 1e-7]),
        ("REAL", [math.pi, -1 / 3, 2.0**53 - 1, 0.0, None]),
        ("REAL", [math.pi * 1e-20, -math.e, 2.0**53 - 1, 2.0**-124, 0.0, None]),
        ("NUMERIC", [1, 1.5, 2**53, None]),
        ("", [1, 2, None]),
        ("", [0.5, 0.0, None]),
        ("", [None]),
    ],
)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_row_of_these_passes_through_python(uri: str, declared: str, values: list[object], encoding: str) -> None:
    """What fits its column comes packed, and is the same."""
    rows = [(value,) for value in values * 20]
    fill(uri, f"PRAGMA encoding = '{encoding}'", f"CREATE TABLE t (c {declared})", ("INSERT INTO t VALUES (?)", rows))
    table = read_table(source_of(uri, table="t"))
    assert [(value,) for value in table["c"].to_pylist()] == rows


@pytest.mark.usefixtures("no_python_rows")
def test_row_numbers_may_be_any(uri: str) -> None:
    """The smallest, the largest and gaps; and a column may have taken the name of the number."""
    numbers = [-(2**63), -5, 0, 7, 10**12, 2**63 - 1]
    fill(
        uri,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, rowid TEXT)",
        ("INSERT INTO t VALUES (?, 'x')", [(n,) for n in numbers]),
    )
    assert read_table(source_of(uri, table="t"))["id"].to_pylist() == numbers
    assert read_table(source_of(uri, table="main.t", columns=["rowid", "id"], limit=2)).to_pylist() == [
        {"rowid": "x", "id": -(2**63)},
        {"rowid": "x", "id": -5},
    ]


@pytest.mark.usefixtures("no_python_rows")
def test_a_table_may_have_more_columns_than_a_function_takes_arguments(uri: str) -> None:
    """300 columns, doubles among them, which take two."""
    names = ", ".join(f"c{number} {'REAL' if number % 3 else 'TEXT'}" for number in range(300))
    values = tuple(number / 7 if number % 3 else f"{number}" for number in range(300))
    fill(uri, f"CREATE TABLE t ({names})", (f"INSERT INTO t VALUES ({', '.join('?' * 300)})", [values] * 50))
    table = read_table(source_of(uri, table="t", batch_bytes=16 << 20))
    assert [tuple(row.values()) for row in table.to_pylist()] == [values] * 50


@pytest.mark.usefixtures("no_python_rows")
def test_a_computed_column_stays_text(uri: str) -> None:
    """What json() made is JSON to the function that packs, and would be part of the row's."""
    fill(
        uri,
        "CREATE TABLE t (s TEXT, j TEXT AS (json(s)), k TEXT AS (json(s)) STORED, n REAL AS (json_array_length(s)))",
        "INSERT INTO t VALUES ('[1, 2]')",
    )
    assert read_table(source_of(uri, table="t")).to_pylist() == [{"s": "[1, 2]", "j": "[1,2]", "k": "[1,2]", "n": 2.0}]


def fill_with_a_collation(uri: str, rows: list[list[object]]) -> list[str]:
    """Make a table, all of whose columns have a collation that only this connection knows; return their names."""
    names = [f"c{number}" for number in range(len(DECLARATIONS))]
    declared = ", ".join(f"{name} {kind} COLLATE mine" for name, kind in zip(names, DECLARATIONS, strict=True))
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.create_collation("mine", lambda left, right: (left > right) - (left < right))
        connection.execute(f"CREATE TABLE t ({declared})")
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", rows)
        connection.commit()
    return names


STRANGE: list[object] = [7, True, "x\0", 1.5, 1 / 3, b"\xff", "2024-01-01", "z"]


@pytest.mark.usefixtures("no_python_rows")
def test_a_collation_may_be_one_that_only_another_program_knows(uri: str) -> None:
    """As those of Android and Apple are. No value is compared by it, and the description needs none either."""
    names = fill_with_a_collation(uri, [STRANGE, [None] * len(STRANGE)])
    expected = [dict(zip(names, STRANGE, strict=True)), dict.fromkeys(names)]
    source = source_of(uri, table="t")
    assert repr(read_table(source).to_pylist()) == repr(expected)
    assert isinstance(source, Describable)
    assert [column.name for column in source.describe("csv").columns] == names


@pytest.mark.parametrize("reading", [{"table": "t"}, {"query": "SELECT * FROM t"}])
def test_values_of_other_types_under_such_a_collation(uri: str, reading: dict[str, str]) -> None:
    """A page that cannot be packed, and a query, are read row by row, and described, without it as well."""
    names = fill_with_a_collation(uri, [STRANGE, ["x"] * len(STRANGE)])
    losses = Losses()
    source = source_of(uri, on_type_loss="warn", losses=losses, **reading)
    assert read_table(source).num_rows == 2
    assert "c0" in str(losses.told())
    assert isinstance(source, Describable)
    assert [column.name for column in source.describe("csv").columns] == names


@pytest.mark.parametrize(
    ("made", "wanted", "hint"),
    [
        ("t (a TEXT COLLATE mine)", {"query": "SELECT a FROM t ORDER BY a"}, "CAST"),
        ("t (a TEXT COLLATE mine PRIMARY KEY) WITHOUT ROWID", {"table": "t"}, "WITHOUT ROWID"),
    ],
)
def test_what_cannot_be_read_without_the_collation_says_so(
    uri: str, made: str, wanted: dict[str, str], hint: str
) -> None:
    """SQLite's own words are hardly understood."""
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.create_collation("mine", lambda left, right: (left > right) - (left < right))
        connection.execute(f"CREATE TABLE {made}")
        connection.execute("INSERT INTO t VALUES ('x'), ('y')")
        connection.commit()
    with pytest.raises(SourceError, match=hint):
        read_table(source_of(uri, **wanted))


@pytest.mark.parametrize("knows_powers", [True, False])
def test_a_negative_zero_keeps_its_sign(uri: str, knows_powers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No comparison tells it from zero. Where SQLite has no powers either, a page where it may be is read row by row."""
    if not knows_powers:
        monkeypatch.setattr(_page_reader, "NEGATIVE_ZERO", "no_such_function({0})")
    fill(uri, "CREATE TABLE t (d, r REAL)", ("INSERT INTO t VALUES (?, ?)", [(-0.0, -0.0), (1.5, 1.5)]))
    fill(uri, "ALTER TABLE t ADD COLUMN e REAL DEFAULT -0.0")
    expected = in_rows(uri, table="t")
    assert outcome(uri, table="t") == expected
    assert outcome(uri, query="SELECT * FROM t") == expected
    assert math.copysign(1, read_table(source_of(uri, table="t"))["d"].to_pylist()[0]) == -1


def test_a_condition_and_a_limit_hold_across_pages(uri: str, row_pages: list[Stretch]) -> None:
    """Pages without a row are none; the limit counts what is wanted."""
    fill(uri, "CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t " + MANY.format(20000) + "SELECT i, 'x' || i FROM n")
    wanted = {"where": "a > 5000 AND (a < 5003 OR b IN ('x19999', 'x20000'))", "batch_bytes": 20_000}
    assert read_table(source_of(uri, table="t", **wanted))["a"].to_pylist() == [5001, 5002, 19999, 20000]
    assert read_table(source_of(uri, table="t", limit=3, **wanted))["a"].to_pylist() == [5001, 5002, 19999]
    assert read_table(source_of(uri, table="t", limit=0)).num_rows == 0
    assert read_table(source_of(uri, table="t", limit=15000, batch_bytes=20_000))["a"].to_pylist() == [*range(1, 15001)]
    assert row_pages == []


@pytest.mark.usefixtures("no_python_rows")
@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("id > 9000", range(9001, 10001)),
        ("id <= 30", range(1, 31)),
        ("id > 100 AND id < 5000 AND a > 4990", range(4991, 5000)),
        ("id > 20000", ()),
        ("id < 100 AND a > 500", ()),
    ],
)
def test_a_range_of_row_numbers_is_looked_for_nowhere_else(uri: str, where: str, wanted: Iterable[int]) -> None:
    """Its first and last row are found at once, and between them are the pages."""
    fill(
        uri, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT)", f"INSERT INTO t {MANY.format(10_000)} SELECT i, i FROM n"
    )
    table = read_table(source_of(uri, table="t", where=where, batch_bytes=20_000))
    assert table["id"].to_pylist() == [*wanted]


def test_the_first_rows_wanted_decide_what_is_not_declared(uri: str) -> None:
    """Not the first of the table; and as many of them as would be a batch, though the first page is shorter."""
    fill(uri, "CREATE TABLE t (n INTEGER, c)", "INSERT INTO t " + MANY.format(9000) + "SELECT i, 'x' FROM n")
    fill(uri, "INSERT INTO t " + MANY.format(9000) + "SELECT 9000 + i, CASE WHEN i > 8000 THEN i END FROM n")
    table = read_table(source_of(uri, table="t", where="n > 9000", batch_bytes=1 << 20))
    assert str(table.schema.field("c").type) == "int64"
    assert table["c"].null_count == 8000
    few = source_of(uri, table="t", where="n > 9000", limit=10)
    assert str(read_table(few).schema.field("c").type) == "string"


def test_beyond_the_limit_nothing_is_held_against_the_table(uri: str) -> None:
    """A value that fits nothing, after the last row wanted."""
    fill(uri, "CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1), (2), ('x')")
    assert read_table(source_of(uri, table="t", where="a > 1", limit=1))["a"].to_pylist() == [2]


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"query": "SELECT * FROM t"}, "a query has no row numbers to page by"),
        ({"table": "v"}, "only a table itself has row numbers, or a key, to page by"),
        ({"table": "f"}, "only a table itself has row numbers, or a key, to page by"),
        ({"table": "named"}, "its columns have taken every name of the row number"),
        ({"table": "t", "where": "a = 1"}, "SQLite finds the rows by an index"),
        ({"table": "main.t", "where": "rowid = 1"}, "SQLite finds the rows by an index"),
        ({"table": "t", "columns": ["a"]}, "SQLite finds the rows by an index"),
        ({"table": "t", "where": "b > 0 -- note"}, "the condition calls functions"),
        ({"table": "t", "where": "b < random()"}, "the condition calls functions, which may say something else"),
        ({"table": "t", "where": "b < current_timestamp"}, "the condition calls functions"),
        ({"table": "t", "where": "b > 0 ORDER BY b + 1"}, "SQLite finds the rows by an index"),
        ({"table": "t", "where": "b > 0 LIMIT 1"}, "SQLite does not take the condition in brackets"),
    ],
)
def test_what_is_not_read_in_order_is_said_to_be(uri: str, wanted: dict[str, Any], why: str) -> None:
    """The plan says so, and why; and so it is read."""
    fill(
        uri,
        "CREATE TABLE t (a INTEGER, b INTEGER)",
        "CREATE INDEX i ON t (a)",
        "INSERT INTO t VALUES (1, 2)",
        "CREATE VIEW v AS SELECT * FROM t",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "CREATE TABLE named (rowid, oid, _rowid_)",
    )
    assert_is_not_read_in_order(uri, wanted, why)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"table": "t", "on_type_loss": "text"}, "every value is made text, whatever it is"),
        ({"query": "SELECT * FROM t", "on_type_loss": "text"}, "every value is made text, whatever it is"),
        ({"query": "PRAGMA table_info(t)"}, "a query has no row numbers to page by; it is no SELECT"),
    ],
)
def test_what_is_read_row_by_row_is_said_to_be(uri: str, wanted: dict[str, Any], why: str) -> None:
    """The plan says so, and why; and so it is read."""
    fill(uri, "CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)")
    assert_is_read_row_by_row(uri, wanted, why)


@pytest.mark.parametrize("where", ["b = ?", "b = ?1", "b = :first", "b > 0) OR (b > 0"])
def test_no_condition_reaches_into_the_statement_of_a_page(uri: str, where: str) -> None:
    """Parameters and brackets in it are the errors they were."""
    fill(uri, "CREATE TABLE t (b INTEGER)", "INSERT INTO t " + MANY.format(100) + "SELECT i FROM n")
    with pytest.raises(SourceError, match=r"syntax error|bindings|binding 1"):
        read_table(source_of(uri, table="t", where=where))


def test_a_column_is_called_what_the_table_calls_it(uri: str) -> None:
    """However it was asked for; the row number too, and a column twice."""
    fill(uri, "CREATE TABLE t (Id INTEGER PRIMARY KEY, b TEXT)", "INSERT INTO t VALUES (7, 'x')")
    columns = ["B", "ID", "b", "ROWID"]
    one_by_one = in_rows(uri, query="SELECT B, ID, b, ROWID FROM t")
    assert outcome(uri, table="t", columns=columns) == one_by_one


def test_a_table_is_said_to_be_read_in_pages(uri: str) -> None:
    """The plan names the path."""
    fill(uri, "CREATE TABLE t (a INTEGER)")
    described = source_of(uri, table="t").describe(None)  # type: ignore[attr-defined]
    assert described.reading == "pages of rows, which SQLite packs and Arrow unpacks"
    assert described.consistency == "one read transaction: a snapshot"


@pytest.mark.parametrize("encoding", ENCODINGS[1:])
def test_half_a_surrogate_pair_is_the_same_text(uri: str, encoding: str) -> None:
    """SQLite makes one character of it and what follows, or another; and of no two values."""
    stored = [text.encode(f"utf-16-{encoding[-2:]}", "surrogatepass").hex() for text in HALVES]
    values = ", ".join(f"(CAST(x'{digits}' AS TEXT))" for digits in stored)  # as it is only in a literal
    fill(uri, f"PRAGMA encoding = '{encoding}'", "CREATE TABLE t (s TEXT)", f"INSERT INTO t VALUES {values}")
    expected = in_rows(uri, table="t")
    assert outcome(uri, table="t") == expected
    assert outcome(uri, query="SELECT s || '' AS s FROM t") == expected


def test_text_that_is_no_text_is_the_same_error(uri: str) -> None:
    """Bytes that are no UTF-8, in a column of text."""
    fill(uri, "CREATE TABLE t (s TEXT)", "INSERT INTO t VALUES ('x'), (CAST(x'ff41' AS TEXT))")
    said = in_rows(uri, query="SELECT * FROM t")
    assert isinstance(said, str)
    assert "column 's': row 2 holds text that is not UTF-8" in said
    assert outcome(uri, table="t") == said


@pytest.mark.parametrize("reading", [{"table": "t"}, {"query": "SELECT * FROM t"}])
@pytest.mark.parametrize("letters", [1, 200_000])
def test_text_that_is_no_text_may_be_null_or_its_bytes(uri: str, reading: dict[str, str], letters: int) -> None:
    """NULL that is counted with warn, the bytes as SQLite writes them with text; narrow or wide, beside text that is fine."""
    fill(
        uri,
        "CREATE TABLE t (s TEXT)",
        "INSERT INTO t VALUES ('é'), (CAST(x'ff" + "41" * letters + "' AS TEXT)), (NULL), ('y')",
    )
    losses = Losses()
    warned = read_table(source_of(uri, **reading, on_type_loss="warn", losses=losses))
    assert warned["s"].to_pylist() == ["é", None, None, "y"]
    assert [str(loss) for loss in losses.told()] == [
        "column 's': 1 value became NULL: text that is not UTF-8 does not fit string"
    ]
    told = read_table(source_of(uri, **reading, on_type_loss="text"))
    assert told["s"].to_pylist() == ["é", "X'FF" + "41" * letters + "'", None, "y"]


def test_the_row_of_text_that_is_no_text_is_counted_over_all_pages(uri: str) -> None:
    """Not from the beginning of its page, or of its batch."""
    fill(uri, "CREATE TABLE t (s TEXT)", "INSERT INTO t " + MANY.format(50_000) + "SELECT 'x' FROM n")
    fill(uri, "UPDATE t SET s = CAST(x'ff' AS TEXT) WHERE rowid = 40000")
    for reading in ({"table": "t"}, {"query": "SELECT * FROM t"}):
        with pytest.raises(SourceError, match=r"column 's': row 40000 holds .* see on_type_loss"):
            read_table(source_of(uri, **reading, batch_bytes=100_000))


def test_only_the_page_with_a_misfit_is_read_row_by_row(uri: str, row_pages: list[Stretch]) -> None:
    """And the next one, as it is likely no better; those after it come packed again."""
    fill(uri, "CREATE TABLE t (a INTEGER)", "INSERT INTO t " + MANY.format(100_000) + "SELECT i FROM n")
    fill(uri, "UPDATE t SET a = 'x' WHERE a = 50000")
    losses = Losses()
    table = read_table(source_of(uri, table="t", batch_bytes=100_000, on_type_loss="warn", losses=losses))
    assert table["a"].to_pylist() == [*range(1, 50000), None, *range(50001, 100_001)]
    assert sum(loss.count for loss in losses.told()) == 1
    assert len(row_pages) == 2
    ((after,), (last,)), ((after_next,), _last) = [
        (page.after.values, page.last.values) for page in row_pages if page.after and page.last
    ]
    assert after < 50000 <= last == after_next


def test_a_page_that_weighs_too_much_is_read_row_by_row(uri: str, row_pages: list[Stretch]) -> None:
    """Narrow rows, then wide ones: no batch is much larger than asked for."""
    fill(uri, "CREATE TABLE t (s TEXT, b BLOB)", "INSERT INTO t " + MANY.format(20_000) + "SELECT 'x', x'00' FROM n")
    fill(uri, "INSERT INTO t " + MANY.format(30) + "SELECT hex(zeroblob(50000)), zeroblob(50000) FROM n")
    with source_of(uri, table="t", batch_bytes=200_000).open_batches() as batches:
        sizes = [(batch.num_rows, batch.nbytes) for batch in batches]
    assert sum(rows for rows, _size in sizes) == 20_030
    assert max(size for _rows, size in sizes) < 400_000
    assert row_pages


def test_a_value_beyond_all_bounds_is_the_same_error_in_a_table(uri: str) -> None:
    """It is not read into memory."""
    fill(uri, "CREATE TABLE t (a BLOB)", "INSERT INTO t VALUES (x'00'), (zeroblob(100000000))")
    with pytest.raises(SourceError, match="larger than 64 MiB"):
        read_table(source_of(uri, table="t"))


@pytest.mark.parametrize("reading", [{"table": "t"}, {"query": "SELECT a FROM t"}])
def test_pages_are_of_one_snapshot(uri: str, reading: dict[str, Any]) -> None:
    """What another connection commits between two pages is not seen."""
    fill(
        uri,
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE t (a INTEGER)",
        "INSERT INTO t " + MANY.format(9999) + "SELECT 1 FROM n",
    )
    with source_of(uri, batch_bytes=20_000, **reading).open_batches() as batches:
        iterator = iter(batches)
        rows = next(iterator).num_rows
        fill(uri, "UPDATE t SET a = 2", "INSERT INTO t VALUES (3)")
        for batch in iterator:
            assert set(batch["a"].to_pylist()) == {1}
            rows += batch.num_rows
    assert rows == 9999


def test_a_cancel_interrupts_a_page(uri: str) -> None:
    """While SQLite looks through rows of which it wants none."""
    fill(uri, "CREATE TABLE t (s TEXT)", "INSERT INTO t " + MANY.format(20_000) + "SELECT hex(zeroblob(150)) FROM n")
    slow = " OR ".join(f"s LIKE '%{number}b'" for number in range(500))
    assert source_of(uri, table="t", where=slow).describe(None).reading.startswith("pages")  # type: ignore[attr-defined]
    call = Cancellable(lambda: read_table(source_of(uri, table="t", where=slow)))
    call.wait_still()
    assert call.cancel() < 0.5


def test_another_json_than_ours_packs_nothing(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever escapes in another way is found out before the first row."""
    monkeypatch.setattr(_paged, "PROBED", (b"[]", *_packing.PROBED[1:]))
    fill(uri, "CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)")
    assert source_of(uri, table="t").describe(None).why == "this SQLite writes another JSON"  # type: ignore[attr-defined]
    assert read_table(source_of(uri, table="t"))["a"].to_pylist() == [1]
