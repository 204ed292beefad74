"""Cut one encoded stream into request bodies, each of which is complete in itself: whole records, in the same format.

Every body holds as many records as fit into a size, but at least one: a larger record goes alone. If there are no records,
there is no body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, final

from penstock.connectors.http._json_slices import NotJson, end_of_value, skip_space
from penstock.errors import BudgetExceeded, SinkError
from penstock.flow.units import format_bytes

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["CUTTERS", "LARGEST_RECORD_BYTES"]

LARGEST_RECORD_BYTES = 64 << 20

_READ_BYTES = 64 << 10

EndOfRecords = Callable[[bytes, int, int], int]
"""Called with text, where a record begins in it, and a limit: where the last record before the limit ends, else the
first one after it; 0 when none does."""


def _ndjson(stream: ByteReader, body_bytes: int) -> Iterator[bytes]:
    """Yield bodies of whole lines."""
    buffer = _Buffer(stream)
    while body := buffer.take(_end_of_lines, body_bytes):
        yield body


def _csv(stream: ByteReader, body_bytes: int) -> Iterator[bytes]:
    """Yield bodies that each begin with the header line."""
    buffer = _Buffer(stream)
    header = buffer.take(_end_of_csv_records, 1)
    while rows := buffer.take(_end_of_csv_records, max(1, body_bytes - len(header))):
        yield header + rows


def _json(stream: ByteReader, body_bytes: int) -> Iterator[bytes]:
    """Yield bodies that are arrays themselves."""
    held = bytearray()  # not a list: small elements are lighter than Python objects
    for element in _elements(stream):
        if held and len(held) + len(b",\n") + len(element) + len(b"]\n") > body_bytes:
            held += b"]\n"
            yield bytes(held)
            held.clear()
        held += b",\n" if held else b"["
        held += element
    if held:
        held += b"]\n"
        yield bytes(held)


CUTTERS: dict[str, Callable[[ByteReader, int], Iterator[bytes]]] = {
    "ndjson": _ndjson,
    "csv": _csv,
    "tsv": _csv,
    "json": _json,
}
"""By name of the format: cuts a stream of it into bodies of about so many bytes."""


@final
class _Buffer:
    """The part of a stream that was read and not yet taken."""

    def __init__(self, stream: ByteReader) -> None:
        self._stream = stream
        self._text = b""
        self._at = 0

    def take(self, end_of_records: EndOfRecords, wanted: int) -> bytes:
        """Return whole records of up to ``wanted`` bytes, or one that is larger; ``b""`` at the end of the stream.

        Raises:
            BudgetExceeded: a record is larger than any may be.
        """
        is_at_end = False
        while True:
            waiting = len(self._text) - self._at
            if is_at_end and waiting <= wanted:
                return self._cut(len(self._text))
            if waiting >= wanted or is_at_end:
                end = end_of_records(self._text, self._at, self._at + wanted)
                if end or is_at_end:
                    return self._cut(end or len(self._text))
                _check_size(waiting)
            more = self._stream.read(max(_READ_BYTES, wanted - waiting, waiting))
            self._text, self._at = self._text[self._at :] + more, 0
            is_at_end = not more

    def _cut(self, end: int) -> bytes:
        start, self._at = self._at, end
        return self._text[start:end]


def _end_of_lines(text: bytes, start: int, limit: int) -> int:
    return (text.rfind(b"\n", start, limit) + 1) or (text.find(b"\n", limit) + 1)


def _end_of_csv_records(text: bytes, start: int, limit: int) -> int:
    """Look for a line end with an even number of quotes before it: the others are inside a quoted field."""
    end = text.rfind(b"\n", start, limit) + 1
    quotes = text.count(b'"', start, end) if end else 0
    while end and quotes % 2:
        previous = text.rfind(b"\n", start, end - 1) + 1
        quotes -= text.count(b'"', previous or start, end)
        end = previous
    return end or _first_csv_end(text, start)


def _first_csv_end(text: bytes, start: int) -> int:
    quotes, at = 0, start
    while end := text.find(b"\n", at) + 1:
        quotes += text.count(b'"', at, end)
        if quotes % 2 == 0:
            return end
        at = end
    return 0


def _elements(stream: ByteReader) -> Iterator[bytes]:
    """Yield the elements of a JSON array, however it is laid out."""
    text, at, is_inside = b"", 0, False
    while True:
        at = skip_space(text, at)
        if is_inside and text[at : at + 1] == b"]":
            return
        end = _end_of_element(text, at, is_inside=is_inside)
        if end:
            if is_inside and text[at : at + 1] != b",":
                yield text[at:end]
            at, is_inside = end, True
            continue
        _check_size(len(text) - at)
        more = stream.read(max(_READ_BYTES, len(text) - at))
        if not more:
            raise SinkError("the data ends inside of its JSON array")
        text, at = text[at:] + more, 0


def _end_of_element(text: bytes, at: int, *, is_inside: bool) -> int:
    """Return where the bracket, comma or element at ``at`` ends; 0 where more text is needed to know."""
    if at == len(text):
        return 0
    if not is_inside:
        if text[at : at + 1] != b"[":
            raise SinkError("the data is no JSON array, so it can not be sent in several")
        return at + 1
    if text[at : at + 1] == b",":
        return at + 1
    try:
        end = end_of_value(text, at)
    except NotJson:
        return 0
    return end if end < len(text) else 0  # a number may go on


def _check_size(size: int) -> None:
    if size > LARGEST_RECORD_BYTES:
        raise BudgetExceeded(f"a record is larger than {format_bytes(LARGEST_RECORD_BYTES)}")
