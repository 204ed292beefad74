"""Walk into lists, structs, maps and dictionaries, down to the values that a text format writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from penstock.formats._arrow import ArrowType, Column, pyarrow, pyarrow_compute

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["decoded", "decoded_bytes", "decoded_type", "entries", "parts", "type_parts"]


def type_parts(kind: ArrowType) -> Iterator[ArrowType]:
    """Yield ``kind`` and every type inside, also those in extensions and dictionaries."""
    yield kind
    for child in _children(kind):
        yield from type_parts(child)


def parts(column: Column) -> Iterator[Column]:
    """Yield ``column`` and every column inside, without what a NULL around it or the slice it is leaves out."""
    yield column
    types = pyarrow().types
    kind = column.type
    if isinstance(kind, pyarrow().BaseExtensionType):
        yield from parts(column.storage)
    elif types.is_dictionary(kind):
        yield from parts(_values(column).take(column.indices.unique().drop_null()))
    elif types.is_struct(kind):
        for child in column.flatten():
            yield from parts(child)
    elif types.is_map(kind):
        yield from parts(entries(column).flatten())
    elif types.is_nested(kind):
        yield from parts(column.flatten())


def decoded(column: Column) -> Column:
    """Return what a column with a dictionary stands for, as :func:`decoded_type` says."""
    return _values(column).take(column.indices)


def decoded_type(kind: ArrowType) -> ArrowType:
    """Return the type of the values of a dictionary; not as a view, which Arrow can take nothing from."""
    arrow = pyarrow()
    offsets = {arrow.string_view(): arrow.large_string(), arrow.binary_view(): arrow.large_binary()}
    return offsets.get(kind.value_type, kind.value_type)


def decoded_bytes(batch: pa.RecordBatch) -> int:
    """Return about how many bytes there are in a batch without dictionaries and run lengths: a long text may be there often."""
    return sum(map(_decoded_bytes, batch.columns))


def _decoded_bytes(column: Column) -> int:
    types, kind = pyarrow().types, column.type
    if types.is_dictionary(kind):
        values = _values(column)
        if not _has_lengths(values.type):
            return int(len(column) * values.nbytes // max(1, len(values)))
        lengths = pyarrow_compute().binary_length(values).take(column.indices)
        return int(pyarrow_compute().sum(lengths).as_py() or 0)
    if types.is_run_end_encoded(kind):
        return int(len(column) * column.values.nbytes // max(1, len(column.values)))
    size: int = column.nbytes
    return size


def _has_lengths(kind: ArrowType) -> bool:
    types = pyarrow().types
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    )


def entries(maps: Column) -> Column:
    """Return maps as the lists of structs that they are."""
    arrow = pyarrow()
    return maps.cast(arrow.list_(arrow.struct([maps.type.key_field, maps.type.item_field])))


def _values(column: Column) -> Column:
    kind = decoded_type(column.type)
    return column.dictionary if column.dictionary.type == kind else column.dictionary.cast(kind)


def _children(kind: ArrowType) -> list[ArrowType]:
    if isinstance(kind, pyarrow().BaseExtensionType):
        return [kind.storage_type]
    if pyarrow().types.is_dictionary(kind):
        return [kind.value_type]
    return [kind.field(index).type for index in range(kind.num_fields)]
