r"""CSV as RFC 4180 has it, with a header line; NULL is an empty field, the empty string is ``""``.

Reading takes nothing for granted: every column is text unless the caller knows better (``schema``) or asks for
guesses (``infer_types``), so that ``007``, ``1.10`` and ``2024-02-30`` arrive as they are. It is also strict about
quotes. A lenient reader takes ``5" pipe`` as it stands, but then a quoted field that was cut off in the middle reads
as a shorter one; here both are an error that names the line.

Writing quotes every string and no NULL, which keeps the two apart. PostgreSQL's ``COPY ... CSV`` follows the same
rule, so its output reads back here, and ours there. What CSV has no form for goes as text: bytes as base64,
lists and structs as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.formats import _columns
from penstock.formats._arrow import pyarrow, pyarrow_csv
from penstock.formats._blocks import BLOCK_BYTES, MAX_RECORD_BYTES
from penstock.formats._csv_decoder import CsvDecoder

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream, ByteReader, ByteWriter

__all__ = ["Csv", "tab_separated"]


@dataclass(frozen=True)
class Csv:
    """The CSV format.

    Args:
        name: what ``--format`` calls it.
        media_type: for HTTP and object stores.
        delimiter: one character between fields.
        infer_types: when reading without a schema, guess types from the first block instead of taking text.
        block_bytes: how much to read, parse and hand on at a time.
        max_record_bytes: the longest record allowed when reading.
    """

    name: str = "csv"
    media_type: str = "text/csv"
    delimiter: str = ","
    infer_types: bool = False
    block_bytes: int = BLOCK_BYTES
    max_record_bytes: int = MAX_RECORD_BYTES

    def encode(self, batches: BatchStream, out: ByteWriter) -> int:
        """Write a header line and every batch; return the number of rows. Does not close ``out``.

        Raises:
            ConfigurationError: a column can not be written as CSV.
        """
        converters = _columns.for_csv(batches.schema)
        options = pyarrow_csv().WriteOptions(include_header=False, delimiter=self.delimiter)
        out.write(self._header(batches.schema.names))
        rows = 0
        for batch in batches:
            buffer = pyarrow().BufferOutputStream()
            pyarrow_csv().write_csv(_columns.apply(converters, batch), buffer, options)
            if data := buffer.getvalue().to_pybytes():
                out.write(data)
            rows += batch.num_rows
        return rows

    @contextmanager
    def decode(self, stream: ByteReader, schema: pa.Schema | None = None) -> Iterator[BatchStream]:
        """Read batches; the header line is read at once, the rest as it is asked for. Does not close ``stream``.

        Args:
            stream: the bytes, UTF-8. Without any, there are no columns and no rows.
            schema: the columns the header must name, with their types; None for text (or ``infer_types``).
                A field of bytes is base64 in the text.

        Raises:
            SourceError: the header is not what the schema says, or (while iterating) a record is not what it should
                be; names the line.
            BudgetExceeded: a record is longer than ``max_record_bytes``.
        """
        yield CsvDecoder(
            stream,
            schema,
            delimiter=self.delimiter,
            infer_types=self.infer_types,
            block_bytes=self.block_bytes,
            max_record_bytes=self.max_record_bytes,
        )

    def _header(self, names: list[str]) -> bytes:
        if not names:
            return b""
        return (self.delimiter.join(map(self._quoted_if_needed, names)) + "\n").encode()

    def _quoted_if_needed(self, name: str) -> str:
        if name and not any(character in name for character in ('"', "\n", "\r", self.delimiter)):
            return name
        return '"' + name.replace('"', '""') + '"'


def tab_separated() -> Csv:
    """Return CSV with tabs between fields: the format ``tsv``."""
    return Csv(name="tsv", media_type="text/tab-separated-values", delimiter="\t")
