"""The figures as tables in Markdown, and beside the bars."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["FORMATS", "MEMORY_BAR", "bars", "memory_table", "tables"]

Json = dict[str, Any]

MEMORY_BAR = 1.05
ROWS_BAR = 10.0
ROW_PATHS = ("sling", "dlt, row by row")
# Of psql's rows/s, and megabytes, for each format.
SPEED_BARS = {"csv": (0.9, 100), "ndjson": (0.45, 256), "parquet": (0.55, 256)}
SINKS = {"file": "a file", "s3": "an object"}
_SHOWN_CHARACTERS = 140
FORMATS = {"csv": "CSV", "ndjson": "NDJSON", "parquet": "Parquet"}

_HEAD = "| To | Who | Rows | Rows/s | Ratio | Peak memory | CPU, s per M rows |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |"
_MEMORY_HEAD = (
    "| From | To | Who | Peak, {small} M rows | Peak, {large} M rows | Ratio | | Rows/s, {large} M rows |\n"
    "| --- | --- | --- | ---: | ---: | ---: | --- | ---: |"
)
_BARS_HEAD = "| Bar | Measured | Wanted | |\n| --- | ---: | --- | --- |"


def tables(results: list[Json], absent: Iterable[Json] = ()) -> str:
    """Return a table for each source and sink, and below them who did not run, and why."""
    pieces = []
    for facts, sink in dict.fromkeys((result["facts"], result["sink"]) for result in results):
        some = [result for result in results if (result["facts"], result["sink"]) == (facts, sink)]
        reference = _reference(some)
        compared = f", compared with {reference['mover']}" if reference else ""
        lines = [_line(result, reference) for result in some]
        pieces.append("\n".join([f"From {facts} to {SINKS[sink]}{compared}:", "", _HEAD, *lines]))
    missing = [f"- {each['mover']}, {each['why']}." for each in absent]
    return "\n\n".join([*pieces, *(["Not run:", "\n".join(missing)] if missing else [])])


def _reference(results: list[Json]) -> Json | None:
    """Return what the others are compared with: what the database's own tool does with the format that comes first, CSV."""
    return next((each for each in results if each["reference"] and not each["failed"]), None)


def _line(result: Json, reference: Json | None) -> str:
    where = f"| {FORMATS[result['format']]} | {result['mover']} | {result['rows']:,} "
    if result["failed"]:
        return where + f"| failed: {_cell(result['failed'])} | | | |"
    rate = result["rows_per_second"]
    ratio = "" if reference is None else f"{rate / reference['rows_per_second']:.2f}x"
    cpu = result["cpu_seconds"] * 1e6 / result["rows"]
    return where + f"| {rate:,.0f} | {ratio} | {result['peak_bytes'] / 1e6:.0f} MB | {cpu:.1f} |"


def _cell(text: str) -> str:
    """Return what a message says, as it can stand in a cell of a table: of a traceback of Python the last line, without markup."""
    raised = re.findall(r"^\w[\w.]*(?:Error|Exception|Panic)\w*: .*", text, re.MULTILINE)
    told = re.sub(r"<[^>]*>", " ", raised[-1] if raised else text[-_SHOWN_CHARACTERS:])
    return " ".join(told.split())[:_SHOWN_CHARACTERS].replace("|", "/").replace("`", "'")


def memory_table(results: list[Json]) -> str:
    """Return peak memory at the smaller and at the larger number of rows, beside the bar."""
    sizes = sorted({result["rows"] for result in results})
    if len(sizes) < 2:
        return "Only one size was measured."
    pairs = list(_pairs(results))
    head = _MEMORY_HEAD.format(small=_millions(sizes[0]), large=_millions(sizes[-1]))
    return "\n".join([head, *(_memory_line(small, large) for small, large in pairs)])


def _pairs(results: list[Json]) -> Iterable[tuple[Json, Json]]:
    """Give what was measured at the least rows, and at the most, for each way of both."""
    ways: dict[tuple[str, ...], list[Json]] = {}
    for result in results:
        ways.setdefault((result["facts"], result["sink"], result["format"], result["mover"]), []).append(result)
    for both in ways.values():
        both.sort(key=lambda result: result["rows"])
        if len(both) > 1:
            yield both[0], both[-1]


def _memory_line(small: Json, large: Json) -> str:
    where = f"| {small['facts']} | {FORMATS[small['format']]} | {small['mover']} "
    if failed := small["failed"] or large["failed"]:
        return where + f"| failed: {_cell(failed)} | | | | |"
    ratio = large["peak_bytes"] / small["peak_bytes"]
    verdict = _verdict(ratio <= MEMORY_BAR) if small["mover"] == "penstock" else ""
    peaks = " | ".join(f"{each['peak_bytes'] / 1e6:.0f} MB" for each in (small, large))
    return where + f"| {peaks} | {ratio:.2f}x | {verdict} | {large['rows_per_second']:,.0f} |"


def bars(results: list[Json], memory: list[Json]) -> str:
    """Return what Penstock promises of PostgreSQL to a file, and of memory, beside what was measured."""
    of_file = [each for each in results if (each["source"], each["sink"]) == ("postgres", "file")]
    measured = {(each["mover"], each["format"]): each for each in of_file if not each["failed"]}
    lines = []
    for kind, (share, megabytes) in SPEED_BARS.items():
        lines += _speed_bars(measured, kind, share, megabytes)
    ratios = [
        large["peak_bytes"] / small["peak_bytes"]
        for small, large in _pairs([each for each in memory if each["mover"] == "penstock"])
        if not small["failed"] and not large["failed"]
    ]
    if ratios:
        kept = sum(ratio <= MEMORY_BAR for ratio in ratios)
        name = f"memory at ten times the rows, the most of {len(ratios)} ways ({kept} keep it)"
        lines.append(_bar(name, f"{max(ratios):.2f}x", f"<= {MEMORY_BAR}x", ok=kept == len(ratios)))
    return "\n".join([_BARS_HEAD, *lines])


def _speed_bars(measured: dict[tuple[str, str], Json], kind: str, share: float, megabytes: int) -> Iterable[str]:
    ours = measured.get(("penstock", kind))
    if ours is None:
        return
    rate, peak = ours["rows_per_second"], ours["peak_bytes"] / 1e6
    if psql := measured.get(("psql COPY", "csv")):
        ratio = rate / psql["rows_per_second"]
        yield _bar(f"{FORMATS[kind]}, rows/s / psql's CSV", f"{ratio:.2f}x", f">= {share}x", ok=ratio >= share)
    yield _bar(f"{FORMATS[kind]}, peak memory", f"{peak:.0f} MB", f"<= {megabytes} MB", ok=peak <= megabytes)
    for name in ROW_PATHS:
        if theirs := measured.get((name, kind)):
            ratio = rate / theirs["rows_per_second"]
            yield _bar(f"{FORMATS[kind]}, rows/s / {name}", f"{ratio:.1f}x", f">= {ROWS_BAR:g}x", ok=ratio >= ROWS_BAR)


def _bar(name: str, measured: str, wanted: str, *, ok: bool) -> str:
    return f"| {name} | {measured} | {wanted} | {_verdict(ok)} |"


def _verdict(ok: bool) -> str:
    return "ok" if ok else "**missed**"


def _millions(rows: int) -> str:
    return f"{rows / 1e6:g}"
