r"""CSV as in RFC 4180, with a header line. NULL is an empty field; the empty string is ``""``.

Reading guesses nothing: every column is text unless the caller gives its type (``schema``) or asks for guesses
(``infer_types``), so ``007``, ``1.10`` and ``2024-02-30`` arrive unchanged. It is also strict about quotes. A lenient
reader accepts ``5" pipe``, but then reads a quoted field that was cut off as a shorter one; here both are errors that
name the line.

Writing quotes every string and no NULL, so the two can be told apart. PostgreSQL's ``COPY ... CSV`` follows the same
rule, so each can read the other's output. Values that CSV has no form for are written as text: bytes as base64, lists
and structs as JSON. NaN and the infinities are spelled as in PostgreSQL.

For another delimiter or quote, another text for NULL, or no header line, see :class:`Csv`. The encoding is always UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

from penstock.errors import ConfigurationError
from penstock.flow.losses import Losses, OnTypeLoss
from penstock.formats import _columns
from penstock.formats._arrow import ArrowType, pyarrow, pyarrow_csv
from penstock.formats._as_text import json_text
from penstock.formats._base import BaseFormat
from penstock.formats._blocks import BLOCK_BYTES, MAX_RECORD_BYTES
from penstock.formats._csv_decoder import CsvDecoder, CsvLayout
from penstock.formats._non_finite import NonFiniteFloats
from penstock.formats._options import OptionError
from penstock.formats._refusals import refuse_types
from penstock.formats._text_limits import TextLimits
from penstock.formats._wide import Encode, encoded

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream, ByteReader, ByteWriter

__all__ = ["Csv", "Tsv"]

_TAB = "\t"
_SPELLED_DELIMITERS = {"\\t": _TAB, "tab": _TAB}
_SPELLED_LINE_ENDS = {"\\n": "\n", "lf": "\n", "\\r\\n": "\r\n", "crlf": "\r\n"}
_STANDARD_QUOTE = '"'


@dataclass(frozen=True)
class Csv(BaseFormat):
    r"""The CSV format.

    Args:
        name: its name for ``--format``.
        media_type: the content type for HTTP and object stores.
        delimiter: one ASCII character between fields; a tab may be spelled ``\t`` or ``tab``.
        quote: one ASCII character around text; inside text it is doubled.
        null: the text that stands for NULL, unquoted; a string that happens to be the same is quoted.
        header: whether the first line names the columns.
        names: the column names when reading without a header line; None for ``column1``, ``column2``, ...
        line_end: ``"\n"`` or ``"\r\n"`` (or ``lf``, ``crlf``) after each record when writing; reading accepts both.
        infer_types: when reading without a schema, guess types from the first block instead of reading text.
        block_bytes: how many bytes to read and parse at a time.
        max_record_bytes: the longest record allowed when reading.
        on_type_loss: when reading, what to do with values that the type of their column cannot hold.
        losses: counts the values that became NULL.
    """

    name: str = "csv"
    media_type: str = "text/csv"
    delimiter: str = ","
    quote: str = _STANDARD_QUOTE
    null: str = ""
    header: bool = True
    names: tuple[str, ...] | None = None
    line_end: str = "\n"
    infer_types: bool = False
    block_bytes: int = BLOCK_BYTES
    max_record_bytes: int = MAX_RECORD_BYTES
    on_type_loss: OnTypeLoss = field(default="error", compare=False)
    losses: Losses | None = field(default=None, compare=False, repr=False)

    shaping: ClassVar[frozenset[str]] = frozenset({"delimiter", "quote", "null", "header", "line_end"})

    def __post_init__(self) -> None:
        # Frozen, but as people spell it on a command line it is not yet what it is.
        object.__setattr__(self, "delimiter", _SPELLED_DELIMITERS.get(self.delimiter, self.delimiter))
        object.__setattr__(self, "line_end", _SPELLED_LINE_ENDS.get(self.line_end, self.line_end))
        for option in ("delimiter", "quote"):
            value = getattr(self, option)
            if len(value) != 1 or not value.isascii() or value in "\r\n\0":
                raise OptionError(option, value, "one ASCII character")
            if value.isalnum():
                raise OptionError(option, value, "a character that is no letter and no digit, which stand in numbers")
        if self.delimiter == self.quote:
            raise OptionError("quote", self.quote, "another character than the delimiter")
        if any(character in self.null for character in (self.delimiter, self.quote, "\r", "\n")):
            raise OptionError("null", self.null, "text without delimiters, quotes and line ends")
        if self.line_end not in {"\n", "\r\n"}:
            raise OptionError("line_end", self.line_end, "lf or crlf")
        if self.names is not None and self.header:
            raise OptionError("names", ",".join(self.names), "names only together with header=false")

    @property
    def concatenates(self) -> bool:
        """Whether a file is just its records, without a header line."""
        return not self.header

    def encode(self, batches: BatchStream, out: ByteWriter) -> int:
        """Write a header line and every batch; return the number of rows. Does not close ``out``.

        Raises:
            ConfigurationError: CSV cannot hold the type or a value of a column, or there are rows without columns.
        """
        refuse_types(_columns.unwrapping(batches.schema)[0], json_text)
        if self.header:
            out.write(self._header(batches.schema.names))
        rows = 0
        for count, pieces in encoded(batches, self._encoder):
            rows += count
            if count and not batches.schema.names:
                raise ConfigurationError(f"there are rows without columns, which {self.name.upper()} can not hold")
            for piece in pieces:
                if piece:
                    out.write(piece)
        return rows

    def with_losses(self, on_type_loss: OnTypeLoss, losses: Losses) -> Self:
        """Return this format for reading that does with values that do not fit what ``on_type_loss`` says."""
        return replace(self, on_type_loss=on_type_loss, losses=losses)

    @contextmanager
    def decode(self, stream: ByteReader, schema: pa.Schema | None = None) -> Iterator[BatchStream]:
        """Read batches; the header line is read at once, the rest while iterating. Does not close ``stream``.

        Args:
            stream: the bytes, UTF-8. An empty stream has no columns and no rows.
            schema: the columns that the header must name, with their types; None for text (or ``infer_types``).
                A field of bytes is base64 in the text.

        Raises:
            SourceError: the header does not match the schema, or (while iterating) a record is invalid; names the line.
            BudgetExceeded: a record is longer than ``max_record_bytes``.
        """
        layout = CsvLayout(self.delimiter, self.quote, self.null, self.header, self.names)
        yield CsvDecoder(
            stream,
            schema,
            layout=layout,
            infer_types=self.infer_types,
            block_bytes=self.block_bytes,
            max_record_bytes=self.max_record_bytes,
            on_type_loss=self.on_type_loss,
            losses=self.losses,
        )

    def _encoder(self, schema: pa.Schema) -> Encode:
        self._refuse_ambiguous(schema)
        converters, limits = _columns.for_csv(schema), TextLimits(schema)
        floats = NonFiniteFloats(schema, quoted=False)
        options = pyarrow_csv().WriteOptions(
            include_header=False,
            delimiter=self._swapped(self.delimiter),
            eol=self.line_end,
            null_string=self._swapped(self.null),
        )

        def encode(batch: pa.RecordBatch) -> tuple[bytes, ...]:
            limits.check(batch)
            buffer = pyarrow().BufferOutputStream()
            ready = self._with_swapped_quotes(_columns.apply(converters, floats.marked(batch)))
            pyarrow_csv().write_csv(ready, buffer, options)
            data = floats.unmarked(buffer.getvalue().to_pybytes())
            return (data if self.quote == _STANDARD_QUOTE else data.translate(self._swap),)

        return encode

    def _refuse_ambiguous(self, schema: pa.Schema) -> None:
        """Only text is quoted: a time has spaces and colons, a date and a number have signs and points."""
        for column in schema:
            for option in ("delimiter", "quote"):
                if (character := getattr(self, option)) in _characters_of(column.type):
                    raise ConfigurationError(
                        f"column {column.name!r} is {column.type}, whose values are not quoted and may have the {option} "
                        f"{character!r} in them; choose another {option}, or make it text in the query"
                    )

    # Arrow quotes with double quotes only. For another character the two change places, in what it is given and
    # in what it has written: text comes out as it was, and what it quoted with is the other character.

    @property
    def _swap(self) -> bytes:
        both = (self.quote + _STANDARD_QUOTE).encode()
        return bytes.maketrans(both, both[::-1])

    def _swapped(self, text: str) -> str:
        return text.encode().translate(self._swap).decode()

    def _with_swapped_quotes(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self.quote == _STANDARD_QUOTE:
            return batch
        swap = self._swap
        texts = [index for index, kind in enumerate(batch.schema.types) if _columns.is_text(kind)]
        return _columns.apply(dict.fromkeys(texts, lambda column: _columns.translated(column, swap)), batch)

    def _header(self, names: list[str]) -> bytes:
        if not names:
            return b""
        return (self.delimiter.join(map(self._quoted_if_needed, names)) + self.line_end).encode()

    def _quoted_if_needed(self, name: str) -> str:
        if name and not any(character in name for character in (self.quote, "\n", "\r", self.delimiter)):
            return name
        return self.quote + name.replace(self.quote, self.quote * 2) + self.quote


@dataclass(frozen=True)
class Tsv(Csv):
    """CSV with tabs between fields."""

    name: str = "tsv"
    media_type: str = "text/tab-separated-values"
    delimiter: str = _TAB


def _characters_of(kind: ArrowType) -> str:
    """Return what stands in values of a type besides letters and digits, where they are written without quotes."""
    types = pyarrow().types
    if types.is_timestamp(kind):
        return "+-: ."
    if types.is_floating(kind) or types.is_decimal(kind):
        return "+-."
    if types.is_time(kind):
        return ":."
    return "-" if types.is_integer(kind) or types.is_date(kind) else ""
