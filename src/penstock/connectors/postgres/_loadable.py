"""The batches of a stream as a COPY can take them: small slices, every column in PostgreSQL's own text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.connectors._batches import Batches
from penstock.connectors.postgres._encode import Converter, Unloadable, chained, converter, unwrapping
from penstock.connectors.postgres._fit import TargetColumn, fitting
from penstock.errors import SinkError

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream

__all__ = ["LoadableBatches"]

_SLICE_BYTES = 256 << 10
_PORTION_BYTES = 16 << 20
_PORTION_SECONDS = 1.0


@final
class LoadableBatches:
    """What the CSV format can encode as the server reads it.

    Args:
        batches: what to load.
        targets: columns of the table by name, if it was there; of a new one the types are those of the data.
        where: the destination, for messages.

    Attributes:
        schema: what the columns are when converted.
        arrow_bytes: bytes of Arrow data taken so far.
    """

    def __init__(self, batches: BatchStream, *, targets: Mapping[str, TargetColumn], where: str) -> None:
        self.arrow_bytes = 0
        self._batches = batches
        self._where = where
        self._converters = {
            index: convert
            for index, field in enumerate(batches.schema)
            if (convert := _converter(field.type, targets.get(field.name))) is not None
        }
        self.schema = self._converted(_empty(batches.schema)).schema

    def portions(self) -> Iterator[BatchStream]:
        """Yield everything in portions, each for a COPY of its own.

        A portion ends when it is large or old enough, so that what the server has against a row is heard soon: it only
        speaks when a COPY ends. A portion has to be read to its end before the next.
        """
        slices = self._slices()
        for first in slices:
            yield Batches(self.schema, _portion(first, slices))

    def _slices(self) -> Iterator[pa.RecordBatch]:
        """Yield slices so small that while one is encoded, others wait in the socket and keep the server busy."""
        for batch in self._batches:
            self.arrow_bytes += batch.nbytes
            rows = max(1, batch.num_rows * _SLICE_BYTES // max(1, batch.nbytes))
            for start in range(0, batch.num_rows, rows):
                yield self._converted(batch.slice(start, rows))

    def _converted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns: list[Any] = list(batch.columns)
        for index, convert in self._converters.items():
            try:
                columns[index] = convert(columns[index])
            except Unloadable as exc:
                raise SinkError(f"column {batch.schema.names[index]!r}: {exc}", where=self._where) from exc
        converted: pa.RecordBatch = _pyarrow().RecordBatch.from_arrays(columns, names=batch.schema.names)
        return converted


def _converter(kind: Any, target: TargetColumn | None) -> Converter | None:
    """Return what makes a column of ``kind`` text for ``target``, and refuses what that would bend."""
    if target is None:
        return converter(kind, into_json=False)
    if not _is_uuid(kind) and (step := unwrapping(kind)) is not None:
        unwrap, inside = step
        return chained(unwrap, _converter(inside, target))
    fit, convert = fitting(kind, target), converter(kind, into_json=target.is_json)
    return convert if fit is None else chained(fit, convert)


def _is_uuid(kind: Any) -> bool:
    return isinstance(kind, _pyarrow().BaseExtensionType) and kind.extension_name == "arrow.uuid"


def _portion(first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    ends_at = monotonic() + _PORTION_SECONDS
    size = first.nbytes
    yield first
    while size < _PORTION_BYTES and monotonic() < ends_at and (batch := next(others, None)) is not None:
        size += batch.nbytes
        yield batch


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    arrow = _pyarrow()
    batch: pa.RecordBatch = arrow.RecordBatch.from_arrays(
        [arrow.nulls(0, field.type) for field in schema], names=schema.names
    )
    return batch


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
