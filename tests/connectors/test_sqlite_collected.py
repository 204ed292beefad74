"""SQLite queries and views in pages: the rows that SQLite collects are what it would give one by one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from penstock.connectors.sqlite import _collecting
from penstock.core.cancel import fail_after
from penstock.errors import DeadlineExceeded, SourceError
from penstock.flow.contracts import Describable
from penstock.flow.losses import Losses
from tests.connectors.parts import Cancellable, open_descriptors, read_table, source_of
from tests.connectors.sqlite_parts import ANYTHING, MANY, fill, in_any_order, in_rows, outcome

FOR_EVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, 'row ' || i AS name FROM n"


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data.db'}"


def threads() -> set[threading.Thread]:
    return set(threading.enumerate())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    declared=st.lists(
        st.sampled_from(["INTEGER", "BOOLEAN", "TEXT", "REAL", "NUMERIC", "BLOB"]), min_size=1, max_size=4
    ),
    data=st.data(),
    on_type_loss=st.sampled_from(["error", "warn"]),
    batch_bytes=st.sampled_from([1, 3000, 1 << 20]),
)
def test_collected_rows_are_what_rows_are(
    tmp_path: Path, declared: list[str], data: st.DataObject, on_type_loss: str, batch_bytes: int
) -> None:
    """The same rows in their order, losses and faults, whatever stands in the columns, taken at once or in many steps."""
    rows = data.draw(st.lists(st.tuples(*[ANYTHING] * len(declared)), max_size=40))
    uri = f"sqlite:///{tmp_path / 'any.db'}"
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(declared))
    marks = ", ".join("?" * len(declared))
    fill(uri, "DROP TABLE IF EXISTS t", f"CREATE TABLE t ({columns})", (f"INSERT INTO t VALUES ({marks})", rows))
    for query in ("SELECT * FROM t", "SELECT * FROM t ORDER BY rowid DESC LIMIT 20"):
        wanted: dict[str, Any] = {"query": query, "on_type_loss": on_type_loss, "batch_bytes": batch_bytes}
        assert in_any_order(outcome(uri, **wanted)) == in_any_order(in_rows(uri, **wanted))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(ANYTHING, ANYTHING), max_size=40), on_type_loss=st.sampled_from(["error", "warn"]))
def test_the_first_rows_decide_what_is_not_declared(
    tmp_path: Path, rows: list[tuple[Any, ...]], on_type_loss: str
) -> None:
    """As they do row by row; and faults are told in the same words."""
    uri = f"sqlite:///{tmp_path / 'any.db'}"
    fill(uri, "DROP TABLE IF EXISTS t", "CREATE TABLE t (a, b)", ("INSERT INTO t VALUES (?, ?)", rows))
    wanted: dict[str, Any] = {"query": "SELECT a, coalesce(b, a) AS b FROM t", "on_type_loss": on_type_loss}
    assert outcome(uri, **wanted) == in_rows(uri, **wanted)


TABLES = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, s TEXT, r REAL, b BLOB)",
    "CREATE INDEX i ON t (a)",
    f"INSERT INTO t {MANY.format(5000)} SELECT i, i % 100, 'text ' || i, i / 100.0, x'00ff' FROM n",
    "CREATE VIEW v AS SELECT a, s, -r AS minus FROM t WHERE a > 10",
    "CREATE TABLE keyed (a INTEGER, s TEXT, PRIMARY KEY (a, s DESC)) WITHOUT ROWID",
    "INSERT INTO keyed SELECT id, s FROM t",
    "CREATE VIRTUAL TABLE f USING fts5(s)",
    "INSERT INTO f SELECT s FROM t",
    "CREATE TABLE penstock (a INTEGER)",
    "INSERT INTO penstock VALUES (1)",
)


@pytest.mark.parametrize(
    "wanted",
    [
        {"table": "v"},
        {"table": "v", "columns": ["s"], "where": "minus < -20", "limit": 100},
        {"table": "keyed"},
        {"table": "f"},
        {"table": "t", "where": "a = 5"},
        {"table": "t", "where": "length(printf('%d', a)) = 1"},
        {"query": "SELECT * FROM t WHERE a = 7"},
        {"query": "SELECT a, a + 1 AS a, s, s FROM t"},
        {"query": "SELECT true, count(*), 1.5, NULL, 'x' FROM t"},
        {"query": "SELECT a, sum(r) AS total, max(s) FROM t GROUP BY a ORDER BY total DESC LIMIT 30"},
        {"query": "SELECT a FROM t WHERE a < 3 UNION SELECT id FROM t WHERE a > 97 ORDER BY 1 DESC"},
        {"query": "SELECT t.s, k.a FROM t JOIN keyed k ON k.a = t.a ORDER BY t.s -- in order"},
        {"query": "VALUES (1, 'x'), (2, 'y');"},
        {"query": "WITH x(a) AS (SELECT id FROM t) SELECT a, a AS rowid FROM x"},
        {"query": "SELECT json_array(a, s) AS j, b FROM t"},
        {"query": "SELECT snippet(f, 0, '<', '>', '', 3) AS found FROM f WHERE f MATCH '17'"},
        {"query": "SELECT * FROM penstock"},
        {"query": "SELECT * FROM t WHERE 0"},
        {"query": "SELECT s FROM t", "columns": ["s"], "where": "s LIKE '%7'", "limit": 9},
    ],
)
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
def test_no_row_passes_through_python(
    uri: str, wanted: dict[str, Any], encoding: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Whatever SELECT it is; names, types and order are what they are row by row, and the description says them."""
    fill(uri, f"PRAGMA encoding = '{encoding}'", *TABLES)
    expected = in_rows(uri, **wanted)
    names = read_table(source_of(uri, **wanted)).schema.names
    request.getfixturevalue("no_python_rows")
    assert outcome(uri, **wanted) == expected
    monkeypatch.setattr(_collecting, "_VALUE_BYTES", 1 << 14)  # so it is taken in many steps
    assert outcome(uri, **wanted) == expected
    source = source_of(uri, **wanted)
    assert isinstance(source, Describable)
    assert [column.name for column in source.describe(None).columns] == names


@pytest.mark.usefixtures("no_python_rows")
def test_sixteen_hundred_columns(uri: str) -> None:
    """More than a function of SQLite takes arguments, and than a condition has terms in a row."""
    columns = [f"c{number} {('INTEGER', 'TEXT', 'REAL')[number % 3]}" for number in range(1600)]
    values = tuple((number, f"{number}", number / 4)[number % 3] for number in range(1600))
    fill(uri, f"CREATE TABLE t ({', '.join(columns)})")
    fill(uri, (f"INSERT INTO t VALUES ({', '.join('?' * 1600)})", [values] * 40))
    for wanted in ({"table": "t"}, {"query": "SELECT * FROM t"}):
        table = read_table(source_of(uri, batch_bytes=64 << 20, **wanted))
        assert [tuple(row.values()) for row in table.to_pylist()] == [values] * 40


def test_rows_come_before_the_query_has_ended(uri: str) -> None:
    """This one never does. Whoever has enough leaves, and nothing is left running."""
    fill(uri, "CREATE TABLE t (a INTEGER)")
    before, descriptors = threads(), open_descriptors()
    with source_of(uri, query=FOR_EVER, batch_bytes=100_000).open_batches() as batches:
        iterator = iter(batches)
        rows = next(iterator).to_pylist() + next(iterator).to_pylist()
    assert rows == [{"i": number, "name": f"row {number}"} for number in range(1, len(rows) + 1)]
    assert threads() == before
    assert open_descriptors() == descriptors


def test_a_cancel_ends_a_query_whose_rows_nobody_takes(uri: str) -> None:
    """And one whose rows are being collected."""
    fill(uri, "CREATE TABLE t (a INTEGER)")
    before = threads()
    for query in (FOR_EVER, f"SELECT * FROM ({FOR_EVER}) WHERE i < 0"):
        call = Cancellable(lambda query=query: read_table(source_of(uri, query=query)))  # type: ignore[misc]
        call.wait_still()
        assert call.cancel() < 0.5
    assert threads() == before


def test_a_fault_of_the_query_half_way_is_told_in_its_own_words(uri: str) -> None:
    """After the batches before it; not as one of the function that SQLite calls."""
    fill(uri, "CREATE TABLE t (a INTEGER)", f"INSERT INTO t {MANY.format(20_000)} SELECT i FROM n")
    query = "SELECT abs(CASE WHEN a < 19999 THEN a ELSE -9223372036854775808 END) AS a FROM t"
    before, seen = threads(), 0
    with (
        pytest.raises(SourceError, match="integer overflow"),
        source_of(uri, query=query, batch_bytes=50_000).open_batches() as batches,
    ):
        for batch in batches:
            seen += batch.num_rows
    assert 10_000 < seen < 20_000
    assert threads() == before


def test_a_fault_in_a_row_is_counted_over_all_that_were_collected(uri: str) -> None:
    """By the name of the column in the query, not in the table that collects."""
    fill(uri, "CREATE TABLE t (a INTEGER)", f"INSERT INTO t {MANY.format(20_000)} SELECT i FROM n")
    fill(uri, "UPDATE t SET a = 'x' WHERE a = 15000")
    with pytest.raises(SourceError, match="column 'mine' is read as int64, but row 15000 holds text 'x'"):
        read_table(source_of(uri, query="SELECT a AS mine FROM t", batch_bytes=50_000))
    losses = Losses()
    table = read_table(
        source_of(uri, query="SELECT a AS mine FROM t", batch_bytes=50_000, on_type_loss="warn", losses=losses)
    )
    assert table["mine"].to_pylist() == [*range(1, 15000), None, *range(15001, 20001)]
    assert [loss.count for loss in losses.told()] == [1]


@pytest.mark.parametrize("letters", [20_000, 300_000])
def test_wide_rows_after_many_narrow_ones(uri: str, letters: int) -> None:
    """No batch is much larger than asked for, or it is one row; and they are all there."""
    fill(uri, "CREATE TABLE t (s TEXT, b BLOB)", f"INSERT INTO t {MANY.format(3000)} SELECT 'x' || i, NULL FROM n")
    fill(uri, f"INSERT INTO t {MANY.format(40)} SELECT hex(zeroblob({letters // 2})), zeroblob({letters}) FROM n")
    sizes, rows = [], []
    with source_of(uri, query="SELECT s, b FROM t", batch_bytes=200_000).open_batches() as batches:
        for batch in batches:
            sizes.append((batch.num_rows, batch.nbytes))
            rows += [(len(row["s"]), row["b"] and len(row["b"])) for row in batch.to_pylist()]
    assert rows == [(len(f"x{number}"), None) for number in range(1, 3001)] + [(letters, letters)] * 40
    assert all(count == 1 or size < 400_000 for count, size in sizes)


def test_a_value_beyond_all_bounds(uri: str) -> None:
    """It is the error that it is in a table."""
    fill(uri, "CREATE TABLE t (a BLOB)", "INSERT INTO t VALUES (x'00'), (zeroblob(100000000))")
    with pytest.raises(SourceError, match="larger than 64 MiB"):
        read_table(source_of(uri, query="SELECT a FROM t"))


def test_every_expression_is_evaluated_once(uri: str) -> None:
    """What is found to fit is what is read, though it would be something else the next time."""
    fill(uri, "CREATE TABLE t (a INTEGER)", f"INSERT INTO t {MANY.format(3000)} SELECT i FROM n")
    losses = Losses()
    query = "SELECT 1 AS a UNION ALL SELECT CASE WHEN random() % 1000 = 0 THEN 'x' ELSE 2 END FROM t"
    source = source_of(uri, query=query, batch_bytes=10_000, on_type_loss="warn", losses=losses)
    table = read_table(source)
    assert table.num_rows == 3001
    assert table["a"].null_count == sum(loss.count for loss in losses.told())


def test_nothing_is_written_to_the_file(uri: str) -> None:
    """It is opened for reading only; what is collected is in a temporary database."""
    fill(uri, *TABLES)
    path = Path(uri.removeprefix("sqlite:///"))
    before = path.read_bytes()
    assert read_table(source_of(uri, query="SELECT * FROM t", batch_bytes=30_000)).num_rows == 5000
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["data.db"]


ENDLESS = f"WITH m AS MATERIALIZED (SELECT count(*) AS c FROM ({FOR_EVER})) "


def test_a_plan_runs_nothing(uri: str) -> None:
    """Not even for the names of the columns: this query would work for ever before it gave no rows."""
    fill(uri, "CREATE TABLE t (a INTEGER)")
    source = source_of(uri, query=f"{ENDLESS} SELECT x.c, y.c AS d FROM m x JOIN m y")
    assert isinstance(source, Describable)
    with fail_after(5):
        described = source.describe(None)
    assert [column.name for column in described.columns] == ["c", "d"]


def test_names_that_are_the_same_are_asked_for_under_a_deadline(uri: str) -> None:
    """SQLite tells them when it begins the query, which may take for ever."""
    fill(uri, "CREATE TABLE t (a INTEGER)")
    source = source_of(uri, query=f"{ENDLESS} SELECT x.c, y.c FROM m x JOIN m y")
    assert isinstance(source, Describable)
    with pytest.raises(DeadlineExceeded), fail_after(0.2):
        source.describe(None)
