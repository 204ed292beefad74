"""Read Parquet row group by row group, in batches of a bounded number of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.errors import SourceError
from penstock.flow.sizes import own_bytes
from penstock.flow.views import without_views, without_views_in
from penstock.formats._arrow import pyarrow, pyarrow_parquet
from penstock.formats._lent import LentStream
from penstock.formats._schemas import check_schema
from penstock.formats._sizes import pieces

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import ByteReader

__all__ = ["ParquetDecoder"]

_READ_AHEAD_BYTES = 256 << 10  # of each column, instead of the whole column of a row group
_PROBED_ROWS = 64
_MOST_ROWS = 64 << 10


class ParquetDecoder:
    """The batches of one file. Use as a context manager: it lets go of Arrow's reader.

    How many rows make a batch is found by decoding some rows of each row group: the file tells only how large they are
    when encoded, and a repeated long text is encoded once.

    Attributes:
        schema: of the batches.
        total_rows: how many there are in the whole file.
    """

    def __init__(
        self, stream: ByteReader, schema: pa.Schema | None, *, batch_bytes: int, columns: tuple[str, ...] | None
    ) -> None:
        self._lent = LentStream(stream)
        self._batch_bytes = batch_bytes
        with self._reading():
            self._file: Any = pyarrow_parquet().ParquetFile(
                pyarrow().PythonFile(self._lent, "r"),
                pre_buffer=False,
                buffer_size=_READ_AHEAD_BYTES,
                page_checksum_verification=True,
            )
            whole: pa.Schema = self._file.schema_arrow
        self.total_rows: int = self._file.metadata.num_rows
        self._columns = None if columns is None or not set(columns) <= set(whole.names) else list(columns)
        self.schema = (
            whole if self._columns is None else pyarrow().schema([whole.field(name) for name in self._columns])
        )
        self._read_schema: pa.Schema = self.schema.remove_metadata()
        self.schema = without_views(self._read_schema)
        check_schema(self.schema, schema)

    def __enter__(self) -> ParquetDecoder:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._file.close(force=True)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        seen = 0
        for index in range(self._file.metadata.num_row_groups):
            for batch in self._batches(index, self._rows_at_once(index)):
                seen += batch.num_rows
                for plain in without_views_in(self._as_declared(batch), self.schema, self._batch_bytes):
                    yield from pieces(plain, self._batch_bytes)
                    del plain
                del batch  # or it would be kept alive while the next one is read
        if seen != self.total_rows:
            raise SourceError(f"the Parquet file has {seen} rows where it promises {self.total_rows}")

    def _rows_at_once(self, index: int) -> int:
        group = self._file.metadata.row_group(index)
        encoded_bytes = group.total_byte_size // max(1, group.num_rows)
        probed_rows: int = max(1, min(_PROBED_ROWS, self._batch_bytes // max(1, encoded_bytes)))
        if probed_rows == 1:
            return 1
        probe = next(self._batches(index, probed_rows), None)
        if probe is None or not probe.num_rows:
            return probed_rows
        return max(1, min(_MOST_ROWS, self._batch_bytes * probe.num_rows // max(1, own_bytes(probe))))

    def _batches(self, index: int, rows: int) -> Iterator[pa.RecordBatch]:
        batches = self._file.iter_batches(rows, row_groups=[index], columns=self._columns, use_threads=False)
        while True:
            with self._reading():
                batch: pa.RecordBatch | None = next(batches, None)
            if batch is None:
                return
            yield batch
            del batch

    def _as_declared(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns in the order of the schema, and without what pandas has noted on them."""
        columns = batch.columns if self._columns is None else [batch.column(name) for name in self._columns]
        declared: pa.RecordBatch = pyarrow().RecordBatch.from_arrays(columns, schema=self._read_schema)
        return declared

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """The one seam: errors of Arrow become ours, those of the stream pass as they are."""
        try:
            yield
        except (pyarrow().ArrowException, OSError) as exc:
            if exc is self._lent.error:
                raise
            hint = "is it Parquet at all, and complete?"
            raise SourceError(f"damaged Parquet data: {exc}", hint=hint) from exc
