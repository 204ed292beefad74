"""Stored data in every format: what passes through, what is decoded, what is left out, and what it says of itself."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock
from penstock import api, formats
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.contracts import Describable
from penstock.flow.description import ColumnType
from tests.connectors.parts import (
    Cancellable,
    cancelled_at_once,
    open_descriptors,
    read_bytes,
    read_rows,
    read_table,
    sink_of,
    source_of,
)
from tests.formats.streams import Table, encoded

TABLE = pa.table({"n": [1, 2, 3], "t": ["x", "y", None]})
ROWS = TABLE.to_pylist()
TYPED = ["arrow", "arrows", "json", "ndjson", "parquet"]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, table: pa.Table = TABLE) -> bytes:
    """Make a file in the format and compression its name tells."""
    format_name, compression = formats.infer(name)
    assert format_name is not None
    data = encoded(format_name, Table(table))
    Path(name).write_bytes(gzip.compress(data) if compression == "gzip" else data)
    return data


# --- one of them ---


@pytest.mark.parametrize(
    "name", ["x.json", "x.ndjson.gz", "x.arrow", "x.arrow.gz", "x.arrows", "x.feather", "x.parquet"]
)
def test_every_format_is_read_from_a_file(name: str) -> None:
    """As bytes, decompressed, and as batches, with the types of the file; nothing stays open."""
    data = write(name)
    before = open_descriptors()
    assert read_bytes(source_of(name)) == data
    source = source_of(name)
    assert read_table(source).equals(TABLE)
    assert source.rows_read == 3
    assert open_descriptors() == before


@pytest.mark.parametrize("source", TYPED)
@pytest.mark.parametrize("target", TYPED)
def test_every_format_becomes_every_other(source: str, target: str) -> None:
    """From file to file, without losing a type on the way."""
    write(f"x.{source}")
    report = penstock.copy(f"x.{source}", f"y.{target}")
    assert read_table(source_of(f"y.{target}")).equals(TABLE)
    assert report.rows == (None if source == target else 3)


def test_a_file_that_is_cut_while_batches_are_read_is_closed() -> None:
    """Leaving in the middle, and an error in the middle, both let go of it."""
    write("x.parquet", pa.table({"n": range(100_000)}))
    before = open_descriptors()
    with source_of("x.parquet", batch_bytes=10_000).open_batches() as batches:
        assert next(iter(batches)).nbytes <= 10_000
    Path("x.parquet").write_bytes(Path("x.parquet").read_bytes()[:-10])
    with pytest.raises(SourceError, match=r"^x.parquet: damaged Parquet data"):
        read_rows(source_of("x.parquet"))
    assert open_descriptors() == before


def test_parquet_needs_something_that_can_be_read_from_its_end() -> None:
    """A pipe can not, and neither can what is compressed as a whole; both are told what to do."""
    write("x.parquet")
    with pytest.raises(ConfigurationError, match=r"x.parquet.gz: parquet is read from its end, which gzip does not"):
        source_of("x.parquet.gz")
    os.mkfifo("pipe.parquet")
    with pytest.raises(
        SourceError, match=r"^pipe.parquet: parquet is read from its end, and .* \(save it to a file first"
    ):
        read_rows(source_of("pipe.parquet"))
    code = "import penstock; penstock.copy('-', 'y.csv', source_format='parquet')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=Path("x.parquet").read_bytes(),
        capture_output=True,
        check=False,
        env=environment,
    )
    assert b"-: parquet is read from its end" in done.stderr
    assert not Path("y.csv").exists()


def test_standard_input_may_be_any_format_that_begins_at_its_beginning() -> None:
    """Through a real pipe: Arrow goes in, JSON comes out."""
    code = "import penstock; penstock.copy('-', '-', source_format='arrow', format='json')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    data = encoded("arrow", Table(TABLE))
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True, env=environment)
    assert done.stdout == encoded("json", Table(TABLE))


@pytest.mark.parametrize("compression", ["gzip", "zstd:3"])
def test_parquet_is_not_compressed_once_more(compression: str) -> None:
    """Nobody could read it without decompressing it first; it says what to do instead."""
    write("x.csv")
    with pytest.raises(ConfigurationError, match=r"parquet compresses its insides itself: .*codec"):
        penstock.copy("x.csv", "y.parquet", compression=compression)
    assert not Path("y.parquet").exists()


def test_a_compression_may_have_a_level() -> None:
    """The sink is told the name alone: it goes into headers."""
    write("x.csv")
    penstock.copy("x.csv", "y.csv.gz", compression="gzip:9")
    assert gzip.decompress(Path("y.csv.gz").read_bytes()) == Path("x.csv").read_bytes()


# --- columns and rows left out ---


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.arrow", "x.parquet"])
def test_columns_and_rows_may_be_left_out(name: str) -> None:
    """In the order asked for; and then no bytes pass through."""
    write(name)
    source = source_of(name, columns=["t", "n"], limit=2)
    assert source.byte_formats == frozenset()
    assert [tuple(map(str, row.items())) for row in read_rows(source)] == [
        ("('t', 'x')", f"('n', {'1' if name != 'x.csv' else repr('1')})"),
        ("('t', 'y')", f"('n', {'2' if name != 'x.csv' else repr('2')})"),
    ]
    assert source.rows_read == 2
    assert read_rows(source_of(name, columns=["t"])) == [{"t": row["t"]} for row in ROWS]
    assert read_rows(source_of(name, limit=0)) == []


def test_a_limit_stops_the_reading() -> None:
    """What comes after is not even looked at, so it may be broken."""
    Path("x.csv").write_bytes(b"n\n" + b"1\n" * 1_000_000 + b'"broken')
    assert len(read_rows(source_of("x.csv", limit=10))) == 10


def test_a_limit_and_columns_go_through_a_copy() -> None:
    """As from a database."""
    write("x.parquet")
    assert penstock.copy("x.parquet", "y.csv", columns=["t"], limit=2).rows == 2
    assert Path("y.csv").read_bytes() == b't\n"x"\n"y"\n'


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["nn"], "x.csv: no column 'nn' (did you mean 'n'?)"),
        (["zzz"], "x.csv: no column 'zzz' (there are n, t, t)"),
        (["t"], "x.csv: there are 2 columns called 't'"),
    ],
)
def test_columns_that_can_not_be_told(columns: list[str], said: str) -> None:
    """The address, the name, and what there is."""
    Path("x.csv").write_bytes(b"n,t,t\n1,x,y\n")
    with pytest.raises(SourceError) as caught:
        read_rows(source_of("x.csv", columns=columns))
    assert str(caught.value) == said


@pytest.mark.parametrize("option", [{"query": "select 1"}, {"where": "n > 1"}, {"table": "x"}])
def test_what_only_databases_do_is_refused(option: dict[str, str]) -> None:
    """SQL over files is DuckDB's job, and the message says so."""
    write("x.csv")
    with pytest.raises(
        ConfigurationError, match=r"x.csv: (query|where|table) can not be used here: .*(duckdb|databases)"
    ):
        source_of("x.csv", **option)


# --- dialects ---


def test_bytes_pass_only_between_the_same_dialects() -> None:
    """A semicolon file copied to a comma file is written anew; to another semicolon file it passes as it is."""
    Path("x.csv").write_bytes(b"a;b\n1;x\n")
    semicolon = {"delimiter": ";"}
    anew = api.plan("x.csv", "y.csv", api.CopyOptions(source_format_options=semicolon))
    assert not anew.passes_through
    assert penstock.copy("x.csv", "y.csv", source_format_options=semicolon).rows == 1
    assert Path("y.csv").read_bytes() == b'a,b\n"1","x"\n'
    assert penstock.copy("x.csv", "z.csv", source_format_options=semicolon, format_options=semicolon).rows is None
    assert Path("z.csv").read_bytes() == b"a;b\n1;x\n"


def test_an_option_of_the_target_is_not_passed_over() -> None:
    """Where bytes would pass through, asking for another codec has them written anew."""
    write("x.parquet")
    penstock.copy("x.parquet", "y.parquet")
    assert Path("y.parquet").read_bytes() == Path("x.parquet").read_bytes()
    penstock.copy("x.parquet", "z.parquet", format_options={"codec": "snappy"})
    assert pq.ParquetFile("z.parquet").metadata.row_group(0).column(0).compression == "SNAPPY"


# --- many of them ---


def test_files_that_match_are_read_as_one() -> None:
    """Sorted by name, hidden ones and folders left out; the header lines of all but the first are gone."""
    for name, number in (("a2.csv", 2), ("a1.csv", 1), ("a10.csv", 10), (".a0.csv", 0), ("b.csv", 9)):
        Path(name).write_bytes(b"n\n%d\n" % number)
    Path("a3.csv").mkdir()
    before = open_descriptors()
    source = source_of("a*.csv")
    assert [row["n"] for row in read_rows(source)] == ["1", "10", "2"]
    assert source.rows_read == 3
    assert penstock.copy("a*.csv", "all.csv").rows == 3
    assert Path("all.csv").read_bytes() == b'n\n"1"\n"10"\n"2"\n'
    assert open_descriptors() == before


def test_folders_of_any_depth() -> None:
    """** goes down, compressed files are decompressed, and an absolute path is as good."""
    for folder in ("data", "data/2024", "data/2024/01"):
        Path(folder).mkdir()
        write(f"{folder}/x.ndjson.gz", pa.table({"where": [folder]}))
    for pattern in ("data/**/*.ndjson.gz", f"{Path.cwd()}/data/**/x.ndjson.gz", f"file://{Path.cwd()}/data/**/*.gz"):
        options = {"format": "ndjson"}
        assert [row["where"] for row in read_rows(source_of(pattern, **options))] == [
            "data/2024/01",
            "data/2024",
            "data",
        ]


def test_each_file_may_be_compressed_in_its_own_way() -> None:
    """Where the pattern does not tell, the name of each file does; an option is for all of them."""
    write("logs1.csv")
    write("logs2.csv.gz")
    assert len(read_rows(source_of("logs*", format="csv"))) == 6
    assert len(read_bytes(source_of("logs*", format="csv", format_options={"header": False})).splitlines()) == 8
    with pytest.raises(SourceError, match=r"^logs1.csv: damaged gzip data"):
        read_rows(source_of("logs*", format="csv", compression="gzip"))


def test_lines_of_several_files_pass_as_bytes() -> None:
    """A last line without its end gets one; a file without anything is nothing."""
    Path("1.ndjson").write_bytes(b'{"a":1}')
    Path("2.ndjson").write_bytes(b"")
    Path("3.ndjson").write_bytes(b'{"a":2}\n')
    assert read_bytes(source_of("?.ndjson")) == b'{"a":1}\n{"a":2}\n'
    assert read_rows(source_of("?.ndjson")) == [{"a": 1}, {"a": 2}]


def test_csv_without_header_lines_passes_as_bytes_and_csv_with_them_does_not() -> None:
    """Because only the first file's header may stay."""
    assert source_of("*.csv").byte_formats == frozenset()
    assert source_of("*.csv", format_options={"header": False}).byte_formats == {"csv(header=False)"}
    assert source_of("*.parquet").byte_formats == frozenset()


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("a,b\n1,2\n", "b,a\n3,4\n", r"^2.csv: the header names the columns \['b', 'a'\], not \['a', 'b'\]"),
        ("a,b\n1,2\n", "a,b\n3\n", "^2.csv: line 2: Expected 2 columns"),
        ("a,b\n1,2\n", "", r"^2.csv: the header names the columns \[\]"),
    ],
)
def test_files_that_do_not_agree(first: str, second: str, said: str) -> None:
    """The message names the file that differs."""
    Path("1.csv").write_text(first)
    Path("2.csv").write_text(second)
    with pytest.raises(SourceError, match=said):
        read_rows(source_of("?.csv"))


def test_types_must_agree() -> None:
    """Those of the first count."""
    write("1.parquet", pa.table({"a": [1]}))
    write("2.parquet", pa.table({"a": ["x"]}))
    with pytest.raises(SourceError, match=r"^2.parquet: column 'a' is string, not int64 as expected"):
        read_rows(source_of("?.parquet"))
    Path("1.ndjson").write_bytes(b'{"a":1}\n')
    Path("2.ndjson").write_bytes(b'{"a":1,"b":2}\n')
    with pytest.raises(SourceError, match=r"^2.ndjson: line 1: an unexpected field 'b'"):
        read_rows(source_of("?.ndjson"))


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    """Rather than an empty copy."""
    with pytest.raises(SourceError, match=r"^no\*.csv: nothing matches this pattern \(is the path right\?\)"):
        read_rows(source_of("no*.csv"))


def test_a_file_called_like_a_pattern_is_read() -> None:
    """What is there counts first."""
    Path("x[1].csv").write_bytes(b"a\n1\n")
    Path("x1.csv").write_bytes(b"a\n2\n")
    assert read_rows(source_of("x[1].csv")) == [{"a": "1"}]
    assert read_rows(source_of("x[12].csv")) == [{"a": "2"}]


def test_a_limit_goes_over_all_files_and_stops_before_those_not_needed() -> None:
    """The last file is broken, and nobody knows."""
    for number in (1, 2):
        Path(f"{number}.csv").write_bytes(b"a\n%d\n%d\n" % (number, number))
    Path("3.csv").write_bytes(b'"broken')
    before = open_descriptors()
    assert [row["a"] for row in read_rows(source_of("?.csv", limit=3))] == ["1", "1", "2"]
    assert open_descriptors() == before


# --- what they say of themselves ---


def described(uri: str, format_name: str | None = None, **options: Any) -> Any:
    """What the source at ``uri`` says it would do."""
    source = source_of(uri, **options)
    assert isinstance(source, Describable)
    return source.describe(format_name)


def test_a_file_describes_itself() -> None:
    """Columns with their types, its size, and the number of rows where that is written down."""
    write("x.parquet")
    before = open_descriptors()
    found = described("x.parquet", columns=["t"], limit=2)
    assert found.columns == (ColumnType("t", "string", "string"),)
    assert (found.estimated_rows, found.estimated_bytes) == (2, Path("x.parquet").stat().st_size)
    assert found.reading == "parquet, read as batches"
    write("y.csv.gz")
    found = described("y.csv.gz", "csv")
    assert found.reading == "csv in gzip, bytes passed through"
    assert found.columns == (ColumnType("n", "string", ""), ColumnType("t", "string", ""))
    assert (found.estimated_rows, found.estimated_bytes) == (None, Path("y.csv.gz").stat().st_size)
    assert open_descriptors() == before


def test_many_files_describe_themselves() -> None:
    """How many there are, and the columns of the first."""
    for number in (1, 2, 3):
        write(f"{number}.ndjson")
    found = described("?.ndjson", "ndjson")
    assert found.reading == "ndjson, bytes passed through: 3 of them, from 1.ndjson to 3.ndjson"
    assert [column.name for column in found.columns] == ["n", "t"]
    assert found.estimated_bytes is None


def test_what_is_read_from_a_pipe_is_gone_so_nobody_looks() -> None:
    """A FIFO is not even opened: that would wake whoever writes."""
    os.mkfifo("pipe.csv")
    assert described("pipe.csv").why == "looking would take the data away"
    assert described("-", format="csv").columns == ()


def test_a_description_of_what_is_not_there_is_an_error() -> None:
    """The same as reading it."""
    with pytest.raises(SourceError, match=r"x.csv: no such file"):
        described("x.csv")


def test_files_are_written_in_every_format_whole_or_not_at_all() -> None:
    """The sink does not care what the bytes mean."""
    for name in TYPED:
        data = encoded(name, Table(TABLE))
        assert sink_of(f"z.{name}", format_name=name).store(io.BytesIO(data)).bytes_stored == len(data)
        assert read_table(source_of(f"z.{name}")).equals(TABLE)


# --- stopping ---


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.json", "*.ndjson"])
def test_a_cancelled_reading_ends_and_leaves_nothing_open(name: str) -> None:
    """Also where Arrow is in between, which knows of no cancel."""
    write(name.replace("*", "x"))
    before = open_descriptors()
    cancelled_at_once(lambda: read_rows(source_of(name)))
    assert open_descriptors() == before


@pytest.mark.parametrize("name", ["arrow", "json", "csv"])
def test_a_cancel_wakes_a_decoder_that_waits_for_a_pipe(name: str) -> None:
    """Within the time everything of ours wakes in, in the middle of the data."""
    data = encoded(name, Table(TABLE))
    os.mkfifo(f"pipe.{name}")
    before = open_descriptors()
    call = Cancellable(lambda: read_rows(source_of(f"pipe.{name}")))
    with Path(f"pipe.{name}").open("wb") as writer:
        writer.write(data[: len(data) // 2])
        writer.flush()
        call.wait_still()
        assert call.cancel() < 0.5
    assert open_descriptors() == before
