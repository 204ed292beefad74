"""Fetch one page after another, and hand out their records as one stream of NDJSON.

Every page is fetched whole, so it can be requested again if the connection is lost or the server is busy. All go over one
connection if the server allows that. The size of a page is limited. Of a page that has been handed out only eight bytes
are kept, by which an address that comes back is recognised.
"""

from __future__ import annotations

import codecs
import hashlib
import http.client
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from penstock.connectors.http._answers import get, media_type
from penstock.connectors.http._body import opened_body, reading_headers
from penstock.connectors.http._json_slices import (
    NotFound,
    NotJson,
    check_rest,
    elements,
    skip_space,
    start_of,
    value_at,
)
from penstock.connectors.http._paging import Page, Paging
from penstock.connectors.http._retries import check_status, lost_connections_again, with_retries
from penstock.core.cancel import check_cancelled
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.units import format_bytes

if TYPE_CHECKING:
    from penstock.connectors.http._client import Answer, Client
    from penstock.connectors.http._endpoint import Endpoint
    from penstock.flow.contracts import Formats

__all__ = ["Listing", "Pages"]

_log = logging.getLogger("penstock.http")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE = re.compile(rb"\S[^\n]*+")  # with something on it
_LINE_ENDS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")
_SHOWN_BYTES = 40
_CHECKED_RECORDS = 1 << 12
_DECODED_BYTES = 1 << 20
_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})


@dataclass(frozen=True)
class Listing:
    """What to fetch, and how.

    Attributes:
        first: the first page.
        paging: how the next one is found.
        records: where the records are on a page; empty where the page is the array of them.
        retries: how often a page is asked for again.
        page_bytes: the largest page allowed, decompressed.
        elsewhere: whether the next page may be at another server, which then gets no credentials.
        accept_encoding: how the server may compress.
        formats: lent, to decompress.
    """

    first: Endpoint
    paging: Paging
    records: tuple[str, ...]
    retries: int
    page_bytes: int
    elsewhere: bool
    accept_encoding: str
    formats: Formats = field(repr=False)


@final
class Pages:
    """A :class:`~penstock.flow.contracts.ByteReader` of NDJSON. Fetches a page when the one before is used up.

    Args:
        listing: what to fetch.
        client: asks for it.
        enough: after so many records no further page is fetched, but the first is; None for all.

    Attributes:
        records: how many were handed out.
    """

    def __init__(self, listing: Listing, client: Client, *, enough: int | None = None) -> None:
        self.records = 0
        self._listing = listing
        self._client = client
        self._enough = enough
        self._seen: set[bytes] = set()
        self._records_before = 0  # a hash of those of the last page
        self._lines = self._all_lines()
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        """Block until ``size`` bytes, or the end of the last page; a cancel interrupts it.

        Raises:
            SourceError: a page cannot be had, or is not what it should be; names it.
        """
        pieces, missing = [], size
        while missing:
            if not self._rest:
                self._rest = memoryview(next(self._lines, b""))
                if not self._rest:
                    break
            piece = self._rest if missing < 0 else self._rest[:missing]
            self._rest = self._rest[len(piece) :]
            pieces.append(piece)
            missing -= len(piece) if missing > 0 else 0
        return b"".join(pieces)

    def _all_lines(self) -> Iterator[bytes]:
        first = self._listing.first
        with _saying_where(first):
            asked: Endpoint | None = self._listing.paging.first(first)
        while asked is not None:
            self._refuse_circle(asked)
            lines, count, asked = self._page(asked)  # the page itself is not held while its records are used
            if lines:
                yield lines
            self.records += count

    def _has_enough(self, records: int) -> bool:
        return self._enough is not None and records >= self._enough

    def _page(self, asked: Endpoint) -> tuple[bytes, int, Endpoint | None]:
        """Return the records on a page, one a line; how many there are; and the page after it."""
        answer, text = with_retries(self._listing.retries, lambda: self._fetch(asked))
        with _saying_where(answer.endpoint):
            _check_utf8(text)
            is_lines = media_type(answer) in _LINES
            lines, count = self._lines_of(text) if is_lines else self._elements_of(text)
            link, repeats = answer.header("Link") or "", self._repeats(lines)
            page = Page(answer.endpoint, text, link, count, is_lines=is_lines, repeats=repeats)
            following = None if self._has_enough(self.records + count) else self._after(asked, page)
        _log.debug("%s: %d records, %s", page.endpoint.where, count, "and more" if following else "the last page")
        return lines, count, following

    def _fetch(self, endpoint: Endpoint) -> tuple[Answer, bytes]:
        answer, text = lost_connections_again(self._client, lambda: self._received(endpoint))
        check_status(answer)
        if len(text) > self._listing.page_bytes:
            raise SourceError(
                f"the page is larger than {format_bytes(self._listing.page_bytes)}",
                where=answer.endpoint.where,
                hint="ask the server for smaller pages, or allow larger ones: --source-option page_bytes=...",
            )
        return answer, text.removeprefix(_BYTE_ORDER_MARK)

    def _received(self, endpoint: Endpoint) -> tuple[Answer, bytes]:
        """Return a response and, if it is a page, its content, up to the largest size allowed."""
        listing = self._listing
        answer = get(self._client, endpoint, reading_headers(listing.accept_encoding))
        if answer.status != http.client.OK:
            return answer, b""
        with opened_body(answer, listing.formats, listing.accept_encoding) as body:
            return answer, body.read(listing.page_bytes + 1)

    def _lines_of(self, text: bytes) -> tuple[bytes, int]:
        """Return the records on a page of NDJSON, and how many there are."""
        if self._listing.records:
            raise NotFound(f"the page is NDJSON: there is no {'.'.join(self._listing.records)!r} around its records")
        lines = text if text.endswith(b"\n") or not text else text + b"\n"
        return lines, sum(1 for _ in _LINE.finditer(lines))

    def _elements_of(self, text: bytes) -> tuple[bytes, int]:
        """Return the records on a page of JSON, one a line, and how many there are."""
        start = start_of(text, self._listing.records)
        if text[start : start + 1] != b"[":
            if text.startswith(b"null", start):  # what some servers write for an empty array
                check_rest(text, start, start + len(b"null"))
                return b"", 0
            raise NotFound(_no_array(text, self._listing.records))
        lines, count, end = io.BytesIO(), 0, start + 1  # not a list: small records are lighter than Python objects
        for place, end in elements(text, start):
            count += 1
            if not count % _CHECKED_RECORDS:
                check_cancelled()
            lines.write(_on_one_line(text[place:end]))
            lines.write(b"\n")
        check_rest(text, start, skip_space(text, end) + len(b"]"))
        return lines.getvalue(), count

    def _repeats(self, lines: bytes) -> bool:
        before, self._records_before = self._records_before, hash(lines)
        return bool(lines) and self._records_before == before

    def _after(self, asked: Endpoint, page: Page) -> Endpoint | None:
        following = self._listing.paging.after(asked, page)
        if following is None or following.is_same_server(self._listing.first):
            return following
        if self._listing.first.scheme == "https" and following.scheme != "https":
            raise SourceError(f"the next page is {following.where}, which is not encrypted", where=page.endpoint.where)
        if not self._listing.elsewhere:
            raise SourceError(
                f"the next page is at another server: {following.where}",
                where=page.endpoint.where,
                hint="if that is meant, --source-option other_servers=true goes there, without credentials",
            )
        return following

    def _refuse_circle(self, endpoint: Endpoint) -> None:
        known_by = hashlib.blake2b(endpoint.url.encode(), digest_size=8).digest()
        if known_by in self._seen:
            raise SourceError("the pages go in a circle: this one was read before", where=endpoint.where)
        self._seen.add(known_by)


@contextmanager
def _saying_where(endpoint: Endpoint) -> Iterator[None]:
    """Add the address of the page to errors of the block."""
    try:
        yield
    except NotFound as exc:
        hint = "--source-option records=... says where the records are"
        raise SourceError(str(exc.args[0]), where=endpoint.where, hint=hint) from exc
    except NotJson as exc:
        raise SourceError(str(exc), where=endpoint.where) from exc
    except ConfigurationError as exc:
        raise SourceError(f"no next page can be made of this one: {exc}", where=endpoint.where) from exc


def _check_utf8(text: bytes) -> None:
    """Refuse a page that is not UTF-8, whatever else the server calls it: its records are passed on as they are."""
    if text.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(text), _DECODED_BYTES):  # all of it as text would be several times as large
            decoder.decode(text[start : start + _DECODED_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as exc:
        raise NotJson(f"not JSON: it is not UTF-8: {exc.reason}") from exc


def _on_one_line(record: bytes) -> bytes:
    if b"\n" not in record and b"\r" not in record:
        return record
    try:
        json.loads(record, parse_int=str, parse_float=str)  # no line end is inside a string: that would not be JSON
    except ValueError as exc:
        raise NotJson(f"not JSON: a record of several lines: {exc}") from exc
    return record.translate(_LINE_ENDS_TO_SPACES)


def _no_array(text: bytes, path: tuple[str, ...]) -> str:
    start, end = value_at(text, path)
    place = f"{'.'.join(path)!r} is" if path else "the page is"
    shown = text[start : min(end, start + _SHOWN_BYTES)].decode(errors="replace")
    return f"{place} {'an object' if shown.startswith('{') else shown}, not an array of records"
