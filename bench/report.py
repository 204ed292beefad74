"""Results as a table for people, as JSON for programs, and as Markdown between markers in docs/performance.md.

All three are made of the same plain dictionaries (:func:`to_dict`), so that a saved run prints exactly as a fresh one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bench import machine
from bench.measure import Measured, Outcome, Verdict

Json = dict[str, Any]


def to_dict(measured: Measured) -> Json:
    """One row, with every sample that was taken."""
    row = measured.row
    return {
        "name": row.name,
        "title": row.title,
        "unit": row.unit.label,
        "higher_is_better": row.unit.higher_is_better,
        "count": measured.count,
        "contenders": [_contender(outcome) for outcome in measured.outcomes.values()],
        "bars": [_bar(verdict) for verdict in measured.verdicts],
    }


def _contender(outcome: Outcome) -> Json:
    entry: Json = {"name": outcome.contender.name, "median": outcome.median, "figures": outcome.figures}
    if outcome.unavailable:
        entry["missing"] = outcome.unavailable
    if outcome.error:
        entry["error"] = outcome.error
        entry["traceback"] = outcome.traceback
    return entry


def _bar(verdict: Verdict) -> Json:
    bar = verdict.bar
    return {
        "what": str(bar),
        "subject": bar.subject,
        "against": bar.against,
        "sense": bar.sense,
        "limit": bar.limit,
        "median": verdict.median,
        "values": list(verdict.values),
        "verdict": verdict.word,
    }


def table(row: Json) -> str:
    """One row as an aligned block: contenders first, then the bars between them."""
    unit = row["unit"]
    contenders = [f"  {entry['name']:<44} {_figures(entry, unit)}" for entry in row["contenders"]]
    bars = [f"  = {bar['what']:<42} {_measured_bar(bar, unit)}: {bar['verdict']}" for bar in row["bars"]]
    return "\n".join([f"{row['title']}  [{row['name']}]", *contenders, *bars])


def summary(rows: Iterable[Json]) -> str:
    """Every bar of the run in one line each, and the count of those that hold."""
    lines = [
        f"  {bar['verdict']:<13} {row['name']:<20} {bar['what']:<40} {_measured_bar(bar, row['unit'])}"
        for row in rows
        for bar in row["bars"]
    ]
    held = sum(line.startswith("  ok") for line in lines)
    return "\n".join([f"bars: {held} of {len(lines)} hold", *lines])


def _figures(entry: Json, unit: str) -> str:
    if "error" in entry:
        return f"FAILED  {_first_line(entry['error'])}"
    if entry["median"] is None:
        return f"missing: {entry['missing']}"
    low, high = min(entry["figures"]), max(entry["figures"])
    return f"{_number(entry['median']):>9} {unit:<8} ({_number(low)} .. {_number(high)})"


def _measured_bar(bar: Json, unit: str) -> str:
    suffix = "x" if bar["against"] else f" {unit}"
    wanted = f"bar {bar['sense']} {bar['limit']:g}{suffix}"
    if bar["median"] is None:
        return f"{'-':>9} {'':<31} {wanted}"
    spread = f"({_number(min(bar['values']))} .. {_number(max(bar['values']))})"
    return f"{_number(bar['median']):>9}{suffix:<9} {spread:<22} {wanted}"


def markdown(row: Json) -> str:
    """One row as Markdown tables: figures, then bars."""
    lines = [f"| Contender | Median, {row['unit']} | Lowest .. highest |", "| --- | ---: | --- |"]
    lines += [f"| {entry['name']} | {_markdown_figures(entry)} |" for entry in row["contenders"]]
    if row["bars"]:
        lines += ["", "| Bar | Measured | Wanted | |", "| --- | ---: | --- | --- |"]
        lines += [_markdown_bar(bar, row["unit"]) for bar in row["bars"]]
    return "\n".join(lines)


def _markdown_figures(entry: Json) -> str:
    if entry["median"] is None:
        return f"- | {_first_line(entry.get('error') or 'missing: ' + entry['missing'])}"
    return f"{_number(entry['median'])} | {_number(min(entry['figures']))} .. {_number(max(entry['figures']))}"


def _markdown_bar(bar: Json, unit: str) -> str:
    suffix = "x" if bar["against"] else f" {unit}"
    measured = "-" if bar["median"] is None else _number(bar["median"]) + suffix
    return f"| {bar['what']} | {measured} | {bar['sense']} {bar['limit']:g}{suffix} | {bar['verdict']} |"


def fill(page: str, run: Json) -> str:
    """The page with the text between each ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->`` replaced.

    ``bench:run`` holds machine, date and command, ``bench:bars`` all bars, and ``bench:ROW`` one row's tables. Rows
    that are not in this run keep what they have; a row without a place on the page is an error.
    """
    for name, text in _pieces(run):
        page = replace_between(page, name, text)
    return page


def replace_between(page: str, name: str, text: str) -> str:
    """The page with ``text`` between the two markers of ``name``."""
    begin, end = f"<!-- bench:{name} -->\n", f"<!-- /bench:{name} -->"
    before, found_begin, rest = page.partition(begin)
    _old, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"no place for {name!r}: the page needs {begin.strip()} and {end}")
    return f"{before}{begin}\n{text}\n\n{end}{after}"


def _pieces(run: Json) -> Iterator[tuple[str, str]]:
    if run["complete"]:
        yield "run", f"`{run['command']}`, medians of {run['rounds']} rounds. {machine.sentence(run['machine'])}."
        header = ["| Row | Bar | Measured | Wanted | |", "| --- | --- | ---: | --- | --- |"]
        bars = [f"| {row['name']} {_markdown_bar(bar, row['unit'])}" for row in run["rows"] for bar in row["bars"]]
        yield "bars", "\n".join(header + bars)
    for row in run["rows"]:
        yield row["name"], f"{markdown(row)}\n\nMeasured {run['machine']['date'][:10]}."


def _number(value: float) -> str:
    """Three or four digits that matter, whatever the size."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0]
