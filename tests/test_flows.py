"""`penstock.read`: steps between a source and a destination, and the loop over what comes out."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock
from penstock.leaks import leakcheck
from tests.engines.parts import MemorySink

ROWS = [{"id": number, "name": f"item {number}", "price": Decimal(number) / 4} for number in range(5000)]


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """The address of a database of five thousand orders."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("create table orders (id integer primary key, name text)")
        connection.executemany("insert into orders values (?, ?)", ((row["id"], row["name"]) for row in ROWS))
    return f"sqlite:///{tmp_path / 'shop.db'}"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_without_steps_it_is_a_copy(shop: str, tmp_path: Path) -> None:
    """The same plan, fast paths included, and the same bytes."""
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    assert penstock.read(tmp_path / "rows.csv").plan(tmp_path / "x.csv").passes_through
    penstock.copy(shop, tmp_path / "copied.csv", table="orders")
    report = penstock.read(shop, table="orders").write(tmp_path / "written.csv")
    assert (tmp_path / "written.csv").read_bytes() == (tmp_path / "copied.csv").read_bytes()
    assert (report.rows, report.leaks) == (5000, ())


def test_a_flow_is_a_value(shop: str, tmp_path: Path) -> None:
    """A step makes a new flow; the old one is what it was, and each can be run again and again."""
    everything = penstock.read(shop, table="orders")
    few = everything.filter(lambda row: row["id"] < 3)
    assert [row["id"] for row in few.rows()] == [row["id"] for row in few.rows()] == [0, 1, 2]
    assert sum(batch.num_rows for batch in everything) == 5000
    assert repr(few) == f"<Flow of {shop}: filter(...)>"


@pytest.mark.parametrize("workers", [1, 4])
def test_map_replaces_rows_in_their_order(workers: int, tmp_path: Path) -> None:
    """Whoever is faster: what comes out has the order of what went in. New columns have types of their own."""
    gate = threading.Barrier(workers)

    def doubled(row: dict[str, Any]) -> dict[str, Any]:
        if row["id"] < workers:
            gate.wait(10)  # all of them at once, which only as many threads can pass
        return {"id": row["id"], "twice": row["price"] * 2}

    report = penstock.read(ROWS).map(doubled, workers=workers).write(tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("id").to_pylist() == list(range(5000))
    assert table.column("twice").to_pylist() == [row["price"] * 2 for row in ROWS]
    assert (report.rows, report.leaks) == (5000, ())


def test_filter_keeps_types(tmp_path: Path) -> None:
    """Also types that Python has none for; and columns there are when no row is left."""
    numbers = pa.table(
        {"small": pa.array([1, 2, 3], pa.int8()), "exact": pa.array(["1.5", None, "2"], pa.large_string())}
    )
    penstock.read(numbers).filter(lambda row: row["small"] != 2).write(tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").equals(numbers.filter(pa.array([True, False, True])))
    penstock.read(numbers).filter(lambda _row: False).write(tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == "small,exact\n"


def test_map_of_nothing_keeps_the_columns(tmp_path: Path) -> None:
    """There is no row to find others in."""
    empty = pa.table({"a": pa.array([], pa.int64())})
    penstock.read(empty).map(lambda row: {"b": row["a"]}).write(tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == "a\n"


def test_views_that_map_batches_makes_become_columns_with_offsets() -> None:
    """As those of a data frame that is read do: what comes after can tell how large a batch is."""
    flow = penstock.read(pa.table({"a": ["text"]})).map_batches(
        lambda _: pa.table({"a": pa.array(["x"], pa.string_view())})
    )
    [batch] = flow
    assert (batch.schema.field("a").type, batch.to_pylist()) == (pa.string(), [{"a": "x"}])


def test_map_batches_is_arrow_in_and_arrow_out(tmp_path: Path) -> None:
    """A batch, a table, or what gives Arrow data; of no batch the columns are found all the same."""
    flow = penstock.read(pa.table({"a": list(range(100)), "b": ["x"] * 100}))
    for number, made in enumerate((lambda batch: batch.select(["a"]), lambda batch: pa.table({"a": batch["a"]}))):
        flow.map_batches(made).write(tmp_path / f"{number}.csv")
        assert (tmp_path / f"{number}.csv").read_text().split() == ["a", *map(str, range(100))]
    flow.filter(lambda _row: False).map_batches(lambda batch: batch.select(["b"])).write(tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == "b\n"


def test_map_batches_must_give_the_same_columns_throughout(tmp_path: Path) -> None:
    """Other columns, or no columns at all, are the function's mistake, and said so."""
    batches = [pa.record_batch({"a": [1]}), pa.record_batch({"a": [2]})]

    def other(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch if batch["a"][0].as_py() == 1 else batch.rename_columns(["z"])

    with pytest.raises(penstock.ConfigurationError, match=r"map_batches\(other\) made other columns of batch 2"):
        penstock.read(iter(batches)).map_batches(other).write(tmp_path / "out.csv")
    with pytest.raises(penstock.ConfigurationError, match="returned an object of type int; return a pyarrow"):
        penstock.read(batches).map_batches(lambda _batch: 1).write(tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [1, 7, 1000, 5000, 9999])
def test_batched_divides_into_batches_of_so_many_rows(rows: int) -> None:
    """The last one has what is left; nothing is lost, added or moved."""
    batches = list(penstock.read(ROWS).batched(rows))
    sizes = [batch.num_rows for batch in batches]
    assert sizes == [rows] * (5000 // rows) + ([5000 % rows] if 5000 % rows else [])
    assert [number for batch in batches for number in batch.column("id").to_pylist()] == list(range(5000))


def test_batches_of_so_many_rows_are_those_of_an_arrow_file(tmp_path: Path) -> None:
    """There they are to be seen."""
    penstock.read(ROWS).batched(7).write(tmp_path / "out.arrow")
    with pa.ipc.open_file(tmp_path / "out.arrow") as file:
        assert {file.get_batch(number).num_rows for number in range(file.num_record_batches - 1)} == {7}


def test_a_batch_of_more_than_there_is_memory_for_is_refused() -> None:
    """By its number of rows, and with what to do."""
    flow = penstock.read(({"text": "x" * (1 << 20)} for _ in range(40)), max_memory="16MiB").batched(40)
    with pytest.raises(
        penstock.BudgetExceeded, match=r"batched\(40\): \d+ rows are more than half .* raise max_memory"
    ):
        list(flow)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("how", ["written", "iterated"])
def test_what_a_function_raises_is_raised(workers: int, how: str, tmp_path: Path) -> None:
    """The same object, with a note that says of which row; nothing is published and nothing left."""
    error = ValueError("no such customer")

    def failing(row: dict[str, Any]) -> dict[str, Any]:
        if row["id"] == 4000:
            raise error
        return row

    flow = penstock.read(ROWS).map(failing, workers=workers)
    with leakcheck(), pytest.raises(ValueError, match="no such customer") as caught:
        flow.write(tmp_path / "out.csv") if how == "written" else list(flow)
    assert caught.value is error
    assert "in map(failing) of list, row 4,001" in error.__notes__
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_is_no_row_is_named(tmp_path: Path) -> None:
    """As for rows of a loop: which row, which step."""
    flow = penstock.read(ROWS).map(lambda row: None if row["id"] == 4000 else row)  # type: ignore[arg-type, return-value]
    with pytest.raises(penstock.SourceError, match=r"list: map\(\.\.\.\): row 4001"):
        flow.write(tmp_path / "out.csv")


def test_leaving_the_loop_stops_the_run(shop: str) -> None:
    """No thread, no connection, no generator goes on; an endless source does not matter."""
    closed = threading.Event()

    def numbers() -> Iterator[dict[str, int]]:
        try:
            number = 0
            while True:
                yield {"number": number}
                number += 1
        finally:
            closed.set()

    with leakcheck():
        for batch in penstock.read(numbers()):
            assert batch.column("number")[0].as_py() == 0
            break
        assert closed.is_set()
        endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
        with closing(penstock.read(shop, query=endless).rows()) as rows:
            assert next(rows) == {"i": 1}


def test_a_loop_that_never_begins_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an iterator that nobody asks, nor one for which there is no thread to be had."""
    with leakcheck():
        iter(penstock.read(ROWS))

        def refused(_thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError, match="new thread"):
            list(penstock.read(ROWS))
        monkeypatch.undo()


def test_a_loop_is_under_the_scopes_around_it() -> None:
    """A deadline around the loop, or of the flow, ends it with its error."""

    def stuck(row: dict[str, Any]) -> dict[str, Any]:
        penstock.sleep(60)
        return row

    with leakcheck(), pytest.raises(penstock.DeadlineExceeded), penstock.fail_after(0.2):
        list(penstock.read(ROWS).map(stuck))
    with leakcheck(), pytest.raises(penstock.DeadlineExceeded, match="not finished within"):
        list(penstock.read(ROWS, timeout=0.2).map(stuck))


def test_what_makes_no_sense_is_said_at_once() -> None:
    """Before anything is read."""
    flow = penstock.read(ROWS)
    with pytest.raises(penstock.ConfigurationError, match="workers must be at least 1, not 0"):
        flow.map(dict, workers=0)
    with pytest.raises(penstock.ConfigurationError, match="at least 1 row, not 0"):
        flow.batched(0)
    with pytest.raises(penstock.ConfigurationError, match="no such option of a destination: query"):
        flow.plan("x.csv", query="select 1")


@pytest.mark.parametrize("step", ["map", "filter", "map_batches"])
@pytest.mark.parametrize("given", [5, None, "row"])
def test_what_can_not_be_called_is_refused_at_once(step: str, given: object) -> None:
    """Where the step is written, not when the flow runs."""
    with pytest.raises(penstock.ConfigurationError, match=f"^{step} takes a function, not {given!r}$"):
        getattr(penstock.read([]), step)(given)


@pytest.mark.parametrize("step", ["map", "filter", "map_batches"])
def test_async_functions_are_refused_at_once(step: str) -> None:
    """Nobody would await what they return; and a filter would take it for true."""

    async def is_good(row: dict[str, Any]) -> bool:
        return False

    with pytest.raises(
        penstock.ConfigurationError, match=f"^{step} takes a function that returns, and is_good is async$"
    ):
        getattr(penstock.read([]), step)(is_good)


@pytest.mark.parametrize("number", [0, 2.5, "4"])
def test_numbers_that_are_none_are_refused_at_once(number: Any) -> None:
    """Of workers, and of rows in a batch."""
    with pytest.raises(penstock.ConfigurationError, match="workers must be at least 1"):
        penstock.read([]).map(dict, workers=number)
    with pytest.raises(penstock.ConfigurationError, match="a batch has at least 1 row"):
        penstock.read([]).batched(number)


def test_plan_shows_the_steps(tmp_path: Path) -> None:
    """In their order, without running one; columns only where they are those of the source."""
    flow = penstock.read(ROWS).filter(bool)
    shown = str(penstock.preview(flow.plan(tmp_path / "x.parquet")))
    assert "then filter(bool)" in shown
    assert "price  decimal128" in shown
    further = str(penstock.preview(flow.map(dict).batched(10).plan(tmp_path / "x.parquet")))
    assert "then filter(bool), map(dict), batched(10)" in further
    assert "price" not in further


def test_any_sink_takes_a_flow() -> None:
    """One of yours as well."""
    sink = MemorySink()
    penstock.read(ROWS).filter(lambda row: row["id"] == 8).write(sink, format="csv")
    assert sink.published == b'id,name,price\n8,"item 8",2.00\n'
