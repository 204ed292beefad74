"""Read NDJSON (one JSON object per line) block by block; errors name the line."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock.core.cancel import check_cancelled
from penstock.errors import SourceError
from penstock.flow.losses import Losses, OnTypeLoss
from penstock.formats._arrow import ArrowType, pyarrow, pyarrow_json
from penstock.formats._exact_numbers import first_inexact_number
from penstock.formats._json_kinds import FirstKinds
from penstock.formats._json_misfits import as_text, first_misfit, fits, kind_of, rewritten

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NdjsonDecoder"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SHOWN_CHARACTERS = 60
_FOUND_AT_THE_BEGINNING = "fields and their types are found at the beginning of the data and stay"
_CHANGED = " changed from "
_ARROWS_PREFIX = re.compile(r"^JSON parse error: |\.? in row \d+$")


class NdjsonDecoder:
    """The batches of one stream: the first block is read when made, the rest while iterating.

    Args:
        blocks: of whole lines; the last may lack its line end.
        schema: the fields allowed, with their types; None to find them in the first block.
        called: what a line is to whoever reads an error.
        on_type_loss: what to do about a value that the type of its column cannot hold. With ``"text"``, columns whose
            values in the first block have no one type are text.
        losses: told about values that became NULL.
    """

    def __init__(
        self,
        blocks: Iterator[bytes],
        schema: pa.Schema | None,
        *,
        called: str = "line",
        on_type_loss: OnTypeLoss = "error",
        losses: Losses | None = None,
    ) -> None:
        self._blocks = blocks
        self._called = called
        self._on_type_loss = on_type_loss
        self._losses = losses or Losses()
        self._line = 1
        self._first_block = next(self._blocks, b"").removeprefix(_BYTE_ORDER_MARK)
        self._types_are_inferred = schema is None
        self.schema = self._inferred() if schema is None else schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        # No name for a block, or it would be here still while its batches are taken: it may hold one wide row.
        for table in map(self._parsed, self._all_blocks()):
            yield from table.combine_chunks().to_batches()
            del table

    def _all_blocks(self) -> Iterator[bytes]:
        if self._first_block:
            yield self._take_first_block()
        yield from self._blocks

    def _take_first_block(self) -> bytes:
        block, self._first_block = self._first_block, b""
        return block

    def _parsed(self, block: bytes) -> pa.Table:
        self._check_text(block)
        table = self._attempted(block)
        if table is None:
            table = self._insisted(block if self._on_type_loss == "error" else rewritten(block, self._fitting))
        self._line += block.count(b"\n")
        return table

    def _attempted(self, block: bytes) -> pa.Table | None:
        """Parse a block; None if something in it is wrong, or does not fit."""
        try:
            table = _read(pyarrow().py_buffer(block), self.schema)
        except pyarrow().ArrowInvalid:
            return None
        return table if first_inexact_number(block, self.schema) is None else None

    def _insisted(self, block: bytes) -> pa.Table:
        """Parse a block, and say what is wrong with it, and where."""
        try:
            table = _read(pyarrow().py_buffer(block), self.schema)
        except pyarrow().ArrowInvalid as exc:
            raise self._translated(str(exc), block, self.schema) from exc
        found = first_inexact_number(block, self.schema)
        if found is not None:
            line, name, number = found
            raise SourceError(
                f"{self._called} {self._line + line}: {name!r} is {number}, which a double can not hold exactly",
                hint="write it as a string where the data is made, or see on_type_loss",
            )
        return table

    def _fitting(self, name: str, value: Any) -> Any:
        """Return what goes into a column for a value, as ``on_type_loss`` says."""
        index = self.schema.get_field_index(name)
        if index < 0:
            return value
        kind = self.schema.field(index).type
        if self._on_type_loss == "text":
            return as_text(value) if pyarrow().types.is_string(kind) else value
        if fits(value, kind):
            return value
        self._losses.add(name, f"{kind_of(value)} that does not fit {kind}")
        return None

    def _inferred(self) -> pa.Schema:
        block = self._first_block
        if not block.strip():
            nothing: pa.Schema = pyarrow().schema([])
            return nothing
        self._check_text(block)
        try:
            table = _read(pyarrow().py_buffer(self._of_one_kind(block)), None)
        except pyarrow().ArrowInvalid as exc:
            raise self._translated(str(exc), block, None) from exc
        schema = _without_guesses(table.schema)
        return _with_text_for_inexact(schema, block) if self._on_type_loss == "text" else schema

    def _of_one_kind(self, block: bytes) -> bytes:
        """Return the first lines with values of one kind in each column, so that Arrow can tell its type."""
        if self._on_type_loss == "error" or _is_readable(block):
            return block
        if self._on_type_loss == "warn":
            return rewritten(block, FirstKinds().kept)
        mixed = {name for _, name, _ in FirstKinds().clashes(block)}
        return rewritten(block, lambda name, value: as_text(value) if name in mixed else value)

    def _check_text(self, block: bytes) -> None:
        arrow = pyarrow()
        buffers = [None, arrow.py_buffer(struct.pack("=qq", 0, len(block))), arrow.py_buffer(block)]
        try:
            arrow.Array.from_buffers(arrow.large_string(), 1, buffers).validate(full=True)
        except arrow.ArrowInvalid:
            self._refuse_bytes(block)

    def _refuse_bytes(self, block: bytes) -> None:
        """Say where a block is no text. To find that takes a copy of it, which to see that it is one does not."""
        try:
            block.decode()
        except UnicodeDecodeError as exc:
            line = self._line + block.count(b"\n", 0, exc.start)
            raise SourceError(
                f"{self._called} {line}: not UTF-8: {exc.reason}", hint="convert the file to UTF-8 first"
            ) from exc

    def _translated(self, message: str, block: bytes, schema: pa.Schema | None) -> SourceError:
        """Find the line Arrow stumbled over. It counts rows only sometimes."""
        start, end, message = self._first_wrong(message, block, schema)
        number = self._line + block.count(b"\n", 0, start)
        line = block[start:end].rstrip(b"\r\n")
        if misfit := _clash(block[:end], message) if schema is None else first_misfit(line, schema):
            return SourceError(f"{self._called} {number}: {misfit}", hint=self._misfit_hint())
        reason = self._what_is_wrong(line, schema) or _without_arrows_words(message)
        return SourceError(f"{self._called} {number}: {reason}", hint=self._hint(schema))

    def _first_wrong(self, message: str, block: bytes, schema: pa.Schema | None) -> tuple[int, int, str]:
        """Return where the first line begins and ends with which those before cannot be read, and what Arrow says of it.

        By halves: to try one line after another takes minutes for a block of many, and where types are to be found, a line
        is wrong only together with others.
        """
        arrow = pyarrow()
        buffer = arrow.py_buffer(block)
        right, wrong = 0, len(block)
        while end := _line_end_between(block, right, wrong):
            check_cancelled()
            start = 0 if schema is None else right
            try:
                if not block[start:end].isspace():  # in which Arrow would find no JSON
                    _read(buffer.slice(start, end - start), schema)
                right = end
            except arrow.ArrowInvalid as exc:
                wrong, message = end, str(exc)
        return right, wrong, message

    def _what_is_wrong(self, line: bytes, schema: pa.Schema | None) -> str:
        shown = line[:_SHOWN_CHARACTERS].decode(errors="replace")
        try:
            record: Any = json.loads(line)
        except ValueError as exc:
            return f"not JSON: {exc.args[0].partition(': line')[0]}: {shown}"
        if not isinstance(record, dict):
            return f"not a JSON object: {shown}"
        new = [] if schema is None else [name for name in record if name not in schema.names]
        if new:
            return f"an unexpected field {new[0]!r}"
        try:
            self._parse_alone(line, schema)
        except pyarrow().ArrowInvalid as exc:
            return _without_arrows_words(str(exc))
        return ""

    def _parse_alone(self, line: bytes, schema: pa.Schema | None) -> None:
        arrow_json = pyarrow_json()
        parse = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer")
        read = arrow_json.ReadOptions(use_threads=False, block_size=len(line) + 1)
        arrow_json.read_json(pyarrow().BufferReader(line), read_options=read, parse_options=parse)

    def _hint(self, schema: pa.Schema | None) -> str:
        if schema is None or not self._types_are_inferred:
            return ""
        return _FOUND_AT_THE_BEGINNING

    def _misfit_hint(self) -> str:
        if not self._types_are_inferred:
            return "convert it, or see on_type_loss"
        if self._on_type_loss == "text":
            return f"{_FOUND_AT_THE_BEGINNING}; raise first_block_bytes, or take on_type_loss warn"
        return f"{_FOUND_AT_THE_BEGINNING}; convert it, or see on_type_loss"


def _clash(block: bytes, message: str) -> str:
    """Say which value is of another kind than those before, if that is what Arrow says; else nothing."""
    if _CHANGED not in message:
        return ""
    return next((str(clash) for _line, _name, clash in FirstKinds().clashes(block)), "")


def _is_readable(block: bytes) -> bool:
    try:
        _read(pyarrow().py_buffer(block), None)
    except pyarrow().ArrowInvalid:
        return False
    return True


def _with_text_for_inexact(schema: pa.Schema, block: bytes) -> pa.Schema:
    """Return ``schema`` with text where the first lines have numbers that a double cannot hold exactly."""
    while found := first_inexact_number(block, schema):
        index = schema.get_field_index(found[1])
        schema = schema.set(index, schema.field(index).with_type(pyarrow().string()))
    return schema


def _read(buffer: pa.Buffer, schema: pa.Schema | None) -> pa.Table:
    arrow_json = pyarrow_json()
    table: pa.Table = arrow_json.read_json(
        pyarrow().BufferReader(buffer),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(buffer) + 1),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=schema,
            newlines_in_values=False,
            unexpected_field_behavior="infer" if schema is None else "error",
        ),
    )
    return table if schema is None else table.select(schema.names)


def _line_end_between(block: bytes, start: int, end: int) -> int:
    """Return where a line ends near the middle of several; 0 where there is one line only from ``start`` to ``end``."""
    middle = (start + end) // 2
    behind = block.find(b"\n", middle, end - 1) + 1
    before = 0 if behind else block.rfind(b"\n", start, middle) + 1
    return behind or before


def _without_arrows_words(message: str) -> str:
    return _ARROWS_PREFIX.sub("", _ARROWS_PREFIX.sub("", message))


def _without_guesses(schema: pa.Schema) -> pa.Schema:
    arrow = pyarrow()
    plain: pa.Schema = arrow.schema([(field.name, _without_guess(field.type)) for field in schema])
    return plain


def _without_guess(kind: ArrowType) -> ArrowType:
    """Return text for what Arrow guessed to be a timestamp, and for what was null so far."""
    arrow = pyarrow()
    types = arrow.types
    if types.is_timestamp(kind) or types.is_null(kind):
        return arrow.string()
    if types.is_list(kind):
        return arrow.list_(_without_guess(kind.value_type))
    if types.is_struct(kind):
        return arrow.struct([(field.name, _without_guess(field.type)) for field in kind])
    return kind
