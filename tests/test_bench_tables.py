"""The bench of whole tables: that each mover has its command, that results are judged right, that the page stays whole."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from unittest.mock import MagicMock

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.tables import commands
from bench.tables.__main__ import shown
from bench.tables.ends import Ground
from bench.tables.jobs import Command, Job, NotRunError
from bench.tables.loads import FORMATS as LOADED, SHAPES, Load, load_of, table as loads_table, write_file
from bench.tables.measure import measured
from bench.tables.movers import MOVERS, Mover
from bench.tables.page import PAGE, fill
from bench.tables.plans import FORMATS, PLANS, SOURCES, asked_for
from bench.tables.queries import QUERIES, READ_AS, Query, Reading, reading, table as queries_table
from bench.tables.report import bars, memory_table, tables
from bench.tables.runs import Contender, NotRun, contenders, in_turns
from bench.tables.systems import Place
from bench.tables.tls import MODES, table as tls_table
from bench.tables.ways import WAYS, Way, table, way_of
from penstock.connectors import sqlite

URIS = {
    "postgres": "postgresql://user:word@127.0.0.1:1/base",
    "mysql": "mysql://user:word@127.0.0.1:1/base",
    "sqlite": "sqlite:////folder/base.db",
    "duckdb": "duckdb:////folder/base.duckdb",
}
STORE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "word",
    "AWS_REGION": "here",
}
WORK = list(product(SOURCES, FORMATS, ("file", "s3")))


def job_of(source: str, kind: str, sink: str, folder: Path) -> Job:
    target = f"s3://bench/lineitem.{kind}" if sink == "s3" else str(folder / f"out.{kind}")
    return Job(Place(source, URIS[source], source), kind, sink, target, "lineitem", 2, str(folder / "scratch"), STORE)


def result(mover: str, kind: str = "csv", rows: int = 1000, **told: Any) -> dict[str, Any]:
    given = {"mover": mover, "reference": mover == "psql COPY", "source": "postgres", "facts": "PostgreSQL 18"}
    given |= {"format": kind, "sink": "file", "rows": rows, "failed": ""}
    return {**given, "rows_per_second": 1000.0, "peak_bytes": 50e6, "cpu_seconds": 1.0, **told}


def told_by(mover: Mover, job: Job) -> Command | str | None:
    try:
        return mover.command(job)
    except NotRunError as exc:
        return str(exc)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def contender(code: str, folder: Path, name: str = "somebody", **changed: Any) -> Contender:
    job = job_of("sqlite", "csv", "file", folder)
    command = Command([sys.executable, "-I", "-c", code], to_stdout=True)
    mover = Mover(name, lambda job: command)
    return replace(Contender(mover, job, command, rounds=2, enough_seconds=60, patience_seconds=60), **changed)


@pytest.fixture
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the environment of the peers, and programs on PATH that look like the databases' own."""
    programs = tmp_path / "peers" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "psql", "mariadb", "sqlite3"):
        (programs / name).touch(mode=0o755)
    sling = tmp_path / "peers" / "lib" / "python3" / "site-packages" / "sling_linux_amd64" / "bin"
    sling.mkdir(parents=True)
    (sling / "sling-linux-amd64").touch(mode=0o755)
    monkeypatch.setattr(commands, "PEERS", programs)
    monkeypatch.setenv("PATH", str(programs))
    return programs


@pytest.mark.parametrize("mover", MOVERS, ids=lambda mover: mover.name)
def test_each_mover_has_a_command_or_a_reason(mover: Mover, peers: Path, tmp_path: Path) -> None:
    """Whatever the work, a mover does it with a program and a script that exist, or says why not; each does something."""
    told = [told_by(mover, job_of(source, kind, sink, tmp_path)) for source, kind, sink in WORK]
    assert "" not in told  # a reason without words
    done = [command for command in told if isinstance(command, Command)]
    for command in done:
        assert Path(command.arguments[0]).exists()
        assert all(Path(part).exists() for part in command.arguments if part.endswith(".py"))
    assert done


@pytest.mark.parametrize(("source", "kind", "sink"), WORK)
def test_each_cell_has_a_reference_to_be_compared_with(
    source: str, kind: str, sink: str, peers: Path, tmp_path: Path
) -> None:
    """Wherever Penstock runs, exactly one tool of the database writes the CSV of the same table to the same sink."""
    absent: set[NotRun] = set()
    csv = job_of(source, "csv", sink, tmp_path)
    found = list(contenders(dict.fromkeys(("fast", "slow", "slowest"), csv), PLANS["full"], absent))
    assert [each.mover.reference for each in found].count(True) == 1
    job = job_of(source, kind, sink, tmp_path)
    there = contenders(dict.fromkeys(("fast", "slow", "slowest"), job), PLANS["full"], absent)
    assert "penstock" in [each.mover.name for each in there]


def test_without_the_peers_each_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is left out in silence because it is not installed."""
    monkeypatch.setattr(commands, "PEERS", tmp_path)
    absent: set[NotRun] = set()
    job = job_of("postgres", "csv", "file", tmp_path)
    list(contenders(dict.fromkeys(("fast", "slow", "slowest"), job), PLANS["full"], absent))
    assert {"ADBC + pyarrow", "dlt, pyarrow", "sling", "cursor loop"} <= {each.mover for each in absent}


def test_one_that_fails_does_not_end_the_run(tmp_path: Path) -> None:
    """A mover that ends with an error or delivers too little is a failure with its message; the others are measured."""
    good = contender("print('a'); print(1); print(2)", tmp_path)
    broken = contender("import sys; sys.exit('it broke')", tmp_path)
    short = contender("print('a'); print(1)", tmp_path)
    first, second, third = in_turns([broken, short, good])
    assert "it broke" in first["failed"]
    assert second["failed"] == "it delivered 1 rows of 2"
    assert third["failed"] == ""
    assert len(third["runs"]) == 2


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """After its patience the bench kills a mover and what it has started, and says so."""
    note = tmp_path / "note"
    child = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    run = measured([sys.executable, "-I", "-c", code], {}, None, tmp_path / "log", patience_seconds=5.0)
    assert run.said.startswith("it was killed after 5 s")
    child_pid = int(note.read_text())
    deadline = monotonic() + 10
    while is_running(child_pid) and monotonic() < deadline:
        sleep(0.01)  # it has been killed; when it is gone, is for the system to say
    assert not is_running(child_pid)


def test_memory_is_that_of_the_whole_tree(tmp_path: Path) -> None:
    """What a child holds counts, not only what the command itself does."""
    child = "import time; held = bytearray(b'x') * (200 << 20); time.sleep(0.5)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    run = measured([sys.executable, "-I", "-c", code], {}, None, tmp_path / "log")
    assert run.code == 0
    assert run.peak_bytes > 200 << 20


def test_bars_say_what_was_kept_and_what_was_missed() -> None:
    """Speed is compared with psql's CSV and with row paths, memory with its bound, and growth with 1.05x."""
    measured = [
        result("psql COPY"),
        result("penstock", rows_per_second=950.0),
        result("sling", rows_per_second=100.0),
        result("penstock", "ndjson", rows_per_second=400.0, peak_bytes=300e6),
        result("dlt, row by row", "ndjson", rows_per_second=10.0),
    ]
    memory = [result("penstock"), result("penstock", rows=10_000, peak_bytes=60e6)]
    lines = dict(line.strip("| ").split(" | ", 1) for line in bars(measured, memory).splitlines()[2:])
    assert lines["CSV, rows/s / psql's CSV"] == "0.95x | >= 0.9x | ok"
    assert lines["CSV, rows/s / sling"] == "9.5x | >= 10x | **missed**"
    assert lines["NDJSON, rows/s / psql's CSV"] == "0.40x | >= 0.45x | **missed**"
    assert lines["NDJSON, peak memory"] == "300 MB | <= 256 MB | **missed**"
    assert lines["NDJSON, rows/s / dlt, row by row"] == "40.0x | >= 10x | ok"
    assert lines["memory at ten times the rows, the most of 1 ways (0 keep it)"] == "1.20x | <= 1.05x | **missed**"
    assert "**missed**" in memory_table(memory)


def test_a_failure_is_one_cell_of_its_table() -> None:
    """A message of many lines with the signs of Markdown and of XML neither breaks the table nor hides what was raised."""
    said = 'Traceback:\n  File "x"\nOSError: put | object: 411 <Error>\n<Code>Missing</Code></Error>'
    text = tables([result("psql COPY"), result("apitap", failed=said)])
    assert "| CSV | apitap | 1,000 | failed: OSError: put / object: 411 | | | |" in text.splitlines()


def test_the_page_has_a_place_for_everything_and_filling_it_twice_changes_nothing() -> None:
    """Each text that the bench shows has its place in docs/performance.md; a second filling leaves the page as it is."""
    part = {"results": [result("psql COPY"), result("penstock", rows=10)], "absent": [{"mover": "x", "why": "y"}]}
    facts: dict[str, object] = {"packages": {}}
    facts |= dict.fromkeys(("date", "python", "cpus", "processor", "platform", "load_average", "go"))
    page = PAGE.read_text("utf-8")
    texts = {
        name: text for name, (text, _) in shown(dict.fromkeys(("file", "s3", "memory", "memory-s3"), part)).items()
    }
    copies = [result("penstock", facts=mode) for mode in MODES.values()]
    others = {"tables-ways": table([Way("a", "b", (1, 1), 1.0)], 10), "tables-loads": loads_table([])}
    others["tables-tls"] = tls_table(copies)
    others["tables-queries"] = queries_table([Reading(QUERIES[0].called, way, 10, 1.0, 1.0) for way in READ_AS])
    for place, text in {**texts, **others}.items():
        once = fill(page, place, text, "python -m bench.tables", facts, "of 1 run")
        assert text in once
        assert fill(once, place, text, "python -m bench.tables", facts, "of 1 run") == once


def test_plans_are_whole_and_flags_change_them() -> None:
    """Each plan has rows for every pace, and what is asked for on the command line takes their place."""
    assert all(set(plan.rows) == {"fast", "slow", "slowest"} for plan in PLANS.values())
    plan, options = asked_for(["--plan", "quick", "--source", "duckdb", "--rows", "7", "--only", "Penstock"])
    assert (plan.sources, plan.rows["fast"], options.update_page) == (("duckdb",), 7, False)
    assert [mover.name for mover in MOVERS if plan.takes_part(mover)] == ["penstock"]


def few_rows(folder: Path) -> None:
    """The table that is there already is not generated."""
    for rows in (10, 100):
        pq.write_table(pa.table({"a": list(range(rows))}), folder / f"lineitem-{rows}.parquet")


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_query_is_read_collected_and_row_by_row(
    is_busy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both give all rows, and only one of them makes objects of them; nothing runs on beside."""
    monkeypatch.setattr(sqlite, "unpackable", sqlite.unpackable)  # is put back after the test
    query = Query(
        "numbers", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT i FROM n", is_busy
    )
    uri = f"sqlite:///{tmp_path / 'any.db'}"
    sqlite3.connect(tmp_path / "any.db").close()
    row_by_row = MagicMock(wraps=sqlite.Rows)
    monkeypatch.setattr(sqlite, "Rows", row_by_row)
    assert [reading(uri, query, way).rows for way in READ_AS[:1]] == [100]
    assert not row_by_row.called
    assert [reading(uri, query, way).rows for way in READ_AS[1:]] == [100]
    assert row_by_row.called


@pytest.mark.parametrize(
    "way",
    [
        "file.parquet sqlite",
        "file.parquet duckdb.there",
        "sqlite.query file.csv",
        "file.csv http.ndjson",
        "http.csv stdout.csv",
    ],
)
def test_a_way_is_measured_at_both_sizes_and_its_rows_are_counted(way: str, tmp_path: Path) -> None:
    """Both have a peak, neither has failed, and nothing is left of what arrived."""
    few_rows(tmp_path)
    with ExitStack() as stack:
        ground = Ground(tmp_path, stack, tmp_path)
        measured = way_of(ground, way, rows=10, rounds=1)
    assert measured.failed == ""
    assert min(measured.peaks) > 10 << 20


def test_rows_that_did_not_arrive_are_a_failure(tmp_path: Path) -> None:
    """Nobody is told a peak of a copy that was not whole."""
    few_rows(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "lineitem-100.parquet")
    with ExitStack() as stack:
        ground = Ground(tmp_path, stack, tmp_path)
        measured = way_of(ground, "file.parquet file.csv", rows=10, rounds=1)
    assert measured.failed == "1 rows of 100 arrived"
    assert "failed: 1 rows of 100 arrived" in table([measured], 10)


def test_a_way_beyond_the_bar_is_a_miss() -> None:
    """1.05x is kept, more is not."""
    text = table([Way("A", "B", (100, 105), 2.0), Way("C", "D", (100, 106), 2.0)], 1_000_000).splitlines()
    assert "| 1.05x | ok | 5,000,000 |" in text[2]
    assert "| 1.06x | **missed** | 5,000,000 |" in text[3]
    assert all(len(name.split()) == 2 for name in WAYS)


@pytest.mark.parametrize("name", LOADED)
def test_a_load_is_measured_and_its_rows_are_counted(name: str, tmp_path: Path) -> None:
    """Rows with a text each, from a file, into a table that is dropped again."""
    write_file(SHAPES[0], name, tmp_path)
    load = load_of(SHAPES[0], name, "sqlite", tmp_path)
    assert load.said == ""
    assert load.peak_bytes > 10 << 20


def test_what_was_refused_is_shown_with_its_words() -> None:
    """And with the memory that it took until then."""
    loads = [Load(SHAPES[0], "parquet", "sqlite", 10**8), Load(SHAPES[0], "parquet", "duckdb", 4 * 10**8, "no room")]
    lines = loads_table(loads).splitlines()
    assert lines[2] == "| 4 of 1.0 KiB | 100 MB | refused, 400 MB |"
    assert lines[-1] == "- 4 of 1.0 KiB, DuckDB: `no room`"
