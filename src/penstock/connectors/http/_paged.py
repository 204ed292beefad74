"""The source that reads a list which a server hands out page by page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast, final

from penstock.connectors._stored import StoredSource
from penstock.connectors.http._client import Client
from penstock.connectors.http._pages import Listing, Pages
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.description import Description
from penstock.flow.units import format_bytes

if TYPE_CHECKING:
    from penstock.connectors._requests import SourceRequest
    from penstock.flow.contracts import BatchStream, ByteReader

__all__ = ["PagedSource"]


@final
class PagedSource:
    """Reads pages of JSON; to what comes after, they are one body of NDJSON.

    Use through :func:`penstock.connectors.open_source`.

    Raises:
        ConfigurationError: something was asked for that pages do not have.
    """

    def __init__(self, request: SourceRequest, listing: Listing) -> None:
        request.refuse("compression", because="servers compress pages themselves: accept_encoding=gzip lets them")
        if request.format not in (None, "json", "ndjson"):
            raise ConfigurationError(f"{request.shown}: pages are read as json, not as {request.format}")
        self.display_name = request.shown
        self._listing = listing
        self._request = replace(request, format="ndjson", compression="none", options={})
        self._pages: Pages | None = None
        self._stored = StoredSource(self._request, "", self._opened)

    @property
    def byte_formats(self) -> frozenset[str]:
        """NDJSON, which the records become without being parsed; nothing where some are to be left out."""
        return self._stored.byte_formats

    @property
    def rows_read(self) -> int | None:
        """Records handed out so far; None before the first page has come."""
        if self._stored.rows_read is not None:
            return self._stored.rows_read
        return None if self._pages is None else self._pages.records

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open the first page, and give the records of all of them, one a line."""
        return self._stored.open_bytes(format_name)

    def open_batches(self) -> AbstractContextManager[BatchStream]:
        """Open as many pages as the types of the columns are found in, and give the records of all."""
        return self._stored.open_batches()

    def describe(self, format_name: str | None) -> Description:
        """Fetch the first page, and no other."""
        first_only = StoredSource(self._request, "", lambda _seekable: self._opened_pages(enough=0))
        return replace(
            first_only.describe(format_name),
            reading=f"GET page by page, each of at most {format_bytes(self._listing.page_bytes)}, over one connection",
            why="the options say how to find the next page",
            consistency="none: what changes between two pages may be missed, or come twice",
            estimated_rows=None,
        )

    def _opened(self, _seekable: bool) -> AbstractContextManager[ByteReader]:
        return self._opened_pages(enough=self._request.limit)

    @contextmanager
    def _opened_pages(self, *, enough: int | None) -> Iterator[ByteReader]:
        with Client(SourceError) as client:
            self._pages = Pages(self._listing, client, enough=enough)
            yield cast(BinaryIO, self._pages)
