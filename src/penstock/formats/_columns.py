"""Give columns a form text can hold exactly, before a text format writes them.

What a writer would refuse or bend is turned into strings here, a whole column at a time: bytes to base64, UUIDs to
their usual form, and, for CSV, nested values to JSON. The plan is made once per schema; batches only run it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError, SourceError
from penstock.formats._arrow import ArrowType, Column, pyarrow
from penstock.formats._as_text import base64_text, json_text, uuid_text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Converter", "apply", "for_csv", "for_ndjson", "from_base64", "is_bytes", "is_text", "translated"]

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


def for_csv(schema: pa.Schema) -> dict[int, Converter]:
    """Return what to convert, by column position, so that Arrow's CSV writer takes every column.

    Raises:
        ConfigurationError: a column has bytes inside a list or struct.
    """
    _refuse_nested_bytes(schema)
    found = {index: _csv_converter(field.type) for index, field in enumerate(schema)}
    return {index: converter for index, converter in found.items() if converter is not None}


def for_ndjson(schema: pa.Schema) -> dict[int, Converter]:
    """Return what to convert, by column position, before arro3 writes NDJSON.

    Raises:
        ConfigurationError: a column has bytes inside a list or struct.
    """
    _refuse_nested_bytes(schema)
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


def _csv_converter(kind: ArrowType) -> Converter | None:
    types = pyarrow().types
    if isinstance(kind, pyarrow().BaseExtensionType):
        return _extension_converter(kind, _csv_converter)
    if types.is_dictionary(kind):
        return _chain(_decoded_dictionary, _csv_converter(kind.value_type))
    if is_bytes(kind):
        return base64_text
    if types.is_nested(kind) or types.is_duration(kind) or types.is_interval(kind):
        return json_text
    return _as_string if types.is_string_view(kind) else None


def _ndjson_converter(kind: ArrowType) -> Converter | None:
    if isinstance(kind, pyarrow().BaseExtensionType):
        return _extension_converter(kind, _ndjson_converter)
    return base64_text if is_bytes(kind) else None


def _extension_converter(kind: ArrowType, inner: Callable[[ArrowType], Converter | None]) -> Converter:
    if kind.extension_name == "arrow.uuid":
        return uuid_text
    return _chain(lambda column: column.storage, inner(kind.storage_type))


def _chain(first: Converter, second: Converter | None) -> Converter:
    return first if second is None else lambda column: second(first(column))


def is_bytes(kind: ArrowType) -> bool:
    """Whether values of this type are bytes, of whatever layout."""
    types = pyarrow().types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


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


def _refuse_nested_bytes(schema: pa.Schema) -> None:
    for field in schema:
        if not is_bytes(field.type) and _has_bytes(field.type):
            raise ConfigurationError(
                f"column {field.name!r} holds bytes inside {field.type}; encode them as text before"
            )


def _has_bytes(kind: ArrowType) -> bool:
    return is_bytes(kind) or any(_has_bytes(kind.field(index).type) for index in range(kind.num_fields))


def _decoded_dictionary(column: Column) -> Column:
    return column.dictionary_decode()


def _as_string(column: Column) -> Column:
    return column.cast(pyarrow().string())
