"""The figures as a table in Markdown."""

from __future__ import annotations

from typing import Any

__all__ = ["table_of"]

_HEAD = "| From | To | Who | Rows | Rows/s | Ratio | Peak memory | CPU |\n| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"


def table_of(results: list[dict[str, Any]]) -> str:
    """Return one line for each mover and job; the ratio is to psql where it took part, else to Penstock."""
    return "\n".join([_HEAD, *(_line(result, _reference(result, results)) for result in results)])


def _reference(result: dict[str, Any], results: list[dict[str, Any]]) -> float | None:
    """Return the rows/s that ``result`` is compared with: psql's CSV of the same table, else Penstock's at the same job."""
    same = [each for each in results if each["rows"] == result["rows"] and each["source"] == result["source"]]
    chosen = [each for each in same if each["mover"] == "psql COPY"] or [
        each
        for each in same
        if each["mover"] == "penstock" and (each["format"], each["sink"]) == (result["format"], result["sink"])
    ]
    return chosen[0].get("rows_per_second") if chosen else None


def _line(result: dict[str, Any], reference: float | None) -> str:
    where = f"| {result['facts']} | {result['format']}, {result['sink']} | {result['mover']} | {result['rows']:,} "
    if result["failed"]:
        return where + f"| failed: {' '.join(result['failed'].split())[-120:]} | | | |"
    rate = result["rows_per_second"]
    ratio = "" if reference is None else f"{rate / reference:.2f}x"
    return where + f"| {rate:,.0f} | {ratio} | {result['peak_bytes'] / 1e6:.0f} MB | {result['cpu_seconds']:.1f} s |"
