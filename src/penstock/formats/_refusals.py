"""Refuse columns whose type text cannot hold, before the first row is written.

What the writers make of these is silent: bytes inside a list come out in another form than bytes outside, and two
fields of one name are two keys of which every reader drops one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError
from penstock.formats._arrow import ArrowType, Column, pyarrow, pyarrow_compute
from penstock.formats._nested import type_parts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["is_bytes", "is_string", "refuse_types"]


def refuse_types(schema: pa.Schema, written: Callable[[Column], object]) -> None:
    """Refuse every column that cannot be written as text.

    Args:
        schema: of the columns, taken out of dictionaries, extensions and run lengths.
        written: writes a column; asked whether it knows a time zone.

    Raises:
        ConfigurationError: names the column, and what about it.
    """
    for field in schema:
        for part in type_parts(field.type):
            if reason := _reason(part, field.type) or _unknown_zone(part, written):
                raise ConfigurationError(f"column {field.name!r} {reason}")


def is_bytes(kind: ArrowType) -> bool:
    """Whether values of this type are bytes, of whatever layout."""
    types = pyarrow().types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def is_string(kind: ArrowType) -> bool:
    """Whether values of this type are text, of whatever layout."""
    types = pyarrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _reason(part: ArrowType, column: ArrowType) -> str:
    types = pyarrow().types
    if types.is_union(part) or types.is_run_end_encoded(part):
        return f"is {column}, which has no form in text; convert it before"
    if types.is_nested(column) and is_bytes(part):
        return f"holds bytes inside {column}; encode them as text before"
    if types.is_map(part) and not is_string(part.key_type):
        return f"has keys of {part.key_type} in {column}, and in JSON keys are text; convert them before"
    if types.is_struct(part):
        names = [part.field(index).name for index in range(part.num_fields)]
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            return f"has two fields called {repeated[0]!r} in {column}, which a JSON object can not hold; rename one"
    return ""


def _unknown_zone(part: ArrowType, written: Callable[[Column], object]) -> str:
    arrow = pyarrow()
    if not arrow.types.is_timestamp(part) or not part.tz:
        return ""
    moment = arrow.array([0], arrow.int64()).cast(part)
    try:
        pyarrow_compute().local_timestamp(moment)
        written(moment)
    except Exception as exc:  # noqa: BLE001 - what arro3 raises has no class of its own
        return f"is in the time zone {part.tz!r}, which is not known here ({exc}); convert it to UTC before"
    return ""
