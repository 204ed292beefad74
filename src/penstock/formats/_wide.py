"""Encode rows with very large values in pieces, so that no copy of the whole row is made.

A column writer holds a batch several times: in its own buffer, in the growing output, and in the bytes it returns. For
ordinary batches that is some MiB, but a row of 64 MiB would be held five times. So each wide value of such a row is
replaced by a mark, the writer writes the row, and in the output the value is put in the place of its mark. The same writer
writes the value, as many short texts each between two marks, so that the result is the same as if it were written at once.
"""

from __future__ import annotations

import binascii
import secrets
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from penstock.formats import _columns
from penstock.formats._arrow import Column, pyarrow
from penstock.formats._nested import decoded_bytes
from penstock.formats._refusals import is_bytes
from penstock.formats._sizes import pieces

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream

__all__ = ["Encode", "encoded"]

_WIDE_BYTES = 1 << 20
_LARGEST_BATCH_BYTES = 8 << 20
_PIECE_BYTES = 3 << 18  # a multiple of three: bytes become base64
_LONGEST_CHARACTER = 4
_MARK_BYTES = 16  # as hexadecimal: letters and digits, which no CSV quotes with or escapes

Encode = Callable[["pa.RecordBatch"], Iterable[bytes]]
"""Encodes a batch; the pieces are made as they are taken, and are its text one after another."""


def encoded(batches: BatchStream, encoder: Callable[[pa.Schema], Encode]) -> Iterator[tuple[int, Iterable[bytes]]]:
    """Yield the batches, encoded: a number of rows, and the pieces of their text.

    The pieces must have been taken before the next are asked for.

    Args:
        batches: of any columns that the format has a form for.
        encoder: returns what encodes batches of a schema, each by itself. No column is a dictionary or an extension, but for
            UUIDs.
    """
    schema, unwrapping = _columns.unwrapping(batches.schema)
    encode = encoder(schema)
    for plain in _unwrapped(batches, unwrapping):
        if plain.nbytes > min(_LARGEST_BATCH_BYTES, _WIDE_BYTES * plain.num_rows):
            yield from _wide(plain, encode, encoder)
        else:
            yield plain.num_rows, encode(plain)
        del plain  # or it would be kept alive while the next one is waited for


def _unwrapped(batches: BatchStream, unwrapping: Mapping[int, _columns.Converter]) -> Iterator[pa.RecordBatch]:
    """Yield the batches without what columns are wrapped in, a slice at a time where that makes them much larger."""
    for batch in batches:
        size = decoded_bytes(batch) if unwrapping else 0
        step = max(1, batch.num_rows * _LARGEST_BATCH_BYTES // max(_LARGEST_BATCH_BYTES, size))
        for start in range(0, batch.num_rows, step) or (0,):
            plain = _columns.apply(unwrapping, batch.slice(start, step))
            if start + step >= batch.num_rows:
                del batch
            yield plain
            del plain  # or it would be kept alive while the next one is waited for


def _wide(
    batch: pa.RecordBatch, encode: Encode, encoder: Callable[[pa.Schema], Encode]
) -> Iterator[tuple[int, Iterable[bytes]]]:
    for piece in pieces(batch, _WIDE_BYTES):
        wide = [index for index, column in enumerate(piece.columns) if _is_wide(column)]
        if piece.num_rows == 1 and wide:
            yield 1, _spliced(piece, wide, encoder)
        else:
            yield piece.num_rows, encode(piece)


def _is_wide(column: Column) -> bool:
    types, kind = pyarrow().types, column.type
    has_offsets = _columns.is_text(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    return has_offsets and column.nbytes > _PIECE_BYTES and not column.null_count


def _spliced(row: pa.RecordBatch, wide: Sequence[int], encoder: Callable[[pa.Schema], Encode]) -> Iterator[bytes]:
    """Yield the text of one row. A generator, because when it has ended it keeps nothing alive."""
    mark, text = _with_marks(row, wide, encoder)
    for index in wide:
        before, found, text = text.partition(mark.encode())
        assert found, "every wide column has one"
        yield before
        yield from _value(row.column(index), row.schema.field(index).name, encoder, mark.encode())
    yield text


def _with_marks(row: pa.RecordBatch, wide: Sequence[int], encoder: Callable[[pa.Schema], Encode]) -> tuple[str, bytes]:
    """Return a mark that no data contains, and the text of the row with it in the place of each wide value."""
    arrow = pyarrow()
    columns, schema = row.columns, row.schema
    for index in wide:
        schema = schema.set(index, schema.field(index).with_type(arrow.string()))
    mark = secrets.token_hex(_MARK_BYTES)
    for index in wide:
        columns[index] = arrow.array([mark], arrow.string())
    text = b"".join(encoder(schema)(arrow.RecordBatch.from_arrays(columns, schema=schema)))
    return mark, text


def _value(column: Column, name: str, encoder: Callable[[pa.Schema], Encode], mark: bytes) -> Iterator[bytes]:
    data = _data(column)
    texts = map(_base64, _cut(data)) if is_bytes(column.type) else map(bytes, _cut_text(data))
    schema = pyarrow().schema([(name, pyarrow().string())])
    encode = encoder(schema)
    for text in texts:
        _before, written, _after = b"".join(encode(_batch_of(mark + text + mark, schema))).split(mark)
        yield written


def _data(column: Column) -> memoryview:
    """Return the bytes of the only value; ``column[0]`` would be a copy of them."""
    _validity, offsets, data = column.buffers()
    types = pyarrow().types
    is_large = types.is_large_string(column.type) or types.is_large_binary(column.type)
    layout = struct.Struct("=qq" if is_large else "=ii")
    start, end = layout.unpack_from(offsets, column.offset * layout.size // 2)
    return memoryview(data)[start:end]


def _cut(data: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(data), _PIECE_BYTES):
        yield data[start : start + _PIECE_BYTES]


def _cut_text(data: memoryview) -> Iterator[memoryview]:
    """Cut between characters of UTF-8; what is no UTF-8 anywhere, so that the writer can say so."""
    start = 0
    while start < len(data):
        end = start + _PIECE_BYTES
        for place in range(end, end - _LONGEST_CHARACTER, -1):
            if place >= len(data) or data[place] & 0xC0 != 0x80:
                end = place
                break
        yield data[start:end]
        start = end


def _base64(data: memoryview) -> bytes:
    return binascii.b2a_base64(data, newline=False)


def _batch_of(text: bytes, schema: pa.Schema) -> pa.RecordBatch:
    arrow = pyarrow()
    buffers = [None, arrow.py_buffer(struct.pack("=ii", 0, len(text))), arrow.py_buffer(text)]
    column = arrow.Array.from_buffers(arrow.string(), 1, buffers)
    batch: pa.RecordBatch = arrow.RecordBatch.from_arrays([column], schema=schema)
    return batch
