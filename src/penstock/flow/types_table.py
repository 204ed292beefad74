"""A row of a connector's table of types: what a database type becomes. ``docs/types.md`` is generated from these."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TypeRow"]


@dataclass(frozen=True)
class TypeRow:
    """What one type of a database becomes when it is read.

    Attributes:
        source: the database's name for it, such as ``"numeric(p, s), p <= 38"``.
        arrow: the Arrow type, also in Parquet and Arrow files, such as ``"decimal128(p, s)"``.
        csv: its form in CSV, such as ``"all digits"``.
        json: its form in JSON and NDJSON, such as ``"number, all digits"``.
        note: which values cannot be represented, and what ``on_type_loss`` does about them.
    """

    source: str
    arrow: str
    csv: str
    json: str
    note: str = ""
