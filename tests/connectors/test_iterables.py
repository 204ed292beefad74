"""Data of this process as a source: every value as it is or an error, and everything closed on every way out."""

from __future__ import annotations

import gzip
import io
import json
import uuid
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import penstock
from penstock import connectors, formats
from penstock.connectors.iterables import name_of, source_from
from penstock.core.cancel import CancelScope
from penstock.core.channel import channel
from penstock.errors import AlreadyExists, BudgetExceeded, ConfigurationError, SourceError
from penstock.flow.contracts import Closable, Describable, Source
from penstock.flow.losses import Losses
from tests.connectors.parts import Cancellable, Fails, read_bytes, read_rows, read_table

BERLIN = timezone(timedelta(hours=1))
# Without a time zone on purpose: such are values, too.
NAIVE, NAIVE_LATER = datetime(2020, 1, 1), datetime(2020, 1, 1, 3)  # noqa: DTZ001 - see above
EARLIEST, LATEST = datetime.min, datetime.max  # noqa: DTZ901 - see above


def source(value: Any, **given: Any) -> Source:
    """A source of ``value``."""
    given = {"uri": name_of(value), **given}
    return source_from(value, connectors.SourceRequest(formats=formats, **given))


class Loop:
    """Makes rows, and knows whether it was closed."""

    def __init__(self, *rows: Any) -> None:
        self.rows = rows
        self.is_closed = False

    def run(self) -> Iterator[Any]:
        """The generator; a row that is an exception is raised."""
        try:
            for row in self.rows:
                if isinstance(row, BaseException):
                    raise row
                yield row
        finally:
            self.is_closed = True


# --- rows ---


@pytest.mark.parametrize(
    "value",
    [
        [{"a": 1, "b": "x"}, {"a": 2}],
        ({"a": 1, "b": "x"}, {"b": None, "a": 2}),
        iter([{"a": 1, "b": "x"}, {"a": 2}]),
        Loop({"a": 1, "b": "x"}, {"a": 2}).run(),
        {"one": {"a": 1, "b": "x"}, "two": {"a": 2}}.values(),
    ],
    ids=["list", "tuple", "iterator", "generator", "view"],
)
def test_dicts_are_rows(value: Any) -> None:
    """Their keys are the columns; what is missing is NULL."""
    made = source(value)
    assert made.byte_formats == frozenset()
    assert read_rows(made) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert made.rows_read == 2


def test_tuples_and_lists_are_rows_whose_columns_are_named() -> None:
    """By the caller; named tuples know them."""
    expected = [{"id": 1, "name": "x"}, {"id": 2, "name": None}]
    assert read_rows(source([(1, "x"), [2, None]], columns=["id", "name"])) == expected
    row = namedtuple("row", ["id", "name"])
    assert read_rows(source([row(1, "x"), row(2, None)])) == expected
    with pytest.raises(ConfigurationError, match=r"list: the rows are of type tuple; name the columns: columns="):
        read_rows(source([(1, "x")]))


def test_columns_of_dicts_are_chosen() -> None:
    """In the order wanted; other keys do not matter then. A name that no row has is an error."""
    rows = [{"a": 1, "b": 2, "c": 3}, {"b": 5, "d": 6}]
    assert read_table(source(rows, columns=["b", "a"])).to_pydict() == {"b": [2, 5], "a": [1, None]}
    with pytest.raises(SourceError, match=r"no row has a field 'bb' .did you mean 'b'"):
        read_rows(source(rows, columns=["bb"]))


def test_a_limit_stops_the_loop() -> None:
    """What comes after it is never asked for; the loop is closed."""
    loop = Loop({"a": 1}, {"a": 2})
    assert read_rows(source(loop.run(), limit=1)) == [{"a": 1}]
    assert loop.is_closed


def test_nothing_is_no_rows() -> None:
    """With the columns that were named, or none."""
    assert read_table(source([])).schema == pa.schema([])
    assert read_table(source(iter(()), columns=["a"])).schema == pa.schema([("a", pa.string())])


VALUES: list[tuple[list[Any], pa.DataType]] = [
    ([True, False], pa.bool_()),
    ([-(2**63), 2**63 - 1], pa.int64()),
    ([0.1, float("inf"), 5e-324], pa.float64()),
    ([1, 2.5], pa.float64()),
    ([Decimal("1.10"), Decimal("-12345678901234567890.123")], pa.decimal128(38, 3)),
    ([1, Decimal("0.5")], pa.decimal128(38, 1)),
    ([Decimal(10**38)], pa.decimal256(76, 0)),
    (["", "x\x00\n\ud7ff\U0010ffff"], pa.string()),
    ([b"", bytes(range(256))], pa.binary()),
    ([date.min, date.max], pa.date32()),
    ([EARLIEST, LATEST], pa.timestamp("us")),
    ([datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 1, tzinfo=BERLIN)], pa.timestamp("us", "UTC")),
    ([time.min, time.max], pa.time64("us")),
    ([timedelta(days=-1), timedelta(microseconds=1)], pa.duration("us")),
    ([uuid.UUID(int=7)], pa.uuid()),
    ([[1, None], []], pa.list_(pa.int64())),
    ([{"x": 1, "y": [Decimal("0.1")]}], pa.struct([("x", pa.int64()), ("y", pa.list_(pa.decimal128(38, 1)))])),
    ([None, None], pa.string()),
    ([[], [None]], pa.list_(pa.string())),
]


@pytest.mark.parametrize(("values", "kind"), VALUES, ids=lambda value: str(value)[:30])
def test_values_arrive_as_they_are(values: list[Any], kind: pa.DataType) -> None:
    """Of every type, with NULLs among them, and in every later batch."""
    values = [*values, None] * 2
    rows = [{"v": value} for value in values]
    table = read_table(source(rows))
    assert table.schema.field("v").type == kind
    assert table.column("v").to_pylist() == values
    alone = {str(read_table(source([row])).schema.field("v").type) for row in rows if row["v"] is not None}
    if alone == {str(kind)}:  # the first value tells as much as all of them
        assert read_table(source(rows, batch_bytes=1)) == table


# --- what does not fit ---

LATER: list[tuple[Any, Any, str]] = [
    (1, "x", r"'x' \(str\)"),
    (1, 2**63, r"9223372036854775808 \(int\)"),
    (1, 1.0, r"1\.0 \(float\)"),
    (1, True, r"True \(bool\)"),
    (0.5, 2**53 + 1, r"9007199254740993 \(int\)"),
    ("x", b"x", r"b'x' \(bytes\)"),
    (b"x", "x", r"'x' \(str\)"),
    ("x", "\ud800", r"'\\ud800' \(str\)"),
    (Decimal("0.1"), Decimal("0.01"), r"Decimal\('0\.01'\)"),
    (Decimal("0.1"), Decimal("NaN"), r"Decimal\('NaN'\)"),
    (Decimal("0.1"), 0.5, r"0\.5 \(float\)"),
    (date(2020, 1, 1), NAIVE_LATER, r"datetime\.datetime\(2020, 1, 1, 3, 0\)"),
    (NAIVE, date(2020, 1, 1), r"datetime\.date\(2020, 1, 1\)"),
    (NAIVE, datetime(2020, 1, 1, tzinfo=UTC), "has a time zone, unlike those before"),
    (datetime(2020, 1, 1, tzinfo=UTC), NAIVE, "has no time zone, unlike those before"),
    (time(1), time(1, tzinfo=UTC), "has a time zone, which time64"),
    (timedelta(1), timedelta.max, r"datetime\.timedelta"),
    ([1], ["x"], r"\['x'\] \(list\)"),
    ({"x": 1}, {"x": 1, "y": 2}, "has the field 'y', which those before did not have"),
    ([{"x": date(2020, 1, 1)}], [{"x": NAIVE_LATER}], "does not fit date32"),
    ("x", object(), "object"),
]


#: What has a type in common when it is seen at once.
TOGETHER = (r"1\.0 \(float\)", r"Decimal\('0\.01'\)", "has the field 'y', which those before did not have")


@pytest.mark.parametrize("batch_bytes", [1, 1 << 20], ids=["in a later batch", "in the first batch"])
@pytest.mark.parametrize(("first", "later", "said"), LATER, ids=lambda value: repr(value).partition(" at 0x")[0][:30])
def test_a_value_that_does_not_fit_is_an_error(first: Any, later: Any, said: str, batch_bytes: int) -> None:
    """It names row, field and value; nothing is bent, whatever Arrow would make of it."""
    rows = [{"ok": 1, "v": first}, {"ok": 2, "v": None}, {"ok": 3, "v": later}]
    if batch_bytes > 1 and said in TOGETHER:
        assert read_table(source(rows, batch_bytes=batch_bytes)).num_rows == 3
        return
    with pytest.raises(SourceError, match=said) as caught:
        read_rows(source(rows, batch_bytes=batch_bytes))
    assert str(caught.value).startswith("list: row 3: 'v' is ")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"a": 1}, {"a": 2, "b": 3}], "row 2 has the field 'b', which the first rows did not have"),
        ([{"a": 1}, (2,)], "row 2 is of type tuple; it should be a dict"),
        ([{"a": 1}, None], "row 2 is of type NoneType; it should be a dict"),
        ([{1: 2}], "a row has the field 1; names of columns must be text"),
        ([{"a": 1, None: ["b"]}], r"a row has the field None; names of columns must be text \(csv.DictReader has"),
        ([{"a\ud800": 1}], r"a row has the field 'a\\ud800'; names of columns must be text"),
        ([5], "row 1 is of type int"),
    ],
)
def test_a_row_that_does_not_fit_is_an_error(rows: list[Any], said: str) -> None:
    """It is named."""
    with pytest.raises(SourceError, match=said):
        read_rows(source(rows, batch_bytes=1))


@pytest.mark.parametrize("row", [(1,), (1, 2, 3)])
def test_a_tuple_of_another_length_is_an_error(row: tuple[int, ...]) -> None:
    """Longer or shorter."""
    with pytest.raises(SourceError, match=rf"row 2 has {len(row)} values; there are 2 columns"):
        read_rows(source([(1, 2), row], columns=["a", "b"]))
    with pytest.raises(SourceError, match="row 2 is of type dict; it should be a tuple or list"):
        read_rows(source([(1, 2), {"a": 1}], columns=["a", "b"]))


def test_what_does_not_fit_becomes_null_if_one_says_so() -> None:
    """With a warning: counted by column, in the first batch and in later ones."""
    losses = Losses()
    rows = [{"n": 1, "d": Decimal("0.1")}, {"n": "x", "d": Decimal("NaN")}, {"n": 2**63, "d": None}, {"n": 4, "d": 1}]
    for batch_bytes in (1, 1 << 20):
        table = read_table(source(rows, on_type_loss="warn", losses=losses, batch_bytes=batch_bytes))
        assert table.to_pydict() == {"n": [1, None, None, 4], "d": [Decimal("0.1"), None, None, Decimal("1.0")]}
    assert {(loss.column, loss.reason): loss.count for loss in losses.told()} == {
        ("n", "does not fit int64"): 4,
        ("d", "does not fit decimal128(38, 1)"): 2,
    }


def test_columns_without_bounds_become_text_if_one_says_so() -> None:
    """Numbers of any size, and columns of several types; others stay what they are."""
    rows = [{"n": 1, "m": 1, "f": 0.5, "l": [1]}, {"n": 2**100, "m": {"x": 1}, "f": 1.5, "l": [2]}]
    table = read_table(source(rows, on_type_loss="text", batch_bytes=1 << 20))
    assert table.to_pydict() == {
        "n": ["1", str(2**100)],
        "m": ["1", '{"x": 1}'],
        "f": [0.5, 1.5],
        "l": [[1], [2]],
    }


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([[1, "a"], None], ['[1, "a"]', None]),
        ([[1], ["a"], []], ["[1]", '["a"]', "[]"]),
        ([(1, 2**70)], ["[1, 1180591620717411303424]"]),
        ([{"a": 1}, {"a": "x"}], ['{"a": 1}', '{"a": "x"}']),
        ([{"a": [1, [2]]}], ['{"a": [1, [2]]}']),
        ([[date(2024, 1, 2), datetime(2024, 1, 2, 3, tzinfo=UTC)]], ['["2024-01-02", "2024-01-02 03:00:00+00:00"]']),
        ([{1: 2}], ['{"1": 2}']),
        ([{(1, 2): 3}], ["{(1, 2): 3}"]),
        ([[1, 2], [0.5, None]], None),
        ([{"a": 1}, {"b": "x"}], None),
    ],
)
def test_lists_and_dicts_of_several_types_become_text_if_one_says_so(
    values: list[Any], texts: list[str] | None
) -> None:
    """Where no one type holds them all, in the first rows; a later one is an error, and the row is told."""
    rows = [{"v": value} for value in values]
    found = read_table(source(rows, on_type_loss="text"))["v"]
    if texts is None:
        assert found.type == read_table(source(rows))["v"].type != pa.string()
        return
    assert found.to_pylist() == texts
    with pytest.raises(SourceError, match=r"row [12]: 'v' is .*see on_type_loss"):
        read_table(source(rows))
    late = [{"v": [1]}] * 1000 + [{"v": [1, "a"]}]
    with pytest.raises(SourceError, match=r"row 1001: 'v' is .*see on_type_loss"):
        read_table(source(late, on_type_loss="text", batch_bytes=10_000))


# --- bytes ---

NDJSON = b'{"a":1}\n{"a":2}\n'


def chunks(data: bytes) -> Iterator[bytes]:
    """Byte by byte, with nothing in between."""
    for index in range(len(data)):
        yield data[index : index + 1]
        yield b""


@pytest.mark.parametrize(
    "make",
    [
        lambda: [NDJSON[:5], bytearray(NDJSON[5:9]), memoryview(NDJSON)[9:]],
        lambda: chunks(NDJSON),
        lambda: io.BytesIO(NDJSON),
        lambda: NDJSON,
        lambda: bytearray(NDJSON),
    ],
    ids=["list", "generator", "file", "bytes", "bytearray"],
)
def test_bytes_are_decoded_or_passed_on(make: Callable[[], Any]) -> None:
    """As the format says that they are."""
    assert source(make(), format="ndjson").byte_formats == frozenset(["ndjson"])
    assert read_bytes(source(make(), format="ndjson")) == NDJSON
    made = source(make(), format="ndjson")
    assert read_rows(made) == [{"a": 1}, {"a": 2}]
    assert made.rows_read == 2


def test_bytes_may_be_compressed() -> None:
    """As the caller says."""
    squeezed = gzip.compress(NDJSON)
    assert read_rows(source(chunks(squeezed), format="ndjson", compression="gzip")) == [{"a": 1}, {"a": 2}]


def test_an_open_file_has_a_name(tmp_path: Path) -> None:
    """Which tells what is in it. It is left open: who opened it closes it."""
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a\n1\n"))
    with path.open("rb") as file:
        assert read_rows(source(file)) == [{"a": "1"}]
        assert not file.closed


def test_bytes_without_a_format_are_an_error() -> None:
    """Nobody guesses; the first item may tell that they are bytes."""
    with pytest.raises(ConfigurationError, match="generator chunks: it gives bytes; say what bytes mean"):
        read_rows(source(chunks(NDJSON)))
    with pytest.raises(ConfigurationError, match="does not tell the format"):
        source(io.BytesIO(NDJSON))


@pytest.mark.parametrize("value", [[b"x", "y"], [b"x", {"a": 1}], io.StringIO("x")])
def test_what_is_no_bytes_is_an_error(value: Any) -> None:
    """It says which chunk is what."""
    with pytest.raises(SourceError, match=r"chunk \d is of type (str|dict), where bytes should be"):
        read_bytes(source(value, format="csv"))


# --- Arrow ---

TABLE = pa.table({"a": range(1000), "b": [f"row {number}" for number in range(1000)]})


class Exported:
    """Another library's table: nothing but the PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return TABLE.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TABLE,
        lambda: TABLE.to_batches()[0],
        TABLE.to_reader,
        lambda: TABLE.to_struct_array().combine_chunks(),
        Exported,
        TABLE.to_batches,
        lambda: Loop(TABLE.slice(0, 10), *TABLE.slice(10).to_batches(100)).run(),
    ],
    ids=["table", "batch", "reader", "struct array", "capsule", "list of batches", "generator of tables"],
)
def test_arrow_data_is_handed_on(make: Callable[[], Any]) -> None:
    """In slices of a bounded size, without copying; columns and rows can be left out."""
    made = source(make(), batch_bytes=1000)
    with made.open_batches() as stream:
        batches = list(stream)
    assert pa.Table.from_batches(batches) == TABLE
    assert max(batch.nbytes for batch in batches) <= 1000
    assert made.rows_read == 1000
    assert read_rows(source(make(), columns=["b"], limit=1)) == [{"b": "row 0"}]


def test_a_duckdb_result_is_arrow_data() -> None:
    """A relation, of a real engine, read as it is computed."""
    with duckdb.connect() as connection:
        relation = connection.sql("SELECT range AS a, 'x' AS b FROM range(100000)")
        assert read_table(source(relation, batch_bytes=65536)).num_rows == 100_000
        assert name_of(relation).startswith("_duckdb") or "DuckDB" in name_of(relation)


def test_wide_values_are_counted_and_shared_ones_do_not_loop() -> None:
    """One large value makes a slice of its own; a dictionary that all rows share is no reason to slice for ever."""
    wide = pa.table({"a": ["x"] * 50 + ["y" * 100_000] + ["z"] * 50})
    with source(wide, batch_bytes=10_000).open_batches() as stream:
        sizes = [batch.nbytes for batch in stream if batch.num_rows > 1]
    assert max(sizes) <= 10_000
    shared = pa.table({"a": pa.DictionaryArray.from_arrays([0] * 5000, ["x" * 100_000])})
    with source(shared, batch_bytes=10_000).open_batches() as stream:
        assert sum(batch.num_rows for batch in stream) == 5000


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([TABLE, TABLE.select(["a"])], "item 2 has other columns than the first: a instead of a, b"),
        ([TABLE, TABLE.cast(pa.schema([("a", pa.int32()), ("b", pa.string())]))], "'a' is int32 instead of int64"),
        ([TABLE, {"a": 1}], "item 2 is of type dict, after Arrow data"),
    ],
)
def test_arrow_data_with_other_columns_is_an_error(items: list[Any], said: str) -> None:
    """It says what differs."""
    with pytest.raises(SourceError, match=said):
        read_table(source(items))


def test_a_reader_that_fails_is_an_error() -> None:
    """As a failing source, whatever library made it."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield TABLE.to_batches()[0]
        raise Fails("half-way")

    reader = pa.RecordBatchReader.from_batches(TABLE.schema, batches())
    with pytest.raises(Fails, match="half-way"):
        read_table(source(reader))

    class Foreign:
        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            return pa.RecordBatchReader.from_batches(TABLE.schema, batches()).__arrow_c_stream__()

    with pytest.raises((SourceError, Fails), match="half-way"):
        read_table(source(Foreign()))


# --- on every way out ---


def test_the_exception_of_a_loop_is_the_error_of_the_copy(tmp_path: Path) -> None:
    """The same object; nothing is published."""
    error = Fails("half-way")
    loop = Loop(*({"a": number} for number in range(10)), error)
    with pytest.raises(Fails) as caught:
        penstock.copy(loop.run(), tmp_path / "out.csv")
    assert caught.value is error
    assert loop.is_closed
    assert list(tmp_path.iterdir()) == []


def test_a_generator_is_closed_on_every_way_out(tmp_path: Path) -> None:
    """The destination is there, the sink fails, the copy is cancelled, the loop was never begun or never ends."""

    def endless(loop: Loop) -> Iterator[Any]:
        while True:
            yield from loop.run()

    (tmp_path / "there.csv").write_text("")
    rows = [{"a": "x" * 1000}] * 1000
    begun = Loop(*rows)
    running = begun.run()
    next(running)
    with pytest.raises(AlreadyExists):
        penstock.copy(running, tmp_path / "there.csv")
    assert begun.is_closed

    endlessly = endless(Loop(*rows))
    with CancelScope(timeout=0.2) as scope:
        penstock.copy(endlessly, tmp_path / "out.csv")
    assert scope.cancelled_caught
    assert next(endlessly, "closed") == "closed"

    failing = Loop(*rows)
    with pytest.raises(ConfigurationError):
        penstock.copy(failing.run(), tmp_path / "out.json", format_options={"nonsense": 1})
    mismatch = Loop({"a": 1}, {"b": 1})
    with pytest.raises(SourceError):
        penstock.copy(mismatch.run(), tmp_path / "out.csv", max_memory="16MiB", columns=["c"])
    assert mismatch.is_closed
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]


def test_an_iterable_that_makes_its_own_loop_has_it_closed() -> None:
    """What ``iter()`` made is ours; what it was made from is not."""

    class Rows:
        def __init__(self) -> None:
            self.loop = Loop({"a": 1}, {"a": 2})

        def __iter__(self) -> Iterator[Any]:
            return self.loop.run()

    rows = Rows()
    with source(rows, batch_bytes=1).open_batches() as stream:
        next(iter(stream))
    assert rows.loop.is_closed


def test_closing_twice_and_unopened_is_fine() -> None:
    """The engine closes both ends whatever happened."""
    for value, given in ((Loop({"a": 1}).run(), {}), (chunks(b"x"), {"format": "csv"}), ([], {}), (TABLE, {})):
        made = source(value, **given)
        assert isinstance(made, Closable)
        made.close()
        made.close()


def test_a_channel_is_an_iterable() -> None:
    """Rows from other threads; a cancel wakes the wait for the next one, for it is ours."""
    sender, receiver = channel(10)
    with sender, receiver:
        sender.send({"a": 1})
        call = Cancellable(lambda: read_rows(source(receiver)))
        call.wait_still()
        assert call.cancel() < 0.5
        sender.send({"a": 2})
        sender.close()
        assert read_rows(source(receiver)) == [{"a": 2}]


# --- through the front door ---


def test_rows_are_copied_to_every_format(tmp_path: Path) -> None:
    """And counted, like any rows."""
    rows = ({"id": number, "name": f"n{number}"} for number in range(1000))
    report = penstock.copy(rows, tmp_path / "out.ndjson")
    assert report.rows == 1000
    assert json.loads((tmp_path / "out.ndjson").read_text().splitlines()[-1]) == {"id": 999, "name": "n999"}
    penstock.copy([(1, "x")], tmp_path / "out.csv", columns=["id", "name"])
    assert (tmp_path / "out.csv").read_text() == 'id,name\n1,"x"\n'
    penstock.copy(chunks(b"a,b\n1,2\n"), tmp_path / "same.csv", source_format="csv")
    assert (tmp_path / "same.csv").read_text() == "a,b\n1,2\n"
    penstock.copy(TABLE, tmp_path / "table.arrow")
    assert pa.ipc.open_file(tmp_path / "table.arrow").read_all() == TABLE


def test_a_batch_is_bounded_whatever_the_rows_weigh() -> None:
    """Wide values, also inside lists and dicts, are counted."""
    rows = ({"a": [{"x": "y" * 100_000}]} for _ in range(50))
    with source(rows, batch_bytes=250_000).open_batches() as stream:
        assert {batch.num_rows for batch in stream} <= {2, 3}


def test_a_row_that_is_larger_than_the_memory_is_an_error(tmp_path: Path) -> None:
    """It names row and field, however deep the value is; what has room passes."""
    rows = [{"id": 1, "x": ["y" * (8 << 20)]}, {"id": 2, "x": ["y" * (17 << 20)]}]
    said = r"list: row 2 is longer than 16\.0 MiB, all the memory there is; the widest value is in 'x'"
    with pytest.raises(BudgetExceeded, match=said):
        penstock.copy(rows, tmp_path / "out.ndjson", max_memory="16MiB")
    assert penstock.copy(rows[:1], tmp_path / "out.ndjson", max_memory="16MiB").rows == 1
    with pytest.raises(BudgetExceeded, match="row 1 is longer"):
        penstock.copy([(1, "y" * (17 << 20))], tmp_path / "x.csv", columns=["a", "b"], max_memory="16MiB")


async def _numbers() -> AsyncIterator[dict[str, int]]:
    yield {"a": 1}


@pytest.mark.parametrize(
    ("value", "given", "said"),
    [
        (_numbers(), {}, "an asynchronous iterable runs in its own event loop only"),
        ({"a": [1]}, {}, "a dict is one row"),
        (5, {}, "nothing can be read from an object of type int"),
        ([], {"query": "SELECT 1"}, "query can not be used here"),
        ([], {"compression": "gzip"}, "compression can not be used here"),
        (TABLE, {"format": "csv"}, "this is Arrow data, not bytes"),
        ([], {"options": {"x": 1}}, "unknown option 'x'"),
    ],
)
def test_what_can_not_be_is_refused(value: Any, given: dict[str, Any], said: str) -> None:
    """Before anything is taken."""
    with pytest.raises(ConfigurationError, match=said):
        source(value, **given)


def test_what_it_would_read_is_described_without_using_it_up() -> None:
    """All of a table or list; of a generator only that it is one."""
    made = source(TABLE)
    assert isinstance(made, Describable)
    described = made.describe(None)
    assert [(column.name, column.arrow_type) for column in described.columns] == [("a", "int64"), ("b", "string")]
    assert (described.estimated_rows, described.estimated_bytes) == (1000, TABLE.nbytes)
    made = source([{"a": 1}, {"a": 2}], limit=1)
    assert isinstance(made, Describable)
    assert [column.arrow_type for column in made.describe(None).columns] == ["int64"]
    assert made.describe(None).estimated_rows == 1
    loop = Loop({"a": 1})
    made = source(loop.run())
    assert isinstance(made, Describable)
    assert (made.describe(None).columns, made.describe(None).estimated_rows) == ((), None)
    assert read_rows(made) == [{"a": 1}]
    made = source(NDJSON, format="ndjson")
    assert isinstance(made, Describable)
    assert [column.name for column in made.describe("ndjson").columns] == ["a"]


def test_names_for_messages() -> None:
    """What it is, and what it is called."""
    assert name_of(Loop().run()) == "generator run"
    assert name_of([]) == "list"
    assert name_of(TABLE) == "pyarrow Table"


def test_views_of_a_data_frame_are_cut_by_what_they_hold() -> None:
    """Slices of views count all that they share: batches are bounded nevertheless, not rows one by one."""
    texts = [f"{number}: a string that is longer than twelve bytes" for number in range(50_000)]
    table = pa.table({"a": pa.array(texts, pa.string_view())})
    with source(table, batch_bytes=256 << 10).open_batches() as stream:
        assert stream.schema.field("a").type == pa.string()
        batches = list(stream)
    assert max(batch.nbytes for batch in batches) <= 256 << 10
    assert len(batches) < 60
    assert [row["a"] for batch in batches for row in batch.to_pylist()] == texts


def test_a_table_in_many_small_pieces_comes_in_few() -> None:
    """Each batch costs every stage something; what comes from a reader is not held back, though."""
    whole = pa.table(
        {"a": list(range(1000)), "b": pa.array(["a text longer than twelve bytes"] * 1000, pa.string_view())}
    )
    table = pa.Table.from_batches(
        [batch for start in range(0, 1000, 5) for batch in whole.slice(start, 5).to_batches()]
    )
    with source(table).open_batches() as stream:
        [batch] = stream
    assert batch["a"].to_pylist() == list(range(1000))
    with source(table.to_reader()).open_batches() as stream:
        assert len(list(stream)) == 200


@pytest.mark.parametrize(
    "column", [pa.array([1, 2]), pa.chunked_array([[1], [2]])], ids=lambda column: type(column).__name__
)
def test_a_column_alone_is_no_table(column: Any) -> None:
    """It is Arrow data, but has no name; the error says what to do."""
    with pytest.raises(SourceError, match="one column, not a table"), source(column).open_batches():
        pytest.fail("it was opened")


def test_a_generator_that_has_run_is_no_empty_table(tmp_path: Path) -> None:
    """Run twice, a flow or a copy fails the second time, and the file of the first one stays."""
    flow = penstock.read({"a": number} for number in range(3))
    flow.write(tmp_path / "a.csv")
    with pytest.raises(SourceError, match="the generator has run already"):
        flow.write(tmp_path / "a.csv", if_exists="overwrite")
    assert (tmp_path / "a.csv").read_text() == "a\n0\n1\n2\n"
    penstock.copy((row for row in ()), tmp_path / "empty.csv")
    assert (tmp_path / "empty.csv").read_text() == ""


@pytest.mark.parametrize("rows", [3, 100_000])
def test_rows_without_fields_are_rows(rows: int, tmp_path: Path) -> None:
    """As many as there are, in every batch; formats that can not say how many refuse them."""
    report = penstock.copy([{}] * rows, tmp_path / "x.ndjson", max_memory="32MiB")
    assert report.rows == rows
    assert (tmp_path / "x.ndjson").read_bytes() == b"{}\n" * rows
    for name in ("x.csv", "x.parquet"):
        with pytest.raises(ConfigurationError, match="columns"):
            penstock.copy(iter([{}] * rows), tmp_path / name)
        assert not (tmp_path / name).exists()
