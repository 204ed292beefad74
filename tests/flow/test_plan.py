"""What a copy is going to do, decided without touching anything."""

from __future__ import annotations

import pytest

from penstock.errors import ConfigurationError
from penstock.flow.memory import split_memory
from penstock.flow.plan import Plan, make_plan
from penstock.formats import format_by_name
from tests.engines.parts import BytesSource, MemorySink

MEMORY = split_memory(128 * 1024**2)


def plan(byte_format: str, target: str, compression: str | None = None, **limits: float | None) -> Plan:
    source = BytesSource([], format_name=byte_format)
    target_format = format_by_name(target)
    return make_plan(
        source, MemorySink(), target_format=target_format, compression=compression, memory=MEMORY, **limits
    )


def test_bytes_pass_untouched_where_source_and_sink_agree() -> None:
    """A source that has CSV bytes needs no encoder for a CSV destination."""
    assert plan("csv", "csv").passes_through
    assert plan("csv", "csv").stages == ("source", "sink")


def test_other_formats_go_through_arrow() -> None:
    """A source that has CSV bytes is decoded and encoded for an NDJSON destination."""
    assert not plan("csv", "ndjson").passes_through
    assert plan("csv", "ndjson", "gzip").stages == ("source", "encoder", "compressor", "sink")


def test_a_plan_shows_itself_in_one_look() -> None:
    """Source, destination, path, memory and time, a line each."""
    shown = str(plan("csv", "ndjson", "zstd", timeout=60, stall_timeout=5)).splitlines()
    assert shown == [
        "from:   chunks in memory",
        "to:     memory",
        "path:   source (Arrow batches) -> encoder (ndjson) -> compressor (zstd) -> sink",
        f"memory: {MEMORY}",
        "time:   at most 1 min 00 s, fails after 5.0 s without a byte",
    ]


@pytest.mark.parametrize("limits", [{"timeout": 0}, {"timeout": -1}, {"stall_timeout": 0.0}])
def test_a_limit_that_has_passed_already_is_refused(limits: dict[str, float]) -> None:
    """No limit is None; zero is a mistake."""
    with pytest.raises(ConfigurationError, match=next(iter(limits))):
        plan("csv", "csv", **limits)
