"""Check that the columns of a stream are those expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_schema"]


def check_schema(found: pa.Schema, expected: pa.Schema | None) -> None:
    """Refuse columns that are not those expected: other names, another order or another type.

    Raises:
        SourceError: names the first one that differs.
    """
    if expected is None or found.equals(expected):
        return
    if found.names != expected.names:
        raise SourceError(f"the columns are {found.names}, not {expected.names} as expected")
    for ours, theirs in zip(found, expected, strict=True):
        if ours.type != theirs.type:
            raise SourceError(f"column {ours.name!r} is {ours.type}, not {theirs.type} as expected")
