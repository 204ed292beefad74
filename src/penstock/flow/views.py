"""Turn Arrow's view columns into columns with offsets, whose slices have a meaningful size.

A view column (``string_view``, ``binary_view``) refers to values in buffers that are shared by slices, and by the batches
of a data frame. Arrow counts all of these buffers as the size of any slice ("Columnar Format", Variable-size Binary View
Layout), so a single row seems as large as the whole. Polars hands out its text this way, and files written by DataFusion
ask to be read this way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock._extras import need

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["without_views", "without_views_in"]


def without_views(schema: pa.Schema) -> pa.Schema:
    """Return ``schema`` with offsets in place of views, also inside lists, structs, maps and dictionaries.

    It is the same object where there are none. What is in an extension type or a list view stays as it is.
    """
    kinds = [_plain(field.type) for field in schema]
    if all(kind == field.type for kind, field in zip(kinds, schema, strict=True)):
        return schema
    fields = [field.with_type(kind) for kind, field in zip(kinds, schema, strict=True)]
    plain: pa.Schema = _pyarrow().schema(fields, schema.metadata)
    return plain


def without_views_in(batch: pa.RecordBatch, schema: pa.Schema, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``batch`` with the columns of ``schema``, which is :func:`without_views` of its own.

    A batch with views is copied: whole if it is no more than twice too large, as a few rows cut off at its end would cost
    as much time as all others. Else at first in slices as large as they would be if it were as large as it says, and then
    as many rows at a time as were about ``most_bytes`` before. One without comes whole, and is not copied.
    """
    if batch.schema.equals(schema):
        yield batch
        return
    step, start = batch.num_rows, 0
    if batch.nbytes > 2 * most_bytes:
        step = max(1, step * most_bytes // batch.nbytes)
    while start < batch.num_rows:
        piece = batch.slice(start, step).cast(schema)
        start += piece.num_rows
        step = max(1, min(2 * step, step * most_bytes // max(1, piece.nbytes)))
        yield piece
        del piece  # or it would be kept alive while the next one is copied


def _plain(kind: Any) -> Any:
    """Return the type without views."""
    arrow = _pyarrow()
    views = {arrow.string_view(): arrow.string(), arrow.binary_view(): arrow.binary()}
    if kind in views:
        return views[kind]
    if arrow.types.is_dictionary(kind):
        value = _plain(kind.value_type)
        return kind if value == kind.value_type else arrow.dictionary(kind.index_type, value, kind.ordered)
    if not arrow.types.is_nested(kind) or isinstance(kind, arrow.BaseExtensionType):
        return kind
    return _plain_nested(kind)


def _plain_nested(kind: Any) -> Any:
    arrow = _pyarrow()
    before = [kind.field(index) for index in range(kind.num_fields)]
    after = [field.with_type(_plain(field.type)) for field in before]
    makers = {
        arrow.types.is_list: arrow.list_,
        arrow.types.is_large_list: arrow.large_list,
        arrow.types.is_fixed_size_list: lambda field: arrow.list_(field, kind.list_size),
        arrow.types.is_struct: lambda *fields: arrow.struct(fields),
        arrow.types.is_map: lambda _entries: _plain_map(kind),
    }
    if after == before:
        return kind
    return next((make(*after) for is_kind, make in makers.items() if is_kind(kind)), kind)


def _plain_map(kind: Any) -> Any:
    key, item = (field.with_type(_plain(field.type)) for field in (kind.key_field, kind.item_field))
    return _pyarrow().map_(key, item, keys_sorted=kind.keys_sorted)


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
