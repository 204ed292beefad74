"""Find values that the Arrow type of their column cannot hold, but which DuckDB has written nevertheless.

An infinite date comes as day 2,147,483,647, a HUGEINT of 39 digits as a decimal of 38. They are searched for in the Arrow
data, a column at a time, also inside lists, structs and maps: one pass over fixed-width values.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.errors import SourceError
from penstock.flow.losses import Losses, OnTypeLoss

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ValueCheck"]

# pyarrow has no types of its own, and its stubs lack much.
ArrowType = Any
Column = Any

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01, 9999-12-31
_DAY_SECONDS = 86_400
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LARGEST = 2**63 - 1
_ALL_DIGITS = 38
_MOST = Decimal(10**_ALL_DIGITS - 1)


@final
class ValueCheck:
    """Looks through the batches of one stream.

    Args:
        schema: what they are.
        where: for messages.
        on_type_loss: ``"warn"``: such a value becomes NULL, with the whole list, struct or map it is in.
        losses: told about those.
    """

    def __init__(self, schema: pa.Schema, *, where: str, on_type_loss: OnTypeLoss, losses: Losses) -> None:
        self._columns = [index for index, field in enumerate(schema) if _may_not_fit(field.type)]
        self._schema = schema
        self._where = where
        self._on_type_loss = on_type_loss
        self._losses = losses
        self._rows = 0

    def checked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with every value one that its type has.

        Raises:
            SourceError: there is another, and it may not become NULL.
        """
        columns = list(batch.columns)
        changed = False
        for index in self._columns:
            if _is_bad(columns[index]):
                columns[index] = self._without(index, columns[index])
                changed = True
        self._rows += batch.num_rows
        return _pyarrow().RecordBatch.from_arrays(columns, schema=self._schema) if changed else batch

    def _without(self, index: int, column: Column) -> Column:
        bad = [row for row in range(len(column)) if _is_bad(column.slice(row, 1))]
        field = self._schema.field(index)
        reason = _reason(field.type)
        if self._on_type_loss != "warn":
            raise SourceError(
                f"column {field.name!r} is read as {field.type}, but row {self._rows + bad[0] + 1} holds {reason}",
                where=self._where,
                hint=f"read it as text: on_type_loss text, or CAST({field.name} AS VARCHAR) in a query",
            )
        self._losses.add(field.name, f"{reason} does not fit {field.type}", len(bad))
        lost = set(bad)
        kept = [None if row in lost else row for row in range(len(column))]
        return column.take(_pyarrow().array(kept, _pyarrow().int64()))


def _may_not_fit(kind: ArrowType) -> bool:
    if _is_nested(kind):
        return any(_may_not_fit(kind.field(index).type) for index in range(kind.num_fields))
    return _limits(kind) is not None


def _is_nested(kind: ArrowType) -> bool:
    return bool(_pyarrow().types.is_nested(kind))


def _is_bad(column: Column) -> bool:
    types = _pyarrow().types
    if types.is_struct(column.type):
        return any(_may_not_fit(part.type) and _is_bad(part) for part in column.flatten())
    if types.is_map(column.type):
        return any(_may_not_fit(part.type) and _is_bad(part) for part in _keys_and_items(column))
    if _is_nested(column.type):
        return _is_bad(column.flatten())
    limits = _limits(column.type)
    if limits is None or column.null_count == len(column):
        return False
    least, most = limits
    found = _compute().min_max(_as_numbers(column)).as_py()
    return bool(found["min"] < least or found["max"] > most)


def _keys_and_items(column: Column) -> tuple[Column, Column]:
    """A map's own ``keys`` and ``items`` are those of all rows, also where it is a slice of them."""
    first, last = column.offsets[0].as_py(), column.offsets[-1].as_py()
    return column.keys.slice(first, last - first), column.items.slice(first, last - first)


def _as_numbers(column: Column) -> Column:
    if _pyarrow().types.is_decimal(column.type):
        return column
    return column.view("int32" if column.type.bit_width == 32 else "int64")


def _limits(kind: ArrowType) -> tuple[Any, Any] | None:
    """Return the least and the largest value, as the number that stores it; None where every value is one."""
    types = _pyarrow().types
    if types.is_date32(kind):
        return _FIRST_DAY, _LAST_DAY
    if types.is_timestamp(kind):
        ticks = _DAY_SECONDS * _TICKS[kind.unit]
        # Of nanoseconds there are not enough for all those years; infinity is the last one and its opposite.
        return max(_FIRST_DAY * ticks, 1 - _LARGEST), min((_LAST_DAY + 1) * ticks - 1, _LARGEST - 1)
    if types.is_time(kind):
        return 0, _DAY_SECONDS * _TICKS[kind.unit] - 1
    if types.is_decimal(kind) and kind.precision == _ALL_DIGITS and kind.scale == 0:
        return -_MOST, _MOST
    return None


def _reason(kind: ArrowType) -> str:
    types = _pyarrow().types
    if types.is_time(kind):
        return "24:00:00"
    if types.is_decimal(kind):
        return "a number of 39 digits"
    if _is_nested(kind):
        return "a date, time or number beyond it"
    return "infinity, or a year outside 1 to 9999"


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="check columns")
