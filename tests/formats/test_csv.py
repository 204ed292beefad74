"""CSV keeps every value apart from every other, and refuses what is not CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from penstock import formats
from penstock.connectors._batches import Batches
from penstock.errors import BudgetExceeded, ConfigurationError, SourceError
from penstock.formats.csv import Csv, Tsv
from tests.formats.streams import (
    Collected,
    CountingStream,
    FailingStream,
    Fails,
    Table,
    decoded,
    encoded,
    rows,
    table_of,
)

CELLS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), min_size=1, max_size=4),
    data=st.data(),
)
def test_text_round_trip(names: list[str], data: st.DataObject) -> None:
    """Any text in any column, and NULL, come back as they were: quotes, line ends, control characters, all of it."""
    table = pa.table([data.draw(st.lists(CELLS, min_size=3, max_size=3)) for _ in names], names=names)
    table = table.cast(pa.schema([(name, pa.string()) for name in names]))
    assert decoded("csv", encoded("csv", Table(table))).equals(table)


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
            min_size=2,
            max_size=2,
        ),
        max_size=6,
    )
)
def test_what_the_standard_library_writes_is_read(written: list[list[str]]) -> None:
    """Python's csv module, which quotes where it must, is understood; it writes '' as nothing, which is NULL here."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["a", "b"])
    writer.writerows(written)
    expected = [{"a": a or None, "b": b or None} for a, b in written]
    assert rows(decoded("csv", text.getvalue().encode())) == expected


def test_null_is_not_the_empty_string() -> None:
    """NULL is an empty field, the empty string two quotes; both ways."""
    data = encoded("csv", table_of(a=pa.array([None, "", "x"]), b=pa.array(["", None, None])))
    assert data == b'a,b\n,""\n"",\n"x",\n'
    assert rows(decoded("csv", data)) == [{"a": None, "b": ""}, {"a": "", "b": None}, {"a": "x", "b": None}]


def test_null_in_a_single_column() -> None:
    """Of one column, a NULL is an empty line, which is not skipped."""
    data = encoded("csv", table_of(a=pa.array([None, "", "x", None])))
    assert rows(decoded("csv", data)) == [{"a": None}, {"a": ""}, {"a": "x"}, {"a": None}]


def test_nothing_is_guessed() -> None:
    """What looks like a number or date stays the text it is."""
    text = b"a,b,c,d\n007,1.10,2024-02-30,NULL\n"
    assert rows(decoded("csv", text)) == [{"a": "007", "b": "1.10", "c": "2024-02-30", "d": "NULL"}]


def test_types_can_be_guessed_on_request() -> None:
    """infer_types takes them from the first block; a column of NULLs is text."""
    with Csv(infer_types=True).decode(io.BytesIO(b"a,b,c,d\n1,1.5,x,\n2,2.5,y,\n")) as batches:
        assert batches.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.string()]
        assert [batch.to_pydict()["a"] for batch in batches] == [[1, 2]]


def test_a_schema_gives_the_types() -> None:
    """With a schema, decimals keep their digits, and base64 becomes bytes."""
    schema = pa.schema(
        [
            ("d", pa.decimal128(20, 3)),
            ("b", pa.binary()),
            ("t", pa.timestamp("us", "UTC")),
            ("x", pa.bool_()),
            ("i", pa.int64()),
        ]
    )
    table = decoded("csv", b"d,b,t,x,i\n1.100,AP8=,2024-01-02 03:04:05+05:30,t,9223372036854775807\n,,,,\n", schema)
    assert table.schema == schema
    first, second = rows(table)
    moment = dt.datetime(2024, 1, 1, 21, 34, 5, tzinfo=dt.UTC)
    assert first == {"d": Decimal("1.100"), "b": b"\0\xff", "t": moment, "x": True, "i": 2**63 - 1}
    assert set(second.values()) == {None}


def test_values_are_written_exactly() -> None:
    """Decimals with all digits, instants with their offset, bytes as base64, nested values as JSON."""
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    data = encoded(
        "csv",
        table_of(
            i=pa.array([2**63 - 1]),
            u=pa.array([2**64 - 1], pa.uint64()),
            f=pa.array([0.1]),
            d=pa.array([Decimal("99999999999999999999999999999999999.90")], pa.decimal128(38, 2)),
            t=pa.array([moment], pa.timestamp("us", "UTC")),
            b=pa.array([b"\0\xff"]),
            l=pa.array([[1, None]]),
            s=pa.array([{"k": 'v"'}]),
            c=pa.array(["x"]).dictionary_encode(),
            v=pa.array(["x"], pa.string_view()),
            n=pa.nulls(1),
            e=pa.array([dt.timedelta(days=1)]),
            g=pa.array([bytes(15) + b"\1"], pa.uuid()),
        ),
    )
    assert data.splitlines()[1].decode() == ",".join(
        [
            "9223372036854775807",
            "18446744073709551615",
            "0.1",
            "99999999999999999999999999999999999.90",
            "2024-01-02 03:04:05.000006Z",
            '"AP8="',
            '"[1,null]"',
            '"{""k"":""v\\""""}"',
            '"x"',
            '"x"',
            "",
            '"PT86400S"',
            '"00000000-0000-0000-0000-000000000001"',
        ]
    )


def test_columns_may_share_a_name() -> None:
    """SELECT 1 AS a, 2 AS a makes two columns, which stay two."""
    assert [column.to_pylist() for column in decoded("csv", b"a,a\n1,2\n").columns] == [["1"], ["2"]]


def test_batches_without_rows_still_have_a_header() -> None:
    """An empty result is a header line, and reads back as no rows of these columns."""
    data = encoded("csv", Table(pa.table({"a": pa.array([], pa.int64()), 'b,"c': pa.array([], pa.string())})))
    assert data == b'a,"b,""c"\n'
    table = decoded("csv", data)
    assert (table.num_rows, table.column_names) == (0, ["a", 'b,"c'])


def test_nothing_at_all_is_no_columns_and_no_rows() -> None:
    """An empty stream is not an error."""
    table = decoded("csv", b"")
    assert (table.num_rows, table.num_columns) == (0, 0)
    assert encoded("csv", Table(table)) == b""


def test_a_byte_order_mark_and_windows_line_ends_are_no_data() -> None:
    """What spreadsheets write is read."""
    assert rows(decoded("csv", b'\xef\xbb\xbfa,b\r\n1,"x\r\ny"\r\n')) == [{"a": "1", "b": "x\r\ny"}]


@pytest.mark.parametrize("block_bytes", [1, 16, 1 << 20])
@pytest.mark.parametrize("header", [True, False])
def test_only_the_first_bytes_are_a_byte_order_mark(block_bytes: int, header: bool) -> None:
    """The same character at the start of a field is text, also of the first field, and where a block begins."""
    texts = ["\ufeff", "\ufeffx", "a", "\ufeff\ufeffy"] * 5
    data = ("\ufeff" + "c,n\n" * header + "".join(f"{text},12345678\n" for text in texts)).encode()
    with Csv(header=header, block_bytes=block_bytes).decode(io.BytesIO(data)) as batches:
        assert [text for batch in batches for text in batch.column(0).to_pylist()] == texts


def test_tabs() -> None:
    """The format tsv is CSV with tabs, with the same quoting."""
    data = encoded("tsv", table_of(a=pa.array(["x\ty", None]), b=pa.array(["", '"'])))
    assert data == b'a\tb\n"x\ty"\t""\n\t""""\n'
    assert rows(decoded("tsv", data)) == [{"a": "x\ty", "b": ""}, {"a": None, "b": '"'}]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a,b\n1,2\n3\n", "line 3: Expected 2 columns, got 1: 3"),
        (b'a,b\n1,"x\ny"\n\n1,2,3\n', "line 5: Expected 2 columns, got 3: 1,2,3"),
        (b'a,b\n1,"cut off', "line 2: a quoted field that never ends (the file was cut short"),
        (b'a,b\n1,5" pipe\n2,x\n', "line 2: a quoted field that never ends"),
        (b'a,b\n1,"5"" pipe"\n2,6" and 7" pipes\n', "line 3: a quote in the middle of a field (quote the field"),
        (b'a,b\n1,"x"y\n', "line 2: a quote in the middle of a field"),
        (b"a,b\n1,2\n1,\xff\n", "line 3: column 'b': CSV conversion error to string: invalid UTF8 data"),
        (b"\xff,b\n", "line 1: the header is not UTF-8"),
        (b"\n1,2\n", "line 1 is empty, where the header line should be"),
        (b'a,"b\n1,2\n', "line 1: a quoted field that never ends"),
    ],
)
def test_what_is_not_csv_is_an_error_that_names_the_line(data: bytes, said: str) -> None:
    """Nothing is guessed, nothing is skipped; the physical line is named."""
    with pytest.raises(SourceError) as caught:
        decoded("csv", data)
    assert str(caught.value).startswith(said)


def test_lines_are_counted_across_blocks() -> None:
    """The line in a message is the line in the file, also a thousand blocks on."""
    data = b"a,b\n" + b'1,"x\ny"\n' * 5000 + b"1\n"
    with pytest.raises(SourceError, match=r"^line 10002: "), Csv(block_bytes=512).decode(io.BytesIO(data)) as batches:
        for _ in batches:
            pass


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 5, 8, 64])
def test_blocks_of_any_size_give_the_same_rows(block_bytes: int) -> None:
    """Records longer than a block, and quotes and line ends at its edge, make no difference."""
    data = b'a,"b"\r\n1,"x ""y""\r\n,z"\n,""\n"""",""""""\nlast,one'
    with Csv(block_bytes=block_bytes).decode(io.BytesIO(data)) as batches:
        read = [row for batch in batches for row in batch.to_pylist()]
    assert read == [
        {"a": "1", "b": 'x "y"\r\n,z'},
        {"a": None, "b": ""},
        {"a": '"', "b": '""'},
        {"a": "last", "b": "one"},
    ]


def test_an_endless_record_is_refused() -> None:
    """A quote that is never closed does not pull the whole stream into memory."""
    stream = CountingStream(b"x" * 1000, 1 << 30)
    endless = io.BufferedReader(_Raw(b'a,b\n1,"', stream))
    with pytest.raises(BudgetExceeded, match="a record at byte 4 is longer than 1048576 bytes"):
        with Csv(max_record_bytes=1 << 20).decode(endless) as batches:
            list(batches)
    assert stream.read_bytes < 8 << 20


class _Raw(io.RawIOBase):
    def __init__(self, start: bytes, rest: CountingStream) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._start or self._rest.read(len(buffer))
        self._start = b""
        buffer[: len(data)] = data
        return len(data)


def test_an_error_of_the_stream_is_not_an_end() -> None:
    """What the stream raises is raised, after what came before it."""
    stream = FailingStream(b"a\n" + b"12345678\n" * 1000)
    seen = 0
    with Csv(block_bytes=1000).decode(stream) as batches, pytest.raises(Fails):
        for batch in batches:
            seen += batch.num_rows
    assert seen > 900


def test_a_header_that_is_not_the_schemas_is_refused() -> None:
    """Who knows the columns is told when they are others."""
    with pytest.raises(SourceError, match=r"names the columns \['a', 'c'\], not \['a', 'b'\]"):
        decoded("csv", b"a,c\n1,2\n", pa.schema([("a", pa.int64()), ("b", pa.int64())]))


def test_a_value_that_does_not_fit_the_schema_is_named() -> None:
    """Column, line and value are in the message."""
    schema = pa.schema([("x", pa.string()), ("n", pa.decimal128(5, 2))])
    with pytest.raises(SourceError, match=r"line 3: column 'n': .*'NaN'"):
        decoded("csv", b"x,n\na,1.10\nb,NaN\n", schema)
    with pytest.raises(SourceError, match="not base64"):
        decoded("csv", b"b\n!!\n", pa.schema([("b", pa.binary())]))


def test_bytes_inside_nested_values_are_refused_by_name() -> None:
    """They have no agreed form; the message names the column."""
    with pytest.raises(ConfigurationError, match="column 'l' holds bytes inside list"):
        encoded("csv", table_of(l=pa.array([[b"x"]])))


def test_the_number_of_rows_is_returned() -> None:
    """What encode returns counts rows, not lines, over all batches."""
    out = Collected()
    table = Table(pa.table({"a": ["x\ny"] * 10}), rows_per_batch=3)
    assert formats.format_by_name("csv").encode(table, out) == 10
    assert out.writes == 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"a,b\r1,2\r", 1),
        (b"a\rb\n1\n", 1),
        (b"a\n1\n2\r3\n", 3),
        (b'a,b\n"x\ry",1\r\n2\r3,4\n', 3),
        (b'a\n"x\n\r"\n1\r2\n', 4),
        (b"a\n1\r", 2),
    ],
)
def test_a_bare_carriage_return_is_refused(text: bytes, line: int) -> None:
    """Some take it for a line end, others for data: a header would have no end, and a row become two."""
    with pytest.raises(SourceError, match=rf"line {line}: a carriage return .*LF or CRLF"):
        decoded("csv", text)


def test_a_carriage_return_in_quotes_is_data() -> None:
    """And before a line feed the end of a line."""
    assert decoded("csv", b'"a\rb",c\r\n"x\r",y\r\n').to_pylist() == [{"a\rb": "x\r", "c": "y"}]


def test_rows_without_columns_are_refused() -> None:
    """Nothing would be left of them; where there are none, there is nothing to lose."""
    structs = pa.array([{}, {}, {}], pa.struct([]))
    bare = pa.RecordBatch.from_struct_array(structs)
    out = Collected()
    for kind, name in ((Csv(), "CSV"), (Csv(header=False), "CSV"), (Tsv(), "TSV")):
        with pytest.raises(ConfigurationError, match=f"there are rows without columns, which {name} can not hold"):
            kind.encode(Batches(bare.schema, iter([bare])), out)
        assert kind.encode(Batches(bare.schema, iter([])), out) == 0
    assert not out
