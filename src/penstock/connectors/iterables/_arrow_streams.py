"""Read Arrow data that is in this process already, in batches of a bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.connectors._batches import Batches
from penstock.errors import SourceError
from penstock.flow.decimals import unwritable_decimal
from penstock.flow.sizes import joined
from penstock.flow.views import without_views, without_views_in

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream

__all__ = ["batches_of_items", "is_arrow", "known_rows", "known_schema", "opened_arrow", "sliced"]

_SHARED = 2  # slices that are together so much larger than the whole share what makes them large: a dictionary


def is_arrow(value: object) -> bool:
    """Whether ``value`` hands out Arrow data, by the PyCapsule interface every Arrow library has."""
    return hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")


def known_schema(value: Any) -> pa.Schema | None:
    """Return the columns of Arrow data without touching it; None where it does not say."""
    arrow = _pyarrow()
    told: pa.Schema | None = getattr(value, "schema", None)
    if not isinstance(told, arrow.Schema):
        told = arrow.schema(value) if hasattr(value, "__arrow_c_schema__") else None
    return None if told is None else without_views(told)


def known_rows(value: Any) -> int | None:
    """Return how many rows there are in Arrow data without touching it; None where it does not say."""
    rows = getattr(value, "num_rows", None)
    return rows if isinstance(rows, int) else None


@contextmanager
def opened_arrow(value: Any, batch_bytes: int, where: str) -> Iterator[BatchStream]:
    """Give the batches of a table, batch, reader or whatever has ``__arrow_c_stream__``; a reader is closed after.

    Raises:
        SourceError: it fails to hand out a batch.
    """
    arrow = _pyarrow()
    if isinstance(value, arrow.Table):
        yield _sliced_stream(value.schema, value.to_batches(), batch_bytes, where, are_there=True)
    elif isinstance(value, arrow.RecordBatch) or not hasattr(value, "__arrow_c_stream__"):
        with _translating(where):
            batch = arrow.record_batch(value)
        yield _sliced_stream(batch.schema, [batch], batch_bytes, where)
    else:
        with _translating(where):
            reader = value if isinstance(value, arrow.RecordBatchReader) else arrow.RecordBatchReader.from_stream(value)
        with reader:
            yield _sliced_stream(reader.schema, _read(reader, where), batch_bytes, where)


def _read(reader: pa.RecordBatchReader, where: str) -> Iterator[pa.RecordBatch]:
    while True:
        with _translating(where):
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
        yield batch


def batches_of_items(first: Any, rest: Iterator[Any], batch_bytes: int, where: str) -> BatchStream:
    """Return what is in an iterable of tables and batches, which must all have the columns of ``first``.

    Raises:
        SourceError: (while iterating) one has not, or is no Arrow data; says which.
    """
    arrow = _pyarrow()
    schema = arrow.table(first).schema

    def batches() -> Iterator[pa.RecordBatch]:
        for number, item in enumerate(chain([first], rest), 1):
            if not is_arrow(item):
                raise SourceError(f"item {number} is of type {type(item).__name__}, after Arrow data", where=where)
            table = arrow.table(item)
            if not table.schema.equals(schema):
                raise SourceError(
                    f"item {number} has other columns than the first: {_difference(table.schema, schema)}", where=where
                )
            yield from table.to_batches()

    return _sliced_stream(schema, batches(), batch_bytes, where)


def _difference(found: pa.Schema, expected: pa.Schema) -> str:
    if found.names != expected.names:
        return f"{', '.join(found.names)} instead of {', '.join(expected.names)}"
    name, one, other = next((a.name, a.type, b.type) for a, b in zip(found, expected, strict=True) if a.type != b.type)
    return f"{name!r} is {one} instead of {other}"


def _sliced_stream(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], batch_bytes: int, where: str, *, are_there: bool = False
) -> BatchStream:
    """Return batches without views, none too large, and none too small either where all ``are_there`` already."""
    if (problem := unwritable_decimal(schema)) is not None:
        raise SourceError(problem, where=where, hint="cast it to a larger decimal, or to text")
    plain = without_views(schema)
    copied = (piece for batch in batches for piece in without_views_in(batch, plain, batch_bytes))
    return Batches(plain, sliced(joined(copied, plain) if are_there else copied, batch_bytes))


def sliced(batches: Any, batch_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield ``batches``, those that are larger than ``batch_bytes`` in slices, without copying; a row stays whole."""
    for batch in batches:
        yield from _slices(batch, batch_bytes)


def _slices(batch: pa.RecordBatch, batch_bytes: int) -> Iterator[pa.RecordBatch]:
    size, rows = batch.nbytes, batch.num_rows
    if size <= batch_bytes or rows <= 1:
        yield batch
        return
    step = max(1, rows * batch_bytes // size)
    pieces = [batch.slice(start, step) for start in range(0, rows, step)]
    if sum(piece.nbytes for piece in pieces) > size * _SHARED:
        yield from pieces
        return
    for piece in pieces:
        yield from _slices(piece, batch_bytes)


@contextmanager
def _translating(where: str) -> Iterator[None]:
    try:
        yield
    except _pyarrow().ArrowException as exc:
        hint = "it is one column, not a table: give it a name in one" if "non-struct" in str(exc) else ""
        raise SourceError(str(exc), where=where, hint=hint) from exc


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
