"""NDJSON (JSON Lines): one JSON object per line. To add a format of your own, start from this module.

Writing keeps every value: decimals are numbers with all their digits, timestamps ISO 8601 text (with offset where
there is a time zone), bytes base64 text, NULL an explicit ``null``. JSON has no NaN and no infinity: they become the
strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, as PostgreSQL's ``to_json`` writes them. What has no form in text,
such as a year beyond 9999, is an error that names the column: see :mod:`penstock.formats._text_limits`.

Reading infers the columns and their types from the first :data:`FIRST_BLOCK_BYTES`, and later values are not made to fit.
A field that appears afterwards is an error that names the line. A value of another type, or a number that neither an
int64 nor a double holds exactly, is treated as ``on_type_loss`` says. Text stays text, even if it looks like a date.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, final

from penstock.errors import ConfigurationError
from penstock.flow.losses import Losses, OnTypeLoss
from penstock.formats import _columns
from penstock.formats._arrow import arro3_io
from penstock.formats._as_text import json_text
from penstock.formats._base import BaseFormat
from penstock.formats._blocks import BLOCK_BYTES, MAX_RECORD_BYTES, last_newline, whole_records
from penstock.formats._ndjson_decoder import NdjsonDecoder
from penstock.formats._non_finite import NonFiniteFloats
from penstock.formats._refusals import refuse_types
from penstock.formats._sizes import pieces
from penstock.formats._text_limits import TextLimits
from penstock.formats._wide import Encode, encoded

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream, ByteReader, ByteWriter

__all__ = ["FIRST_BLOCK_BYTES", "Ndjson", "encoded_lines"]

FIRST_BLOCK_BYTES = 4 << 20
# arro3 lets no other thread run Python while it writes. In pieces of 2 ms the source gets its turn, and reads on meanwhile.
_PIECE_BYTES = 512 << 10
_MOST_ROOM_BYTES = 4 * _PIECE_BYTES


@dataclass(frozen=True)
class Ndjson(BaseFormat):
    """The NDJSON format.

    Args:
        name: its name for ``--format``.
        media_type: the content type for HTTP and object stores.
        block_bytes: how many bytes to read and parse at a time.
        first_block_bytes: how many bytes to infer types from, when reading without a schema.
        max_record_bytes: the longest line allowed when reading.
        on_type_loss: when reading, what to do with values that the type of their column cannot hold.
        losses: counts the values that became NULL.
    """

    name: str = "ndjson"
    media_type: str = "application/x-ndjson"
    block_bytes: int = BLOCK_BYTES
    first_block_bytes: int = FIRST_BLOCK_BYTES
    max_record_bytes: int = MAX_RECORD_BYTES
    on_type_loss: OnTypeLoss = field(default="error", compare=False)
    losses: Losses | None = field(default=None, compare=False, repr=False)

    @property
    def concatenates(self) -> bool:
        """True: a file is nothing but its lines."""
        return True

    def encode(self, batches: BatchStream, out: ByteWriter) -> int:
        """Write every batch; return the number of rows. Does not close ``out``.

        Raises:
            ConfigurationError: two columns have the same name, or one has a type or a value that JSON cannot hold.
        """
        rows = 0
        for count, lines in encoded_lines(batches):
            rows += count
            if count:
                for piece in lines:
                    out.write(piece)
                out.write(b"\n")
        return rows

    def with_losses(self, on_type_loss: OnTypeLoss, losses: Losses) -> Ndjson:
        """Return this format for reading that does with values that do not fit what ``on_type_loss`` says."""
        return replace(self, on_type_loss=on_type_loss, losses=losses)

    @contextmanager
    def decode(self, stream: ByteReader, schema: pa.Schema | None = None) -> Iterator[BatchStream]:
        """Read batches; the first block is read at once, the rest while iterating. Does not close ``stream``.

        Args:
            stream: the bytes, UTF-8. An empty stream has no columns and no rows.
            schema: the fields allowed, with their types; None to infer them from the first block.

        Raises:
            SourceError: a line is invalid; names the line.
            BudgetExceeded: a line is longer than ``max_record_bytes``.
        """
        blocks = whole_records(
            stream,
            last_newline,
            block_bytes=self.block_bytes,
            first_block_bytes=None if schema is not None else self.first_block_bytes,
            max_record_bytes=self.max_record_bytes,
        )
        yield NdjsonDecoder(blocks, schema, on_type_loss=self.on_type_loss, losses=self.losses)


def encoded_lines(batches: BatchStream) -> Iterator[tuple[int, Iterable[bytes]]]:
    """Yield, for some rows at a time, their number and the pieces of their lines, the last line without its line end.

    JSON needs something else in place of that line end, and removing it later would copy everything.

    Raises:
        ConfigurationError: two columns have the same name, or one has a type or a value that JSON cannot hold.
    """
    _refuse_repeated_names(batches.schema.names)
    refuse_types(_columns.unwrapping(batches.schema)[0], json_text)
    return encoded(batches, _encoder)


def _encoder(schema: pa.Schema) -> Encode:
    converters, limits = _columns.for_ndjson(schema), TextLimits(schema)
    floats = NonFiniteFloats(schema, quoted=True)
    lines = _Lines()

    def encode(batch: pa.RecordBatch) -> Iterator[bytes]:
        limits.check(batch)
        ready = _columns.apply(converters, floats.marked(batch))
        for number, piece in enumerate(pieces(ready, _PIECE_BYTES)):
            if number:
                yield b"\n"
            yield floats.unmarked(lines.of(piece))

    return encode


@final
class _Lines:
    """Writes lines into a buffer allocated beforehand, as large as the previous one turned out.

    A growing buffer is reallocated again and again, in sizes that fragment memory: that was measured to cause most of the
    growth in memory from one million rows to ten.
    """

    def __init__(self) -> None:
        self._row_bytes = 0

    def of(self, batch: pa.RecordBatch) -> bytes:
        """Return the lines of a piece, the last without its line end."""
        if batch.num_columns == 0:
            return b"\n".join([b"{}"] * batch.num_rows)
        buffer = io.BytesIO()
        if room := min(self._row_bytes * batch.num_rows * 9 // 8, _MOST_ROOM_BYTES):
            buffer.seek(room - 1)
            buffer.write(b"\0")
            buffer.seek(0)
        arro3_io().write_ndjson(batch, buffer, explicit_nulls=True)
        size = max(0, buffer.tell() - 1)
        buffer.truncate(size)
        self._row_bytes = size // max(1, batch.num_rows)
        return buffer.getvalue()


def _refuse_repeated_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"two columns are called {name!r}, which a JSON object can not hold; rename one in the query (AS ...)"
            )
