"""What a source says about itself before it is read, for ``penstock plan``: columns, types, consistency. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ColumnType", "Description"]


@dataclass(frozen=True)
class ColumnType:
    """A column, and what becomes of its type.

    Attributes:
        name: of the column.
        source_type: as the source calls it: ``"numeric(12,2)"``.
        arrow_type: as Arrow calls it: ``"decimal128(12, 2)"``; ``""`` where bytes pass through unparsed.
        note: what a reader of the copy should know: ``"base64 in CSV"``.
        data_type: Arrow's type itself; None where bytes pass through, or only the values can tell.
    """

    name: str
    source_type: str
    arrow_type: str
    note: str = ""
    data_type: pa.DataType | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Description:
    """What reading a source would do.

    Attributes:
        reading: how it is read, one line: ``"COPY ... TO STDOUT (FORMAT csv), bytes passed through"``.
        why: why this way: ``"the destination is CSV, which the server writes itself"``.
        consistency: what the rows have in common: ``"one read-only transaction: a snapshot"``.
        columns: every column, in order; empty where that is known only once data has been read.
        estimated_rows: how many rows there may be; None where nobody knows.
        estimated_bytes: how many bytes there may be as stored at the source; None where nobody knows.
    """

    reading: str
    why: str = ""
    consistency: str = ""
    columns: tuple[ColumnType, ...] = ()
    estimated_rows: int | None = None
    estimated_bytes: int | None = None
