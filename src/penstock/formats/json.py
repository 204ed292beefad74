"""JSON: one array of objects, whose values are as in NDJSON; see :mod:`penstock.formats.ndjson`.

An array of any size is written and read record by record, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from penstock.flow.losses import Losses, OnTypeLoss
from penstock.formats._base import BaseFormat
from penstock.formats._blocks import BLOCK_BYTES, MAX_RECORD_BYTES
from penstock.formats._json_records import records_as_lines
from penstock.formats._ndjson_decoder import NdjsonDecoder
from penstock.formats.ndjson import FIRST_BLOCK_BYTES, encoded_lines

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream, ByteReader, ByteWriter

__all__ = ["Json"]


@dataclass(frozen=True)
class Json(BaseFormat):
    """The JSON format: an array of objects.

    Args:
        name: its name for ``--format``.
        media_type: the content type for HTTP and object stores.
        records: when reading, where the array is: names of fields with dots between them (``data.items``); ``""`` if
            the whole document is the array.
        block_bytes: how many bytes to read and parse at a time.
        first_block_bytes: how many bytes to infer types from, when reading without a schema.
        max_record_bytes: the longest record allowed when reading.
        on_type_loss: when reading, what to do with values that the type of their column cannot hold.
        losses: counts the values that became NULL.
    """

    name: str = "json"
    media_type: str = "application/json"
    records: str = ""
    block_bytes: int = BLOCK_BYTES
    first_block_bytes: int = FIRST_BLOCK_BYTES
    max_record_bytes: int = MAX_RECORD_BYTES
    on_type_loss: OnTypeLoss = field(default="error", compare=False)
    losses: Losses | None = field(default=None, compare=False, repr=False)

    shaping: ClassVar[frozenset[str]] = frozenset({"records"})

    def encode(self, batches: BatchStream, out: ByteWriter) -> int:
        """Write every batch, one record per line; return the number of rows. Does not close ``out``.

        If anything fails, the closing bracket is not written.

        Raises:
            ConfigurationError: two columns have the same name, or JSON cannot hold the type or a value of a column.
        """
        rows = 0
        separator = b"[\n"
        for count, lines in encoded_lines(batches):
            rows += count
            if count:
                out.write(separator)
                # A line end inside a value is written as \n, so those that are left are between records.
                for piece in lines:
                    out.write(piece.replace(b"\n", b",\n"))
                separator = b",\n"
        out.write(b"\n]\n" if rows else b"[]\n")
        return rows

    def with_losses(self, on_type_loss: OnTypeLoss, losses: Losses) -> Json:
        """Return this format for reading that does with values that do not fit what ``on_type_loss`` says."""
        return replace(self, on_type_loss=on_type_loss, losses=losses)

    @contextmanager
    def decode(self, stream: ByteReader, schema: pa.Schema | None = None) -> Iterator[BatchStream]:
        """Read batches; the first block is read at once, the rest while iterating. Does not close ``stream``.

        Args:
            stream: the bytes, UTF-8.
            schema: the fields allowed, with their types; None to infer them from the first block.

        Raises:
            SourceError: the data is no array of objects, or a record is invalid; names the record.
            BudgetExceeded: a record is longer than ``max_record_bytes``.
        """
        blocks = records_as_lines(
            stream,
            tuple(filter(None, self.records.split("."))),
            block_bytes=self.block_bytes,
            first_block_bytes=self.block_bytes if schema is not None else self.first_block_bytes,
            max_record_bytes=self.max_record_bytes,
        )
        yield NdjsonDecoder(blocks, schema, called="record", on_type_loss=self.on_type_loss, losses=self.losses)
