"""Estimate how many bytes a copy will store, from what its source says before it is read. Pure."""

from __future__ import annotations

from penstock.flow.description import ColumnType, Description

__all__ = ["estimated_stored_bytes"]

_UNKNOWN_WIDTH_BYTES = 32  # what PostgreSQL's planner takes for text it knows nothing of, too


def estimated_stored_bytes(description: Description) -> int | None:
    """Return about how many bytes will be written, before compression; None if unknown.

    As many as at the source, where that tells; else its rows, with numbers and dates as wide as in Arrow, and values of
    no fixed width 32 bytes each. Formats make of it less or more: it tells 10 MB from 10 GB, not 10 MB from 20.
    """
    if description.estimated_bytes is not None:
        return description.estimated_bytes
    if description.estimated_rows is None or not description.columns:
        return None
    return description.estimated_rows * sum(map(_width, description.columns))


def _width(column: ColumnType) -> int:
    if column.data_type is None:
        return _UNKNOWN_WIDTH_BYTES
    try:
        bits: int = column.data_type.bit_width
    except ValueError:  # its width is not fixed
        return _UNKNOWN_WIDTH_BYTES
    return max(1, bits // 8)
