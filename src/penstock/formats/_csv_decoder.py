"""Read CSV strictly, block by block; errors name the line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from penstock.errors import SourceError
from penstock.flow.losses import Losses, OnTypeLoss
from penstock.formats import _columns
from penstock.formats._arrow import ArrowType, Column, pyarrow, pyarrow_csv
from penstock.formats._blocks import whole_records
from penstock.formats._csv_misfits import fitting
from penstock.formats._refusals import is_bytes

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import ByteReader

__all__ = ["CsvDecoder", "CsvLayout"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# An empty line to skip, before a block that begins so: Arrow takes U+FEFF there for a mark, not for data.
_BLOCK_PREFIX = b"\n"
_TRUE = ["true", "t", "True", "TRUE", "1"]
_FALSE = ["false", "f", "False", "FALSE", "0"]
_ROW_IN_ARROWS_MESSAGE = re.compile(r"(?:CSV parse error: )?(.*?)Row #(\d+): (.*)", re.DOTALL)


@dataclass(frozen=True)
class CsvLayout:
    """How a file is laid out; see :class:`penstock.formats.csv.Csv`."""

    delimiter: str
    quote: str
    null: str
    header: bool
    names: tuple[str, ...] | None


class CsvDecoder:
    """The batches of one stream: the header is read when made, the rest while iterating."""

    def __init__(
        self,
        stream: ByteReader,
        schema: pa.Schema | None,
        *,
        layout: CsvLayout,
        infer_types: bool,
        block_bytes: int,
        max_record_bytes: int,
        on_type_loss: OnTypeLoss = "error",
        losses: Losses | None = None,
    ) -> None:
        self._layout = layout
        self._types_are_inferred = schema is None and infer_types
        self._on_type_loss = on_type_loss
        self._losses = losses or Losses()
        self._quote = quote = layout.quote.encode()
        self._blocks = whole_records(
            stream,
            _RecordEnds(quote),
            block_bytes=block_bytes,
            max_record_bytes=max_record_bytes,
        )
        self._line = 1
        first = next(self._blocks, b"").removeprefix(_BYTE_ORDER_MARK)
        names, self._first_rows = self._split_header(first) if layout.header else self._numbered(first)
        self._column_count = len(names)
        self.schema = self._inferred(names, infer_types) if schema is None else self._expected(schema, names)
        self._parsed_types = [_parsed_type(field.type) for field in self.schema]
        self._converters = {
            index: _columns.from_base64
            for index, (field, parsed) in enumerate(zip(self.schema, self._parsed_types, strict=True))
            if field.type != parsed
        }

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        # No name for a block, or it would be here still while its batches are taken: it may hold one wide row.
        for table in map(self._parsed, self._all_blocks()):
            for batch in table.combine_chunks().to_batches():
                columns = _columns.apply(self._converters, batch).columns
                yield pyarrow().RecordBatch.from_arrays(columns, schema=self.schema)
                del batch, columns
            del table

    def _all_blocks(self) -> Iterator[bytes]:
        if self._first_rows:
            yield self._take_first_rows()
        yield from self._blocks

    def _take_first_rows(self) -> bytes:
        rows, self._first_rows = self._first_rows, b""
        return rows

    def _parsed(self, block: bytes) -> pa.Table:
        self._check_quotes(block)
        self._check_line_ends(block)
        table = self._fitted(block)
        self._line += block.count(b"\n")
        return table

    def _fitted(self, block: bytes) -> pa.Table:
        """Parse a block; what does not fit its column is an error, or NULL."""
        try:
            return self._table(block, self._parsed_types)
        except SourceError as exc:
            if self._on_type_loss != "warn" or not _is_misfit(str(exc)):
                raise
        arrow = pyarrow()
        texts = self._table(block, [arrow.string()] * self._column_count)
        columns = [
            self._fitted_column(field.name, column, kind)
            for field, column, kind in zip(self.schema, texts.columns, self._parsed_types, strict=True)
        ]
        table: pa.Table = arrow.Table.from_arrays(columns, names=texts.column_names)
        return table

    def _fitted_column(self, name: str, texts: Column, kind: ArrowType) -> Column:
        if kind == texts.type or not len(texts):
            return texts.cast(kind)
        lost = partial(self._losses.add, name, f"text that is no {kind}")
        return fitting(texts, kind, booleans=(_TRUE, _FALSE), lost=lost)

    def _split_header(self, block: bytes) -> tuple[list[str], bytes]:
        end = _end_of_first_record(block, self._quote)
        header, rows = block[:end], block[end:]
        if not header:
            return [], b""
        names = self._fields(header, "the header")
        if not names:
            raise SourceError("line 1 is empty, where the header line should be")
        self._line += header.count(b"\n")
        return names, rows

    def _numbered(self, block: bytes) -> tuple[list[str], bytes]:
        """Return names for the columns of a file without a header line."""
        if not block:
            return list(self._layout.names or ()), b""
        count = len(self._fields(block[: _end_of_first_record(block, self._quote)], "the first line")) or 1
        names = self._layout.names or [f"column{number}" for number in range(1, count + 1)]
        if len(names) != count:
            raise SourceError(
                f"line 1 has {count} fields, and there are {len(names)} names", hint="see the option names"
            )
        return list(names), block

    def _fields(self, record: bytes, called: str) -> list[str]:
        self._check_quotes(record)
        self._check_line_ends(record)
        try:
            text = record.decode()
        except UnicodeDecodeError as exc:
            raise SourceError(f"line 1: {called} is not UTF-8", hint="convert the file to UTF-8 first") from exc
        layout = self._layout
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter, quotechar=layout.quote), [])

    def _expected(self, schema: pa.Schema, names: list[str]) -> pa.Schema:
        if not self._layout.header and self._layout.names is None and len(names) in {0, len(schema.names)}:
            return schema
        if schema.names != names:
            raise SourceError(f"the header names the columns {names}, not {schema.names} as expected")
        return schema

    def _inferred(self, names: list[str], infer_types: bool) -> pa.Schema:
        arrow = pyarrow()
        types = [arrow.string()] * len(names)
        if infer_types and self._first_rows:
            guessed = self._table(self._first_rows, None).schema
            types = [arrow.string() if arrow.types.is_null(field.type) else field.type for field in guessed]
        schema: pa.Schema = arrow.schema(list(zip(names, types, strict=True)))
        return schema

    def _table(self, block: bytes, types: list[ArrowType] | None) -> pa.Table:
        arrow, arrow_csv = pyarrow(), pyarrow_csv()
        names = [str(index) for index in range(self._column_count)]  # the real ones may occur twice
        skipped = _rows_before(block)
        try:
            table: pa.Table = arrow_csv.read_csv(
                arrow.BufferReader(_BLOCK_PREFIX + block if skipped else block),
                # One thread: it is what makes Arrow say which row is wrong.
                read_options=arrow_csv.ReadOptions(
                    column_names=names,
                    skip_rows=skipped,
                    use_threads=False,
                    block_size=len(_BLOCK_PREFIX) + len(block) + 1,
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._layout.delimiter,
                    quote_char=self._layout.quote,
                    newlines_in_values=True,
                    ignore_empty_lines=self._column_count > 1,  # of one column, an empty line is a NULL
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=None if types is None else dict(zip(names, types, strict=True)),
                    null_values=[self._layout.null],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    true_values=_TRUE,
                    false_values=_FALSE,
                ),
            )
        except arrow.ArrowInvalid as exc:
            raise self._translated(str(exc), block) from exc
        return table

    def _translated(self, message: str, block: bytes) -> SourceError:
        match = _ROW_IN_ARROWS_MESSAGE.match(message)
        if match is None:
            return SourceError(message)
        column, row, reason = match.groups()
        keep_blank = self._column_count == 1
        number = int(row) - _rows_before(block)
        line = self._line + _lines_before_record(block, number, self._quote, keep_blank=keep_blank)
        index = re.search(r"column #(\d+)", column)
        name = f"column {self.schema.field(int(index[1])).name!r}: " if index else ""
        return SourceError(f"line {line}: {name}{reason}", hint=self._misfit_hint() if _is_misfit(reason) else "")

    def _misfit_hint(self) -> str:
        if not self._types_are_inferred:
            return "convert it, or see on_type_loss"
        return "infer_types guesses from the first block: without it all is text; with on_type_loss warn, this is NULL"

    def _check_quotes(self, block: bytes) -> None:
        """Refuse quotes that RFC 4180 does not allow; Arrow guesses what they mean, also at a cut-off end."""
        if self._quote not in block:
            return
        match = _well_formed(self._layout.delimiter, self._layout.quote).match(block)
        end = match.end() if match else 0
        if end == len(block):
            return
        line = self._line + block.count(b"\n", 0, end)
        if block.count(self._quote, end) % 2:
            raise SourceError(
                f"line {line}: a quoted field that never ends",
                hint=f"the file was cut short, or a quote inside a field is not doubled ({self._layout.quote * 2})",
            )
        raise SourceError(
            f"line {line}: a quote in the middle of a field",
            hint=f"quote the field and double the quote: {self._layout.quote * 2}",
        )

    def _check_line_ends(self, block: bytes) -> None:
        """Refuse a CR that is no part of a line end, and not in quotes: Arrow ends a row there, a header never ends."""
        if block.count(b"\r") == block.count(b"\r\n"):
            return
        for found in _quoted_or_bare_return(self._layout.quote).finditer(block):
            if found[0] == b"\r":
                line = self._line + block.count(b"\n", 0, found.start())
                raise SourceError(
                    f"line {line}: a carriage return (CR) without a line feed (LF), outside quotes",
                    hint="lines end with LF or CRLF: convert the file (tr '\\r' '\\n'), or quote the field",
                )


@lru_cache
def _quoted_or_bare_return(quote: str) -> re.Pattern[bytes]:
    mark = re.escape(quote)
    return re.compile(f"{mark}[^{mark}]*{mark}|\r(?!\n)".encode())


@lru_cache
def _well_formed(delimiter: str, quote: str) -> re.Pattern[bytes]:
    """Match as much of a text as follows RFC 4180; in linear time, as nothing in it is tried twice."""
    marks = {"separator": re.escape(delimiter), "quote": re.escape(quote)}
    pattern = (
        r"(?:[^{quote}]*+"
        r"(?<![^{separator}\n]){quote}"
        r"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+"
        r"{quote}(?=[{separator}\r\n]|\Z))*+[^{quote}]*+"
    )
    return re.compile(pattern.format(**marks).encode())


def _is_misfit(message: str) -> bool:
    """Whether Arrow says that a field is not of its column's type. Of text, it says that it is no UTF-8."""
    return "conversion error to" in message and "conversion error to string" not in message


def _rows_before(block: bytes) -> int:
    return int(block.startswith(_BYTE_ORDER_MARK))


class _RecordEnds:
    """Finds line ends outside quotes, chunk by chunk: those with an even number of quotes before them."""

    def __init__(self, quote: bytes) -> None:
        self._quote = quote
        self._is_quoted = 0  # whether the number of quotes so far is odd

    def __call__(self, chunk: bytes) -> int:
        """Return the offset after the last one in ``chunk``, 0 when there is none."""
        end = chunk.rfind(b"\n") + 1
        quotes = self._is_quoted + chunk.count(self._quote, 0, end)
        self._is_quoted = (quotes + chunk.count(self._quote, end)) % 2
        while end and quotes % 2:
            previous = chunk.rfind(b"\n", 0, end - 1) + 1
            quotes -= chunk.count(self._quote, previous, end)
            end = previous
        return end


def _end_of_first_record(block: bytes, quote: bytes) -> int:
    end = quotes = 0
    while True:
        newline = block.find(b"\n", end)
        if newline < 0:
            return len(block)
        quotes += block.count(quote, end, newline)
        end = newline + 1
        if quotes % 2 == 0:
            return end


def _lines_before_record(block: bytes, number: int, quote: bytes, *, keep_blank: bool) -> int:
    """Return how many line ends precede the record of that number, counted from 1 as Arrow does."""
    records = 0
    inside_quotes = False
    for line_number, line in enumerate(block.split(b"\n")):
        if not inside_quotes and (keep_blank or line.strip(b"\r")):
            records += 1
            if records == number:
                return line_number
        inside_quotes ^= line.count(quote) % 2 == 1
    return 0


def _parsed_type(kind: ArrowType) -> ArrowType:
    """Return what Arrow is to parse a field as: bytes are base64 in the text, which it does not know."""
    return pyarrow().string() if is_bytes(kind) else kind
