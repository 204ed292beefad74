"""Extract the records of a JSON array of any size, holding only a few of them at a time.

The text is not parsed here, only split at its brackets, quotes and commas. A regular expression does that for values
nested up to :data:`_DEPTH` deep, in linear time. What it does not match goes to Python's own parser, which also says what
is wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from penstock.errors import BudgetExceeded, SourceError

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["records_as_lines"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DEPTH = 6
_STRING = rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_OTHERS = rb'[^"{}\[\]\x00-\x08\x0b\x0c\x0e-\x1f]*+'


def _nested(depth: int) -> bytes:
    values = rb"(?:%s|%s)" % (_STRING, _nested(depth - 1)) if depth else _STRING
    # That } belongs to {, and ] to [, whoever parses the value sees.
    return rb"[{\[]%s(?:%s%s)*+[}\]]" % (_OTHERS, values, _OTHERS)


_SPACE = re.compile(rb"[ \t\r\n]*+")
_VALUE = re.compile(rb'%s|%s|[^"{}\[\]:,\s]++(?=[ \t\r\n,\]}])' % (_nested(_DEPTH), _STRING))
_RECORD = re.compile(rb"[ \t\r\n]*+(%s)[ \t\r\n]*+([,\]])" % _nested(_DEPTH))
# Line ends between the values of a record become spaces, and the mark between records a line end.
_MARK = b"\0"
_AS_LINES = bytes.maketrans(b"\n\r" + _MARK, b"  \n")
_LONGEST_TOKEN = 12  # of those that the parser complains about at their beginning: -Infinity, \u1234\u1234
_SHOWN_BYTES = 60
_CUT_SHORT = "the data was cut short; get it complete"


def records_as_lines(
    stream: ByteReader, path: tuple[str, ...], *, block_bytes: int, first_block_bytes: int, max_record_bytes: int
) -> Iterator[bytes]:
    """Yield the records of the array in ``stream``, each on a line, in blocks of about ``block_bytes``.

    Args:
        stream: the JSON text, UTF-8.
        path: names of the fields that lead to the array; empty when it is the document.
        block_bytes: how much to read at a time.
        first_block_bytes: the same for the first block, where the types are found.
        max_record_bytes: the longest value allowed, in the array and beside it.

    Raises:
        SourceError: it is no JSON, not as ``path`` says, or stops before its end.
        BudgetExceeded: a value is longer than ``max_record_bytes``.
    """
    text = _Text(stream, block_bytes, max_record_bytes)
    text.more(first_block_bytes)
    text.skip(_BYTE_ORDER_MARK)
    yield from _records_at(text, path, path)
    text.expect_end()


class _Text:
    """The part of the text that is held, and where in it we are."""

    def __init__(self, stream: ByteReader, block_bytes: int, max_record_bytes: int) -> None:
        self._stream = stream
        self._block_bytes = block_bytes
        self._max_record_bytes = max_record_bytes
        self._before = 0
        self.held = b""
        self.at = 0
        self.record = 0
        self._doubt = ""

    @property
    def place(self) -> str:
        """Where we are, for messages."""
        return f"record {self.record}" if self.record else f"byte {self._before + self.at}"

    def more(self, wanted: int = 0) -> bool:
        """Read on; False at the end. What lies behind us is let go of."""
        rest = self.held[self.at :]
        if len(rest) > self._max_record_bytes:
            raise BudgetExceeded(
                f"{self.place} is longer than {self._max_record_bytes} bytes (is the format right, and is every quote closed?)"
            )
        # While one value does not end, each read is as long as what is held: the work stays linear in its length.
        data = self._stream.read(max(wanted or self._block_bytes, len(rest)))
        self._before += self.at
        self.held, self.at = rest + data, 0
        return bool(data)

    def skip(self, start: bytes) -> None:
        """Pass over ``start`` if it comes next."""
        if self.held.startswith(start, self.at):
            self.at += len(start)

    def next(self) -> bytes:
        """Pass over white space; return the byte that follows without passing over it."""
        while True:
            match = _SPACE.match(self.held, self.at)
            assert match is not None
            self.at = match.end()
            if self.at < len(self.held):
                return self.held[self.at : self.at + 1]
            if not self.more():
                raise self.cut_short()

    def take(self, *expected: bytes) -> bytes:
        """Take one of these bytes."""
        found = self.next()
        if found not in expected:
            listed = " or ".join(repr(byte.decode()) for byte in expected)
            raise SourceError(f"{self.place}: {listed} expected, not {self._shown()}", hint="is it one JSON array?")
        self.at += 1
        return found

    def value(self) -> bytes:
        """Take a whole value of any kind."""
        self.next()
        while True:
            match = _VALUE.match(self.held, self.at)
            end = match.end() if match else self._end_by_parser()
            if end:
                value = self.held[self.at : end]
                self.at = end
                return value
            if not self.more():
                raise self.cut_short()

    def _end_by_parser(self) -> int:
        """Return where the value ends that begins here; 0 if it goes on beyond what is held.

        Raises:
            SourceError: it is no JSON.
        """
        rest = self.held[self.at :].decode(errors="replace")
        try:
            end = json.JSONDecoder().raw_decode(rest)[1]
        except json.JSONDecodeError as exc:
            if exc.pos >= len(rest) - _LONGEST_TOKEN or exc.msg.startswith("Unterminated string"):
                self._doubt = f" ({exc.msg})"  # the parser knows no difference between wrong and not all there
                return 0
            raise SourceError(f"{self.place}: not JSON: {exc.msg}: {self._shown()}") from exc
        except RecursionError as exc:
            raise SourceError(f"{self.place}: values nested too deep") from exc
        return self.at + len(rest[:end].encode()) if end < len(rest) else 0

    def _shown(self) -> str:
        return self.held[self.at : self.at + _SHOWN_BYTES].decode(errors="replace")

    def cut_short(self) -> SourceError:
        """Return the error for text that ends here."""
        if not self._before + len(self.held):
            return SourceError("empty, where a JSON array should be", hint=_CUT_SHORT)
        return SourceError(f"{self.place}: the text stops before its end{self._doubt}", hint=_CUT_SHORT)

    def expect_end(self) -> None:
        """Refuse anything but white space."""
        self.record = 0
        while True:
            match = _SPACE.match(self.held, self.at)
            assert match is not None
            self.at = match.end()
            if self.at < len(self.held):
                raise SourceError(f"{self.place}: more after the end: {self._shown()}", hint="is it NDJSON?")
            if not self.more():
                return


def _records_at(text: _Text, path: tuple[str, ...], whole: tuple[str, ...]) -> Iterator[bytes]:
    """Yield the records of the array that ``path`` leads to from here, and pass over all around it."""
    if not path:
        yield from _records(text)
        return
    text.take(b"{")
    found = False
    end = b"," if text.next() != b"}" else text.take(b"}")
    while end == b",":
        name = _name(text)
        text.take(b":")
        if name == path[0] and not found:
            found = True
            yield from _records_at(text, path[1:], whole)
            text.record = 0
        else:
            text.value()
        end = text.take(b",", b"}")
    if not found:
        raise SourceError(
            f"there is no field {path[0]!r} where {'.'.join(whole)} should be", hint="see the option records"
        )


def _name(text: _Text) -> str:
    if text.next() != b'"':
        text.take(b'"')
    name: str = json.loads(text.value())
    return name


def _records(text: _Text) -> Iterator[bytes]:
    text.take(b"[")
    if text.next() == b"]":
        text.take(b"]")
        return
    records: list[bytes] = []
    text.record = 1
    end = b","
    while end == b",":
        match = _RECORD.match(text.held, text.at)
        if match is not None:
            record, end = match.groups()
            text.at = match.end()
        else:
            if records:  # what there is goes first, so that no more than a block is held
                yield _MARK.join([*records, b""]).translate(_AS_LINES)
                records = []
            text.next()
            record = text.value()
            end = text.take(b",", b"]")
        records.append(record)
        text.record += 1
    yield _MARK.join([*records, b""]).translate(_AS_LINES)
