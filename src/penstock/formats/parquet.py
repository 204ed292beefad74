"""Parquet: compressed columns, with types that databases and data frames share.

A Parquet file ends with its table of contents, without which it cannot be read. That is written only after the data has
ended without an error. (Arrow's writer, when closed or garbage-collected, would write it after an error too, and an
incomplete file would look complete.)

Writing goes from beginning to end, one row group after another, each bounded in bytes rather than rows. Reading starts at
the end of the file, so it needs a stream with random access: a file, or an object in a store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.errors import ConfigurationError
from penstock.flow.sizes import own_bytes
from penstock.formats._arrow import pyarrow, pyarrow_parquet
from penstock.formats._base import BaseFormat
from penstock.formats._lent import finishing
from penstock.formats._options import OptionError
from penstock.formats._parquet_decoder import ParquetDecoder
from penstock.formats._sizes import pieces

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream, ByteReader, ByteWriter

__all__ = ["Parquet"]

_BATCH_BYTES = 4 << 20
_BATCHES_IN_A_ROW_GROUP = 4
_WIDE_BYTES = 64 << 10
# As Parquet's own writer for Java has it: a dictionary page of 1 MiB in a row group of 128. In smaller groups a dictionary as
# large is mostly one of values that occur once, which costs time, and bytes as well.
_DICTIONARY_SHARE = 128
_LEAST_DICTIONARY_BYTES = 64 << 10
_DEFAULT_CODEC = "zstd"
_LEVELS = {"zstd": range(1, 23), "gzip": range(1, 10), "brotli": range(12), "snappy": None, "lz4": None, "none": None}


@dataclass(frozen=True)
class Parquet(BaseFormat):
    """The Parquet format.

    Args:
        name: its name for ``--format``.
        media_type: the content type for HTTP and object stores.
        codec: the compression of pages when writing, perhaps with a level (``zstd:9``); None for zstd. If it is given,
            bytes of another Parquet file are not passed through untouched.
        row_group_bytes: bytes of Arrow data in a row group when writing, all of which is held in memory. None for four
            batches.
        batch_bytes: about how many bytes of Arrow data a batch should have.
        columns: the columns to read; None for all.
    """

    name: str = "parquet"
    media_type: str = "application/vnd.apache.parquet"
    codec: str | None = None
    row_group_bytes: int | None = None
    batch_bytes: int = _BATCH_BYTES
    columns: tuple[str, ...] | None = None

    needs_seeking: ClassVar[bool] = True
    compresses_itself: ClassVar[bool] = True
    shaping: ClassVar[frozenset[str]] = frozenset({"codec", "row_group_bytes"})

    def __post_init__(self) -> None:
        name, _, level = (self.codec or _DEFAULT_CODEC).partition(":")
        levels = _LEVELS.get(name)
        if name not in _LEVELS or (level and (levels is None or not level.isdecimal() or int(level) not in levels)):
            raise OptionError(
                "codec", self.codec, f"{', '.join(_LEVELS)}; some with a level: zstd:1 to 22, gzip:1 to 9"
            )

    def sized(self, batch_bytes: int) -> Parquet:
        """Return a copy for batches of about ``batch_bytes``, with row groups of four of them unless set otherwise."""
        return replace(self, batch_bytes=batch_bytes)

    def projected(self, columns: Sequence[str]) -> Parquet:
        """Return a copy that reads only these columns."""
        return replace(self, columns=tuple(columns))

    def encode(self, batches: BatchStream, out: ByteWriter) -> int:
        """Write every batch; return the number of rows. Does not close ``out``.

        Holds one row group in memory. If anything fails, what was written so far has no table of contents, and no reader
        takes it for a Parquet file.

        Raises:
            ConfigurationError: Parquet has no type for a column; names the column.
        """
        _check_types(batches.schema)
        most = self.row_group_bytes or self.batch_bytes * _BATCHES_IN_A_ROW_GROUP
        rows = 0
        groups = _row_groups(batches, most)
        group = next(groups, None)
        wide = _wide_columns(group or [])
        with finishing(out, lambda file: self._writer(file, batches.schema, wide, most)) as writer:
            while group is not None:
                table, group = pyarrow().Table.from_batches(group), None
                try:
                    writer.write_table(table, row_group_size=table.num_rows)
                except pyarrow().ArrowInvalid as exc:
                    raise ConfigurationError(f"Parquet can not hold a value: {exc}") from exc
                rows += table.num_rows
                del table  # or it would be kept alive while the next one is waited for
                group = next(groups, None)
        return rows

    @contextmanager
    def decode(self, stream: ByteReader, schema: pa.Schema | None = None) -> Iterator[BatchStream]:
        """Read batches; the table of contents is read at once, the rest while iterating. Does not close ``stream``.

        Args:
            stream: the bytes, with ``seek`` and ``tell``.
            schema: the columns the file must have; None for any.

        Raises:
            SourceError: the data is not Parquet, is damaged, or was cut off.
        """
        with ParquetDecoder(stream, schema, batch_bytes=self.batch_bytes, columns=self.columns) as decoder:
            yield decoder

    def _writer(self, file: Any, schema: pa.Schema, wide: set[str], row_group_bytes: int) -> Any:
        name, _, level = (self.codec or _DEFAULT_CODEC).partition(":")
        return pyarrow_parquet().ParquetWriter(
            file,
            schema,
            compression=name,
            compression_level=int(level) if level else None,
            write_page_checksum=True,
            store_decimal_as_integer=True,  # where 18 digits are enough; as Spark and DuckDB write them
            dictionary_pagesize_limit=max(_LEAST_DICTIONARY_BYTES, row_group_bytes // _DICTIONARY_SHARE),
            write_statistics=[name for name in schema.names if name not in wide] if wide else True,
        )


def _row_groups(batches: BatchStream, most_bytes: int) -> Iterator[list[pa.RecordBatch]]:
    """Yield batches together as long as they are no more than ``most_bytes`` without dictionaries, a single row excepted."""
    group: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        for piece in pieces(batch, most_bytes):
            piece_bytes = own_bytes(piece)
            if group and size + piece_bytes > most_bytes:
                yield group
                group, size = [], 0
            if piece.num_rows:
                group.append(piece)
                size += piece_bytes
            del piece
        del batch
        if size >= most_bytes:  # not only when the next has come: it may be one wide row
            yield group
            group, size = [], 0
    if group:
        yield group


def _wide_columns(group: list[pa.RecordBatch]) -> set[str]:
    """Return the columns of which Arrow would keep smallest and largest value, only to find them too large to be written.

    It holds three copies of each while it does. Looked at is the first row group, because a writer is told when it is made.
    """
    return {
        name
        for batch in group
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
        if column.nbytes > _WIDE_BYTES * batch.num_rows
    }


def _check_types(schema: pa.Schema) -> None:
    """Refuse columns that Parquet has no type for. Arrow says only that there is one, and some only at the first row."""
    if not schema.names:
        raise ConfigurationError("there are no columns, which a Parquet file can not say")
    if _reason_against(schema) is None:
        return
    for field in schema:
        reason = _reason_against(pyarrow().schema([field]))
        if reason is not None:
            raise ConfigurationError(
                f"column {field.name!r} is {field.type}, which Parquet has no type for; make it text in the query"
            ) from reason


def _reason_against(schema: pa.Schema) -> Exception | None:
    """Try to write a row of NULLs: Arrow knows some of what it cannot write only then."""
    arrow = pyarrow()
    nulls = arrow.table([arrow.nulls(1, field.type) for field in schema], names=schema.names)
    try:
        with pyarrow_parquet().ParquetWriter(arrow.MockOutputStream(), nulls.schema) as writer:
            writer.write_table(nulls)
    except (arrow.ArrowNotImplementedError, arrow.ArrowInvalid, arrow.ArrowTypeError) as exc:
        reason: Exception = exc
        return reason
    return None
