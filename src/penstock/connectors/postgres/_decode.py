"""From the server's CSV to Arrow batches: whole columns at a time, and no Python object for a value.

The general CSV format expects anything of a stream. Here the rows come from a COPY, so it is known where each ends, and
that quotes are where they should be; which saves two passes over the bytes. Values that do not fit their column are
found only when Arrow refuses a block, so that those who have none do not pay for it.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.connectors._batches import without_columns
from penstock.connectors._wide_values import column_of
from penstock.connectors.postgres._types import unfit_values
from penstock.connectors.postgres._wide_rows import taken_apart
from penstock.errors import SourceError
from penstock.flow.losses import Losses, OnTypeLoss

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BLOCK_PREFIX", "BatchDecoder", "row_bytes"]

BLOCK_PREFIX = b"\n"
"""What each block begins with: an empty line to skip. Arrow takes U+FEFF at the very beginning for a mark, not for data."""

Block = bytes | bytearray | memoryview

_CHOOSE = "choose warn or text for on_type_loss, or make it text in the query: column::text"
_LENGTH_BYTES = 4  # of what Arrow adds to each text
_SHOWN_CHARACTERS = 40


def row_bytes(schema: pa.Schema) -> int:
    """Return the bytes a row takes in Arrow at least: what numbers, dates and lengths of texts take."""
    return sum(_fixed_bytes(field.type) for field in schema) or 1


@final
class BatchDecoder:
    """Decodes the blocks of one COPY.

    Args:
        schema: what the columns are to become. Bytes are hexadecimal in the CSV.
        on_type_loss: ``"error"`` or ``"warn"``; with ``"text"`` the schema has no type that values may not fit.
        losses: told about values that became NULL.
    """

    def __init__(self, schema: pa.Schema, on_type_loss: OnTypeLoss, losses: Losses) -> None:
        self.schema = schema
        self._warns = on_type_loss == "warn"
        self._losses = losses
        self._parsed_types = [_pyarrow().string() if _is_bytes(field.type) else field.type for field in schema]
        self._may_be_wide = frozenset(
            index for index, kind in enumerate(self._parsed_types) if _pyarrow().types.is_string(kind)
        )
        self._unfit = {
            index: pattern for index, field in enumerate(schema) if (pattern := unfit_values(field.type)) is not None
        }

    @property
    def skips_empty_lines(self) -> bool:
        """Whether empty lines between the rows make no difference. Where there is but one column, they are NULL."""
        return len(self._parsed_types) > 1

    def batch(self, block: Block, rows: int, rows_before: int) -> pa.RecordBatch:
        """Return a batch of the ``rows`` in ``block``, before which there is an empty line, as :data:`BLOCK_PREFIX`.

        Raises:
            SourceError: a value does not fit its column; names row and column.
        """
        arrow = _pyarrow()
        if not self._parsed_types:
            return without_columns(rows)
        try:
            columns = _parsed(block, self._parsed_types)
        except arrow.ArrowInvalid as exc:
            columns = self._repaired(block, rows_before, exc)
        batch: pa.RecordBatch = arrow.RecordBatch.from_arrays(
            [
                _from_hex(column) if _is_bytes(field.type) else column
                for column, field in zip(columns, self.schema, strict=True)
            ],
            schema=self.schema,
        )
        return batch

    def wide_row(self, row: bytes | bytearray, rows_before: int) -> pa.RecordBatch:
        """Return a batch of one row, whose long values stay where they are.

        Raises:
            SourceError: a value does not fit its column; names row and column.
        """
        arrow = _pyarrow()
        narrow, wide = taken_apart(row, self._may_be_wide)
        columns = self.batch(BLOCK_PREFIX + narrow, 1, rows_before).columns
        for index, value in wide.items():
            field = self.schema.field(index)
            try:
                columns[index] = column_of(_unhexed(value) if _is_bytes(field.type) else value, field.type)
            except arrow.ArrowInvalid as exc:
                raise SourceError(f"row {rows_before + 1}: column {field.name!r}: {exc}") from exc
        batch: pa.RecordBatch = arrow.RecordBatch.from_arrays(columns, schema=self.schema)
        return batch

    def _repaired(self, block: Block, rows_before: int, refusal: Exception) -> list[Any]:
        """Parse what may not fit as text, take out what does not, and parse the rest of it."""
        arrow = _pyarrow()
        types = [arrow.string() if index in self._unfit else kind for index, kind in enumerate(self._parsed_types)]
        try:
            columns = _parsed(block, types)
        except arrow.ArrowInvalid as exc:
            raise SourceError(f"after row {rows_before}: {exc}") from exc
        unfit = {index: self._unfit_among(columns[index], pattern) for index, pattern in self._unfit.items()}
        if not any(mask.true_count for mask in unfit.values()):
            raise SourceError(f"after row {rows_before}: {refusal}") from refusal
        if not self._warns:
            raise self._first_unfit(columns, unfit, rows_before) from refusal
        for index, mask in unfit.items():
            columns[index] = self._without(index, columns[index], mask)
        return columns

    @staticmethod
    def _unfit_among(texts: Any, pattern: str) -> Any:
        compute = _compute()
        return compute.fill_null(compute.match_substring_regex(texts, pattern), False)

    def _without(self, index: int, texts: Any, unfit: Any) -> Any:
        compute = _compute()
        field = self.schema.field(index)
        for value, count in _counted(texts.filter(unfit)):
            self._losses.add(field.name, f"{value} does not fit {field.type}", count)
        kept = compute.fill_null(compute.if_else(unfit, None, texts), "")
        lines = compute.binary_join(_pyarrow().ListArray.from_arrays([0, len(kept)], kept), "\n")[0]
        return _parsed(BLOCK_PREFIX + lines.as_buffer().to_pybytes() + b"\n", [field.type])[0]

    def _first_unfit(self, columns: list[Any], unfit: dict[int, Any], rows_before: int) -> SourceError:
        compute = _compute()
        found = {index: compute.index(mask, value=True).as_py() for index, mask in unfit.items()}
        row, index = min((row, index) for index, row in found.items() if row >= 0)
        value = columns[index][row].as_py()[:_SHOWN_CHARACTERS]
        field = self.schema.field(index)
        return SourceError(
            f"row {rows_before + row + 1}: column {field.name!r}: {value} does not fit {field.type}", hint=_CHOOSE
        )


def _parsed(block: Block, types: list[Any]) -> list[Any]:
    """Parse whole rows of CSV. One thread, one block: the columns are as they stand in it."""
    arrow, csv = _pyarrow(), need("pyarrow.csv", extra="arrow", why="read COPY")
    names = [str(index) for index in range(len(types))]  # the real ones may occur twice
    table = csv.read_csv(
        arrow.py_buffer(block),
        read_options=csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False, block_size=len(block) + 1),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=len(types) > 1),
        convert_options=csv.ConvertOptions(
            column_types=dict(zip(names, types, strict=True)),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    return [column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns]


def _from_hex(texts: Any) -> Any:
    """Return the bytes that a column of hexadecimal text stands for, all of them in one step."""
    arrow, compute = _pyarrow(), _compute()
    _validity, offsets_buffer, data = texts.buffers()
    offsets = arrow.Array.from_buffers(arrow.int32(), len(texts) + 1, [None, offsets_buffer], offset=texts.offset)
    first, last = offsets[0].as_py(), offsets[-1].as_py()
    decoded = binascii.unhexlify(memoryview(data)[first:last]) if last > first else b""
    halved = compute.divide(compute.subtract(offsets, first), 2).cast(arrow.int32())
    values = arrow.Array.from_buffers(arrow.binary(), len(texts), [None, halved.buffers()[1], arrow.py_buffer(decoded)])
    return compute.if_else(texts.is_valid(), values, None) if texts.null_count else values


def _unhexed(value: Any) -> bytes:
    return binascii.unhexlify(value)


def _counted(texts: Any) -> list[tuple[str, int]]:
    """Return what is lost and how often; dates too far away are one kind of thing."""
    named = _compute().replace_substring_regex(texts, "^.*BC$", "a date BC")
    named = _compute().replace_substring_regex(named, "^[0-9]{5,}-.*$", "a year beyond 9999")
    return [(entry["values"], entry["counts"]) for entry in named.value_counts().to_pylist()]


def _fixed_bytes(kind: Any) -> int:
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return _LENGTH_BYTES


def _is_bytes(kind: Any) -> bool:
    return bool(_pyarrow().types.is_binary(kind))


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="convert columns")
