"""The source that reads the body of one GET."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from penstock.connectors._stored import StoredSource
from penstock.connectors.http._answers import get, media_type
from penstock.connectors.http._body import opened_body, reading_headers
from penstock.connectors.http._client import Answer, Client
from penstock.connectors.http._retries import check_status, lost_connections_again, with_retries
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.description import Description

if TYPE_CHECKING:
    from penstock.connectors._requests import SourceRequest
    from penstock.connectors.http._endpoint import Endpoint
    from penstock.flow.contracts import BatchStream, ByteReader

__all__ = ["HttpSource", "Reading"]

_FORMATS = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
    "application/json": "json",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.arrow.file": "arrow",
}
_WEB_PAGES = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True)
class Reading:
    """What to ask for, and how: the address, how often again, how the server may compress."""

    endpoint: Endpoint
    retries: int
    accept_encoding: str


@final
class HttpSource:
    """Reads one body. Use through :func:`penstock.connectors.open_source`.

    Where neither the request nor the path tells the format, the ``Content-Type`` of the answer does. That is known
    only once it is there, so such a source has no ``byte_formats``.

    Args:
        request: what was asked for.
        reading: where and how to read it.
        name: the path, whose suffixes may tell format and compression.

    Raises:
        ConfigurationError: options were given that only databases have.
    """

    def __init__(self, request: SourceRequest, reading: Reading, name: str) -> None:
        self.display_name = request.shown
        self._request = replace(request, options={})
        self._reading = reading
        self._name = name
        self._answer: Answer | None = None  # to the request that told the format, until it is read
        self._is_told = request.format is not None or request.formats.infer(name)[0] is not None
        if not self._is_told and request.format_options:
            raise ConfigurationError(f"{request.shown}: say which format the options are for: --source-format")
        # What a source of stored bytes refuses, it refuses now, whatever the format will be.
        self._stored = self._made(None if self._is_told else "ndjson")

    def _made(self, format_name: str | None) -> StoredSource:
        request = self._request if format_name is None else replace(self._request, format=format_name)
        return StoredSource(request, self._name, self._opened)

    @property
    def byte_formats(self) -> frozenset[str]:
        """The one dialect of the body; nothing where that is not known before it comes."""
        return self._stored.byte_formats if self._is_told else frozenset()

    @property
    def rows_read(self) -> int | None:
        """Rows handed out; None where the body was passed on unparsed."""
        return self._stored.rows_read

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Send the request, and give the body, decompressed."""
        return self._stored.open_bytes(format_name)

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Send the request, and give the body, decompressed and decoded."""
        with Client(SourceError) as client:
            self._find_out(client)
            with self._stored.open_batches() as batches:
                yield batches

    def describe(self, format_name: str | None) -> Description:
        """Send the request, read the beginning of the body for the columns, and hang up."""
        with Client(SourceError) as client:
            self._find_out(client)
            description = self._stored.describe(format_name)
        return replace(description, reading=f"GET, one streamed body: {description.reading}", consistency="one answer")

    def _find_out(self, client: Client) -> None:
        """Where the format is not known, ask, and let the answer tell."""
        if self._is_told:
            return
        answer = self._ask(client)
        told = media_type(answer)
        format_name = _FORMATS.get(told) or ("json" if told.endswith("+json") else None)
        if format_name is None:
            said = f"the content type is {told!r}" if told else "the server gives no content type"
            raise SourceError(
                f"the address does not tell the format, and {said}",
                where=answer.endpoint.where,
                hint="give --source-format",
            )
        self._answer = answer
        self._stored = self._made(format_name)

    @contextmanager
    def _opened(self, _seekable: bool) -> Iterator[ByteReader]:
        answer, self._answer = self._answer, None
        with Client(SourceError) as client:
            asked = self._ask(client) if answer is None else answer
            with opened_body(asked, self._request.formats, self._reading.accept_encoding) as body:
                yield body

    def _ask(self, client: Client) -> Answer:
        return with_retries(self._reading.retries, lambda: self._asked(client))

    def _asked(self, client: Client) -> Answer:
        headers = reading_headers(self._reading.accept_encoding)
        answer = lost_connections_again(client, lambda: get(client, self._reading.endpoint, headers))
        check_status(answer)
        self._refuse_web_page(answer)
        return answer

    def _refuse_web_page(self, answer: Answer) -> None:
        """Refuse an HTML page (a login form, an error message) if only the path says that there should be data."""
        if self._is_told and self._request.format is None and media_type(answer) in _WEB_PAGES:
            raise SourceError(
                "the server sent a web page (text/html) where there should be data",
                where=answer.endpoint.where,
                hint="is a login needed? If it is the data all the same, give --source-format",
            )
