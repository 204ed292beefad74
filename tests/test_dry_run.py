"""`penstock.plan` decides without touching anything; `penstock.preview` looks without writing anything."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

import penstock
from penstock.flow.description import ColumnType, Description
from tests.engines.parts import BytesSource, DescribedSource, MemorySink, MemoryTable

TOLD = Description(
    reading="COPY to standard output, bytes passed through",
    why="the destination is CSV, which the server writes itself",
    consistency="one read-only transaction: a snapshot",
    columns=(
        ColumnType("id", "bigint", "int64"),
        ColumnType("price", "numeric(12,2)", "decimal128(12, 2)", "NaN is an error"),
    ),
    estimated_rows=1_234_567,
    estimated_bytes=300 * 1024**2,
)


def lines_of(preview: object) -> dict[str, str]:
    """The facts of a preview by their labels, and its table under ``table``."""
    facts, table = {}, []
    for line in str(preview).splitlines():
        if line.startswith(" "):
            table.append(line)
        else:
            label, _, text = line.partition(":")
            facts[label] = text.strip()
    return {**facts, "table": "\n".join(table)}


def test_a_plan_takes_the_keywords_of_copy() -> None:
    """And decides what copy would, without a database in sight."""
    plan = penstock.plan("sqlite:///nowhere.db", "out.ndjson.gz", table="orders", timeout="5m", bwlimit="1M")
    assert (plan.format_name, plan.compression, plan.timeout, plan.bwlimit) == ("ndjson", "gzip", 300.0, 1024**2)
    assert "rate:   at most 1.0 MiB/s" in str(plan)
    with pytest.raises(TypeError, match="tabel"):
        penstock.plan("sqlite:///nowhere.db", "out.csv", tabel="orders")


def test_a_preview_tells_what_the_source_tells() -> None:
    """How it is read and why, what the rows have in common, each column with its types, how much there may be."""
    source = DescribedSource(TOLD)
    seen = penstock.preview(penstock.plan(source, MemorySink(), format="ndjson"))
    facts = lines_of(seen)
    assert source.asked == [None]
    assert source.opened == 0
    assert facts["from"] == "chunks in memory"
    assert facts["path"] == "source (Arrow batches) -> encoder (ndjson) -> sink"
    assert facts["reading"] == TOLD.reading
    assert facts["why"] == TOLD.why
    assert facts["consistency"] == TOLD.consistency
    assert facts["estimate"] == "about 1,234,567 rows (300.0 MiB at the source)"
    assert (
        facts["buffers"] == "source to encoder: batches of 4.0 MiB, two may wait; encoder to sink: a pipe of 512.0 KiB"
    )
    assert facts["memory"].startswith("128.0 MiB in flight")
    assert facts["table"].splitlines() == [
        "  name   source type    arrow type         in ndjson           note",
        "  id     bigint         int64              number",
        "  price  numeric(12,2)  decimal128(12, 2)  number, all digits  NaN is an error",
    ]


def test_bytes_that_pass_are_asked_about_as_such() -> None:
    """The source is told the format; the columns are as it writes them."""
    source = DescribedSource(TOLD)
    facts = lines_of(penstock.preview(penstock.plan(source, MemorySink())))
    assert source.asked == ["csv"]
    assert facts["path"] == "source (csv bytes, untouched) -> sink"
    assert "as the source writes it" in facts["table"]


def test_a_source_that_can_not_tell_is_no_failure() -> None:
    """What was decided is shown all the same."""
    facts = lines_of(penstock.preview(penstock.plan(BytesSource([]), MemorySink())))
    assert facts["reading"] == "this kind of source does not tell before it is read"
    assert facts["columns"] == "known once data is read"


def test_a_preview_is_plain_values_for_programs() -> None:
    """to_dict() goes through JSON and comes back the same."""
    plain = penstock.preview(penstock.plan(DescribedSource(TOLD), MemorySink(), format="csv")).to_dict()
    assert json.loads(json.dumps(plain)) == json.loads(json.dumps(plain, default=str))
    assert plain["would"] == "run"
    assert plain["columns"][1]["source_type"] == "numeric(12,2)"
    assert plain["estimated_rows"] == 1_234_567
    assert plain["memory"]["max_memory"] == 128 * 1024**2


@pytest.mark.parametrize(
    ("destination", "would", "said"),
    [
        (MemorySink(), "run", "may be written"),
        (MemorySink(wanted=False), "skip", "is there already, so this copy would be skipped"),
        (MemorySink(wanted=penstock.AlreadyExists("it is there")), "fail", "is there already"),
        (MemorySink(wanted=penstock.SinkError("no such bucket")), "fail", "can not be written"),
        (MemoryTable(), "run", "may be written"),
    ],
)
def test_the_destination_is_looked_at(destination: MemorySink | MemoryTable, would: str, said: str) -> None:
    """As the copy would; what it would fail with is part of the preview."""
    seen = penstock.preview(penstock.plan(DescribedSource(TOLD), destination))
    assert seen.would == would
    assert said in lines_of(seen)["destination"]
    assert (seen.sink_error is not None) == (would == "fail")


@pytest.mark.parametrize(
    ("exists", "if_exists", "said"),
    [
        (False, "fail", "free"),
        (True, "fail", "is there already, so this copy would fail"),
        (True, "skip", "is there already, so this copy would be skipped"),
        (True, "overwrite", "may be written; what is there would be replaced"),
    ],
)
def test_what_would_become_of_a_file(tmp_path: Path, exists: bool, if_exists: str, said: str) -> None:
    """Nothing is created, and what is there stays."""
    (tmp_path / "in.csv").write_text("a\n1\n")
    target = tmp_path / "out.csv"
    if exists:
        target.write_text("mine")
    seen = penstock.preview(penstock.plan(tmp_path / "in.csv", target, if_exists=if_exists))
    assert lines_of(seen)["destination"] == said
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", *(["out.csv"] if exists else [])}
    assert not exists or target.read_text() == "mine"


def test_a_source_that_can_not_be_read_is_an_error() -> None:
    """There is nothing to show."""
    with pytest.raises(penstock.SourceError, match="refused"):
        penstock.preview(penstock.plan(DescribedSource(penstock.SourceError("refused")), MemorySink()))


def test_the_timeout_holds_for_looking_too() -> None:
    """Who does not answer is not waited for."""

    class Silent(DescribedSource):
        def describe(self, format_name: str | None) -> Description:
            penstock.sleep(60)
            return TOLD

    began = time.monotonic()
    with pytest.raises(penstock.DeadlineExceeded, match="did not answer within 100 ms"):
        penstock.preview(penstock.plan(Silent(TOLD), MemorySink(), timeout=0.1))
    assert time.monotonic() - began < 5


def test_a_plan_that_was_looked_at_can_be_run(tmp_path: Path) -> None:
    """Looking uses nothing up."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("create table orders (id integer primary key, name text)")
        connection.execute("insert into orders values (1, 'one')")
    plan = penstock.plan(f"sqlite:///{tmp_path}/shop.db", tmp_path / "out.csv", table="orders")
    assert penstock.preview(plan).would == "run"
    from penstock import api

    assert api.run(plan).rows == 1


def test_files_are_estimated(tmp_path: Path) -> None:
    """From what the source holds, and only then."""
    plan = penstock.plan(DescribedSource(TOLD), tmp_path / "out.csv", max_file_size="64MiB")
    seen = penstock.preview(plan)
    assert seen.estimated_files == 5
    files = lines_of(seen)["files"]
    assert files == "at most 64.0 MiB each, and a manifest; about 5 of them, if they hold as much as the source"
    unknown = penstock.plan(BytesSource([]), tmp_path / "out.csv", max_file_size="64MiB")
    assert penstock.preview(unknown).estimated_files is None
