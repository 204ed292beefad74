"""Turn values that text formats have no form for into text, a column at a time, without a Python object per value."""

from __future__ import annotations

import binascii
import io

from penstock.formats._arrow import Column, arro3_io, pyarrow, pyarrow_compute, pyarrow_csv

__all__ = ["base64_text", "json_text", "uuid_text"]

_NEVER_IN_JSON = "\x01"  # JSON escapes control characters
_PREFIX, _SUFFIX = '{"v":', "}"
_UUID_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))


def base64_text(column: Column) -> Column:
    """Return bytes of any layout as base64.

    Every value is filled up with zeros to three bytes or a multiple, so that all of them together can be encoded
    in one go and each is still a piece of its own; what was filled up then becomes ``=``.
    """
    arrow, compute = pyarrow(), pyarrow_compute()
    column = column.cast(arrow.large_binary())
    rest = _modulo(compute.binary_length(column), 3).cast(arrow.int64())
    filler = compute.choose(rest, *_constants(b"", b"\0\0", b"\0"))
    filled = compute.binary_join_element_wise(column, filler, *_constants(b""))
    encoded = _each_encoded(filled)
    ends = compute.choose(rest, *_constants(b"", b"==", b"="))
    starts = compute.choose(rest, encoded, compute.binary_slice(encoded, 0, -2), compute.binary_slice(encoded, 0, -1))
    return compute.binary_join_element_wise(starts, ends, *_constants(b"")).cast(arrow.string())


def uuid_text(column: Column) -> Column:
    """Return UUIDs, an extension of 16 bytes, in their usual form."""
    arrow, compute = pyarrow(), pyarrow_compute()
    column = column.storage.cast(arrow.large_binary())
    offsets, data = _laid_out(column)
    digits = _with_layout(column, compute.multiply(offsets, 2), data.hex().encode())
    groups = [compute.binary_slice(digits, start, stop) for start, stop in _UUID_GROUPS]
    return compute.binary_join_element_wise(*groups, *_constants(b"-")).cast(arrow.string())


def json_text(column: Column) -> Column:
    """Return each value as the JSON text that NDJSON would have for it; a string comes without its quotes."""
    arrow, compute, csv = pyarrow(), pyarrow_compute(), pyarrow_csv()
    if not len(column):
        return arrow.array([], arrow.string())
    buffer = io.BytesIO()
    arro3_io().write_ndjson(arrow.table({"v": column}), buffer, explicit_nulls=True)
    size = buffer.tell()
    buffer.seek(0)
    lines = csv.read_csv(
        buffer,
        read_options=csv.ReadOptions(column_names=["v"], use_threads=False, block_size=size + 1),
        parse_options=csv.ParseOptions(delimiter=_NEVER_IN_JSON, quote_char=False),
        convert_options=csv.ConvertOptions(column_types={"v": arrow.string()}, strings_can_be_null=False),
    )["v"].combine_chunks()
    values = compute.utf8_slice_codeunits(lines, len(_PREFIX), -len(_SUFFIX))
    return compute.if_else(column.is_valid(), compute.utf8_trim(values, '"'), None)


def _constants(*values: bytes) -> list[Column]:
    arrow = pyarrow()
    return [arrow.scalar(value, arrow.large_binary()) for value in values]


def _modulo(numbers: Column, divisor: int) -> Column:
    compute = pyarrow_compute()
    return compute.subtract(numbers, compute.multiply(compute.divide(numbers, divisor), divisor))


def _each_encoded(filled: Column) -> Column:
    compute = pyarrow_compute()
    offsets, data = _laid_out(filled)
    return _with_layout(
        filled, compute.multiply(compute.divide(offsets, 3), 4), binascii.b2a_base64(data, newline=False)
    )


def _laid_out(column: Column) -> tuple[Column, bytes | memoryview]:
    """Return where the values of a column of large binary begin and end, from 0 on, and the bytes themselves."""
    arrow, compute = pyarrow(), pyarrow_compute()
    _validity, offsets, data = column.buffers()
    places = arrow.Array.from_buffers(arrow.int64(), len(column) + 1, [None, offsets], 0, column.offset)
    start, stop = places[0].as_py(), places[-1].as_py()
    return compute.subtract(places, start), memoryview(data or b"")[start:stop]


def _with_layout(like: Column, offsets: Column, data: bytes) -> Column:
    """Return a column of large binary, NULL where ``like`` is, with these places in these bytes."""
    arrow, compute = pyarrow(), pyarrow_compute()
    buffers = [None, offsets.buffers()[1], arrow.py_buffer(data)]
    values = arrow.Array.from_buffers(arrow.large_binary(), len(like), buffers, 0)
    return compute.if_else(like.is_valid(), values, None)
