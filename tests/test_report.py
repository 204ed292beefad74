"""A report: one line for people, plain values for programs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock.engines.outcome import Outcome
from penstock.engines.resident import peak_resident_bytes, resident_bytes
from penstock.engines.stages import StageStatus
from penstock.flow.contracts import Receipt
from penstock.flow.memory import split_memory
from penstock.flow.plan import make_plan
from penstock.formats import format_by_name
from penstock.report import Report
from tests.engines.parts import BytesSource, MemorySink

OUTCOME = Outcome(
    receipt=Receipt("/data/orders.csv", 3 * 1024**2, {"parts": 2}),
    rows=1_000_000,
    bytes_before_compression=6 * 1024**2,
    seconds=2.5,
    peak_resident_bytes=50 * 1024**2,
    connections_opened=3,
    stages=(StageStatus("source", 2.5, 0, 0.1, False, None), StageStatus("sink", 2.5, 2.0, 0, False, None)),
)


def report(outcome: Outcome) -> Report:
    memory = split_memory(128 * 1024**2)
    source, sink, csv = BytesSource([]), MemorySink(), format_by_name("csv")
    return Report.of(make_plan(source, sink, target_format=csv, compression="gzip", memory=memory), outcome)


def test_a_report_is_one_line_for_people() -> None:
    """Rows, size, time, rate, memory, who waited, where it is."""
    assert str(report(OUTCOME)) == (
        "1,000,000 rows, 3.0 MiB, in 2.5 s (400,000 rows/s), peak memory 50.0 MiB, "
        "the sink waited on the source 80 % of the time, nothing left behind -> /data/orders.csv"
    )


def test_what_is_not_known_is_not_said() -> None:
    """Bytes that passed through uncounted have a rate in bytes; standard output is no place."""
    silent = replace(OUTCOME, rows=None, peak_resident_bytes=None, stages=(), receipt=Receipt("", 1024))
    assert str(report(silent)) == "1.0 KiB, in 2.5 s (2.4 MiB/s), nothing left behind"


def test_what_was_left_behind_is_shouted() -> None:
    """A leak is never hidden in a line of good news."""
    assert "LEFT BEHIND: a thread" in str(report(replace(OUTCOME, leaks=("a thread",))))


def test_a_skipped_copy_says_so() -> None:
    """Nothing was read or written."""
    skipped = report(Outcome(receipt=None))
    assert skipped.skipped
    assert str(skipped) == "skipped: memory exists already"


@pytest.mark.parametrize("outcome", [OUTCOME, Outcome(receipt=None)])
def test_a_report_is_plain_values_for_programs(outcome: Outcome) -> None:
    """to_dict() goes through JSON and comes back the same."""
    plain = report(outcome).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain.keys() == set(Report.__dataclass_fields__)


def test_memory_is_what_the_system_says() -> None:
    """This process holds something, and never held less at its peak; a grown buffer shows in both."""
    now, peak = resident_bytes(), peak_resident_bytes()
    if now is None or peak is None:
        pytest.skip("this system has no /proc/self/status")
    held = b"x" * (peak - now + 64 * 1024**2)
    grown = peak_resident_bytes()
    assert grown is not None
    assert grown >= peak + 32 * 1024**2
    assert len(held) > 0
