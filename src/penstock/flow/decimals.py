"""Decimals that Arrow can hold and not write: with more digits behind the point than its type has digits at all.

Of those Arrow makes the text ``<scale out of range, cannot format Decimal128 value>``, without an error, and that would be what
arrives. Nobody means them: the next larger type holds the same number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock._extras import need

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["unwritable_decimal"]

_MOST_SCALE = {32: 9, 64: 18, 128: 38, 256: 76}  # by the bits of the type


def unwritable_decimal(schema: pa.Schema) -> str | None:
    """Return what is wrong with the first column of which Arrow could not write the numbers; None when there is none."""
    for field in schema:
        for kind in _decimals(field.type):
            if abs(kind.scale) > (most := _MOST_SCALE[kind.bit_width]):
                return f"column {field.name!r} has {kind}, and Arrow writes no scale beyond {most}"
    return None


def _decimals(kind: Any) -> Iterator[Any]:
    types = need("pyarrow", extra="arrow", why="hold tables").types
    if types.is_decimal(kind):
        yield kind
    elif types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        yield from _decimals(kind.value_type)
    else:
        for index in range(kind.num_fields):
            yield from _decimals(kind.field(index).type)
