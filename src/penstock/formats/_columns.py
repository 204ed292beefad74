"""Convert columns to types that a text format can write exactly, before it writes them.

First extension types, dictionaries and run lengths around the values are removed. Then everything a writer would refuse
or alter becomes strings, a whole column at a time: bytes as base64, UUIDs in their usual form and, for CSV, nested values
as JSON. What to convert is decided once per schema and then applied to every batch.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from penstock.errors import SourceError
from penstock.formats._arrow import ArrowType, Column, pyarrow, pyarrow_compute
from penstock.formats._as_text import base64_text, json_text, uuid_text
from penstock.formats._nested import decoded, decoded_type
from penstock.formats._refusals import is_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Converter", "apply", "for_csv", "for_ndjson", "from_base64", "is_text", "translated", "unwrapping"]

Converter = Callable[[Column], Column]


def apply(converters: Mapping[int, Converter], batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` with the columns at these positions converted."""
    if not converters:
        return batch
    arrow = pyarrow()
    columns = [
        converters[index](column) if index in converters else column for index, column in enumerate(batch.columns)
    ]
    converted: pa.RecordBatch = arrow.RecordBatch.from_arrays(columns, names=batch.schema.names)
    return converted


def unwrapping(schema: pa.Schema) -> tuple[pa.Schema, dict[int, Converter]]:
    """Return what to convert, by column position, to have plain columns, and the schema of those.

    UUIDs stay what they are.
    """
    unwrapped = [_unwrapped(field.type) for field in schema]
    plain: pa.Schema = pyarrow().schema(
        [field.with_type(kind) for field, (kind, _) in zip(schema, unwrapped, strict=True)]
    )
    return plain, {index: converter for index, (_, converter) in enumerate(unwrapped) if converter is not None}


def for_csv(schema: pa.Schema) -> dict[int, Converter]:
    """Return what to convert, by position in plain columns, so that Arrow's CSV writer takes every one."""
    found = {index: _csv_converter(field.type) for index, field in enumerate(schema)}
    return {index: converter for index, converter in found.items() if converter is not None}


def for_ndjson(schema: pa.Schema) -> dict[int, Converter]:
    """Return what to convert, by position in plain columns, before arro3 writes NDJSON."""
    found = {index: _ndjson_converter(field.type) for index, field in enumerate(schema)}
    return {index: converter for index, converter in found.items() if converter is not None}


def from_base64(column: Column) -> Column:
    """Return the bytes that a column of base64 text stands for.

    Raises:
        SourceError: a value is not base64.
    """
    try:
        values = [None if value is None else base64.b64decode(value, validate=True) for value in column.to_pylist()]
    except ValueError as exc:
        raise SourceError(f"a column of bytes holds something that is not base64: {exc}") from exc
    return pyarrow().array(values, pyarrow().binary())


def _unwrapped(kind: ArrowType) -> tuple[ArrowType, Converter | None]:
    types = pyarrow().types
    if isinstance(kind, pyarrow().BaseExtensionType) and not _is_uuid(kind):
        return _inside(kind.storage_type, lambda column: column.storage)
    if types.is_dictionary(kind):
        return _inside(decoded_type(kind), decoded)
    if types.is_run_end_encoded(kind) and not types.is_nested(kind.value_type):
        return _inside(kind.value_type, pyarrow_compute().run_end_decode)
    return kind, None


def _inside(kind: ArrowType, taken_out: Converter) -> tuple[ArrowType, Converter]:
    plain, further = _unwrapped(kind)
    return plain, _chain(taken_out, further)


def _csv_converter(kind: ArrowType) -> Converter | None:
    types = pyarrow().types
    if _is_uuid(kind):
        return uuid_text
    if is_bytes(kind):
        return base64_text
    if types.is_nested(kind) or types.is_duration(kind) or types.is_interval(kind):
        return json_text
    return _as_string if types.is_string_view(kind) else None


def _ndjson_converter(kind: ArrowType) -> Converter | None:
    if _is_uuid(kind):
        return uuid_text
    if pyarrow().types.is_date32(kind):  # arro3 writes the same, in three times the time
        return _as_string
    return base64_text if is_bytes(kind) else None


def _is_uuid(kind: ArrowType) -> bool:
    return isinstance(kind, pyarrow().BaseExtensionType) and kind.extension_name == "arrow.uuid"


def _chain(first: Converter, second: Converter | None) -> Converter:
    return first if second is None else lambda column: second(first(column))


def is_text(kind: ArrowType) -> bool:
    """Whether values of this type are strings with offsets, as CSV writers take them."""
    types = pyarrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind))


def translated(column: Column, table: bytes) -> Column:
    """Return a column of text with every ASCII character replaced as ``table`` (of ``bytes.maketrans``) says."""
    validity, offsets, data = column.buffers()
    if data is None:
        return column
    replaced = pyarrow().py_buffer(data.to_pybytes().translate(table))
    return pyarrow().Array.from_buffers(
        column.type, len(column), [validity, offsets, replaced], column.null_count, column.offset
    )


def _as_string(column: Column) -> Column:
    return column.cast(pyarrow().string())
