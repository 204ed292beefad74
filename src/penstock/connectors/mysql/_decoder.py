"""Turn rows of MySQL's binary protocol into Arrow batches, a column at a time. ``_types`` chooses the types."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, final

from penstock.connectors.mysql._arrays import Array, Bools, numpy, pyarrow
from penstock.connectors.mysql._block import Block, as_array
from penstock.connectors.mysql._connection import Column
from penstock.connectors.mysql._temporal import Instants, take_instants, take_times
from penstock.connectors.mysql._types import WireType, arrow_schema, fraction_digits
from penstock.connectors.mysql._wire import RowBlock
from penstock.errors import SourceError
from penstock.flow.losses import Losses, OnTypeLoss

if TYPE_CHECKING:
    import pyarrow as pa


__all__ = ["RowDecoder"]

_SRID_BYTES = 4
_EWKB_HAS_SRID = 0x20
_SHORTEST_WKB = 5  # byte order and type
_DATES = frozenset({WireType.DATE, WireType.NEWDATE})
_INSTANTS = _DATES | {WireType.DATETIME, WireType.TIMESTAMP}

Take = Callable[[Block, "Bools | None"], Array]


@final
class RowDecoder:
    """Makes batches of the rows of one result.

    Args:
        columns: of the result.
        where: for messages.
        on_type_loss: what to do about dates that do not exist.
        losses: told about those that became NULL.
    """

    def __init__(self, columns: tuple[Column, ...], *, where: str, on_type_loss: OnTypeLoss, losses: Losses) -> None:
        self.schema: pa.Schema = arrow_schema(columns, on_type_loss)
        self.rows = 0
        self._where = where
        self._on_type_loss = on_type_loss
        self._losses = losses
        self._takes: list[Take] = [
            self._take(column, field.type) for column, field in zip(columns, self.schema, strict=True)
        ]

    def batch(self, rows: RowBlock) -> pa.RecordBatch:
        """Return the rows as a batch, which holds on to nothing of the block, unless that is one row in its own buffer.

        Raises:
            SourceError: a value does not fit the type of its column; names column and row.
        """
        block = Block(rows, len(self._takes))
        arrays = []
        for index, take in enumerate(self._takes):
            arrays.append(take(block, block.valid(index)))
        batch: pa.RecordBatch = pyarrow().RecordBatch.from_arrays(arrays, schema=self.schema)
        self.rows += block.row_count
        return batch

    def _take(self, column: Column, kind: Any) -> Take:
        """Choose how a column is taken out of a block."""
        types = pyarrow().types
        if column.type == WireType.NULL:
            return lambda block, _valid: pyarrow().nulls(block.row_count, kind)
        if column.type == WireType.BIT:
            return partial(_take_bits, kind=kind)
        if column.type == WireType.GEOMETRY:
            return _take_geometries
        if column.type == WireType.TIME:
            return lambda block, valid: take_times(block, valid, fraction_digits(column))
        if column.type in _INSTANTS:
            return partial(self._take_instants, column=column, kind=kind)
        if types.is_integer(kind) or types.is_floating(kind):
            return partial(_take_numbers, kind=kind)
        return partial(self._take_strings, column=column, kind=kind)

    def _take_strings(self, block: Block, valid: Bools | None, *, column: Column, kind: Any) -> Array:
        found = block.strings(*block.take_strings(valid), valid)
        if found.type == kind:
            return found
        arrow = pyarrow()
        try:
            text = found.cast(arrow.string())
        except arrow.ArrowInvalid as exc:
            raise self._not_text(found, column) from exc
        try:
            return text if text.type == kind else text.cast(kind)
        except arrow.ArrowInvalid as exc:
            raise SourceError(f"column {column.name!r} can not be read as {kind}: {exc}", where=self._where) from exc

    def _take_instants(self, block: Block, valid: Bools | None, *, column: Column, kind: Any) -> Array:
        arrow = pyarrow()
        is_date = column.type in _DATES
        found = take_instants(block, valid, with_time=not is_date)
        if kind == arrow.string():
            return found.texts(valid, None if is_date else fraction_digits(column))
        missing = found.missing()
        if valid is not None:
            missing &= valid
        if missing.any():
            self._lose(found, missing, column, kind)
            valid = ~missing if valid is None else valid & ~missing
        np = numpy()
        values = found.days().astype(np.int32) if is_date else found.microseconds()
        return as_array(values, valid, kind)

    def _lose(self, found: Instants, missing: Bools, column: Column, kind: Any) -> None:
        if self._on_type_loss == "warn":
            self._losses.add(column.name, f"a date that does not exist does not fit {kind}", int(missing.sum()))
            return
        row = int(missing.argmax())
        text = found.texts(None, None if column.type in _DATES else fraction_digits(column))[row].as_py()
        raise SourceError(
            f"column {column.name!r} is read as {kind}, but row {self.rows + row + 1} holds {text!r}, which no calendar has",
            where=self._where,
            hint="on_type_loss may be warn, and it becomes NULL, or text, and such columns are text",
        )

    def _not_text(self, found: Array, column: Column) -> SourceError:
        row = next(index for index, value in enumerate(found) if not _is_utf8(value.as_py()))
        return SourceError(
            f"column {column.name!r} is text, but row {self.rows + row + 1} holds bytes that are not UTF-8",
            where=self._where,
            hint=f"read it with a query that takes the bytes as they are: CAST(`{column.name}` AS BINARY)",
        )


def _is_utf8(value: bytes | None) -> bool:
    try:
        _ = (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _take_numbers(block: Block, valid: Bools | None, *, kind: Any) -> Array:
    dtype = numpy().dtype(kind.to_pandas_dtype()).newbyteorder("<").str
    values = block.at(block.cursor, dtype)
    block.advance(kind.bit_width // 8, valid)
    return as_array(values, valid, kind)


def _take_bits(block: Block, valid: Bools | None, *, kind: Any) -> Array:
    """Bits come as bytes, the highest first."""
    np, arrow = numpy(), pyarrow()
    begin, length = block.take_strings(valid)
    values = np.zeros(block.row_count, np.uint64)
    for place in range(int(length.max(initial=0))):
        has_place = place < length
        byte = block.data[np.where(has_place, begin + length - 1 - place, begin)].astype(np.uint64)
        values |= np.where(has_place, byte << np.uint64(8 * place), np.uint64(0))
    array = as_array(values, valid, arrow.uint64())
    return array if kind == arrow.uint64() else array.cast(arrow.bool_())


def _take_geometries(block: Block, valid: Bools | None) -> Array:
    """An SRID and WKB; without an SRID to WKB alone, with one to EWKB, which is as long: it has it in another place."""
    np = numpy()
    begin, length = block.take_strings(valid)
    is_whole = length >= _SRID_BYTES + _SHORTEST_WKB
    has_srid = is_whole & (block.at(begin, "<u4") != 0)
    if has_srid.any():
        place = begin[has_srid, None]
        # From SRID (4), byte order (1), type (4) to byte order, type, SRID; the flag is in the type's highest byte.
        block.data[place + np.arange(9)] = block.data[place + np.array([4, 5, 6, 7, 8, 0, 1, 2, 3])]
        block.data[place + 4] |= _EWKB_HAS_SRID
    skipped = _SRID_BYTES * (is_whole & ~has_srid)
    return block.strings(begin + skipped, length - skipped, valid)
