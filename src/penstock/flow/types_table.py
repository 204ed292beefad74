"""One row of a type contract: what a database's type becomes. ``docs/types.md`` is written from these."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TypeRow"]


@dataclass(frozen=True)
class TypeRow:
    """What becomes of one type of a database when it is read.

    Attributes:
        source: as the database calls it: ``"numeric(p, s), p <= 38"``.
        arrow: as Arrow calls it, and so Parquet and Arrow files: ``"decimal128(p, s)"``.
        csv: its form in CSV: ``"all digits"``.
        json: its form in JSON and NDJSON: ``"number, all digits"``.
        note: what cannot be represented, and what ``on_type_loss`` does about it.
    """

    source: str
    arrow: str
    csv: str
    json: str
    note: str = ""
