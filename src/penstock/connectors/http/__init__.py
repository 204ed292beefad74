"""The connector of HTTP: read the body of a GET, or a list page by page; write the body of one POST or PUT, or of many.

A whole copy uses one connection, if the server allows that.

**Reading** decodes what the path's suffix, ``--source-format`` or the answer's ``Content-Type`` says the body is.
Options (``--source-option``):

- ``next=link`` follows ``Link: <...>; rel="next"``; ``next=field:meta.next_url`` an address in a field of the page.
- ``cursor=after:meta.cursor`` puts a field of the page into a parameter of the next address; the last record's id is
  ``cursor=after:data.-1.id``. Reading ends where there is nothing in the field.
- ``page=PARAMETER`` counts pages, from 1 or from what the address says; ``offset=PARAMETER`` counts records. Reading
  ends with a page that has none; one that repeats the page before is an error.
- ``records=data.items``: where on a page the array of records is; without it, the page is that array.
- ``page_bytes=16MiB``: the largest page. ``other_servers=true`` lets pages lead to another server.
- ``accept_encoding=gzip`` (or ``zstd``) lets the server compress. ``retries=3``: how often a page, or the first answer
  of a long body, is asked for again when the connection is lost or the server says 429, 502, 503 or 504.

**Writing** sends one request with a chunked body. If the data fails half-way, or at a cancel, the body is cut: the
connection is reset without the terminating chunk, so no server can take the beginning for the whole. If the server
answers before the body has ended (413, say), reading the source stops at once, and the answer is the error.
Options (``--destination-option``):

- ``request_size=1MiB`` sends many requests of whole records instead: NDJSON, CSV (each with the header) or JSON. See
  :mod:`penstock.connectors.http._batches` for what that means when something fails. ``retries=5``: how often each is
  sent again when the connection is lost or the server says 429 or 5xx.

**Both** take ``header.X-Name=value`` for a header of any name, and ``token_env=VARIABLE`` for a bearer token that an
environment variable holds. Both are for the server of the address: no redirect and no next page takes them elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.connectors.http._batches import HttpBatchSink
from penstock.connectors.http._body import ENCODINGS
from penstock.connectors.http._endpoint import Endpoint
from penstock.connectors.http._options import check_names, flag, private_headers, text_option, whole_number
from penstock.connectors.http._paged import PagedSource
from penstock.connectors.http._pages import Listing
from penstock.connectors.http._paging import PAGING_OPTIONS, field_path, paging_of
from penstock.connectors.http._request_bodies import CUTTERS
from penstock.connectors.http._sink import HttpSink
from penstock.connectors.http._source import HttpSource, Reading
from penstock.errors import ConfigurationError
from penstock.flow.units import format_bytes, parse_size

if TYPE_CHECKING:
    from penstock.connectors._requests import SinkRequest, SourceRequest

__all__ = ["HttpBatchSink", "HttpSink", "HttpSource", "PagedSource", "sink", "source"]

_METHODS = ("POST", "PUT")
_READING_RETRIES = 3
_SENDING_RETRIES = 5
# The page and its records as lines are held at once. A batch is 1/32 of max_memory, or less.
_BATCHES_IN_A_PAGE = 4
_BATCHES_IN_THE_LARGEST_PAGE, _BATCHES_IN_MEMORY = 10, 32
_NOT_CUT = ("header=", "quote=")  # of CSV: without a first line that can be repeated, with another mark around text
_PAGE_ONLY = ("records", "page_bytes", "other_servers")


def source(request: SourceRequest) -> HttpSource | PagedSource:
    """Make a source that reads the body of a GET, or page by page where the options say how.

    Raises:
        ConfigurationError: the address or an option makes no sense.
    """
    check_names(request, [*PAGING_OPTIONS, *_PAGE_ONLY, "retries", "accept_encoding"])
    endpoint = Endpoint.of(request.uri).with_headers(private_headers(request))
    retries = whole_number(request, "retries", _READING_RETRIES)
    accept_encoding = text_option(request, "accept_encoding", ENCODINGS) or "identity"
    paging = paging_of(request)
    if paging is None:
        _refuse_page_options(request)
        return HttpSource(request, Reading(endpoint, retries, accept_encoding), urlsplit(request.uri).path)
    records = text_option(request, "records")
    listing = Listing(
        endpoint,
        paging,
        records=() if records is None else field_path(records),
        retries=retries,
        page_bytes=_page_bytes(request),
        elsewhere=flag(request, "other_servers"),
        accept_encoding=accept_encoding,
        formats=request.formats,
    )
    return PagedSource(request, listing)


def sink(request: SinkRequest) -> HttpSink | HttpBatchSink:
    """Make a sink that sends one request, or many where ``request_size`` says how large.

    Raises:
        ConfigurationError: the address or an option makes no sense.
    """
    check_names(request, ["request_size", "retries"])
    method = (request.method or "POST").upper()
    if method not in _METHODS:
        raise ConfigurationError(f"{request.shown}: method is {method!r}; it may be {' or '.join(_METHODS)}")
    if request.if_exists == "skip":
        raise ConfigurationError(
            f"{request.shown}: over HTTP nobody can tell whether it exists, so nothing can be skipped"
        )
    endpoint = Endpoint.of(request.uri).with_headers(private_headers(request))
    if request.options.get("request_size") is not None:
        return _batch_sink(request, endpoint, method)
    if request.options.get("retries") is not None:
        raise ConfigurationError(
            f"{request.shown}: retries need request_size: a body that is made while it is sent can not be sent again"
        )
    return HttpSink(endpoint, method=method, media_type=request.media_type, compression=request.compression)


def _batch_sink(request: SinkRequest, endpoint: Endpoint, method: str) -> HttpBatchSink:
    if request.compression is not None:
        raise ConfigurationError(f"{request.shown}: request_size needs --compression none: it cuts between records")
    if request.format_name not in CUTTERS or any(option in request.dialect for option in _NOT_CUT):
        known, named = ", ".join(CUTTERS), request.dialect or request.format_name
        raise ConfigurationError(
            f"{request.shown}: request_size can not split {named}; it can split {known}, in their usual form"
        )
    return HttpBatchSink(
        endpoint,
        method=method,
        media_type=request.media_type,
        format_name=request.format_name,
        request_bytes=_request_bytes(request),
        retries=whole_number(request, "retries", _SENDING_RETRIES),
    )


def _page_bytes(request: SourceRequest) -> int:
    if request.options.get("page_bytes") is None:
        return request.batch_bytes * _BATCHES_IN_A_PAGE
    page_bytes = _size(request, "page_bytes")
    if request.max_row_bytes is not None:
        room = request.max_row_bytes * _BATCHES_IN_THE_LARGEST_PAGE // _BATCHES_IN_MEMORY
        _refuse_beyond(room, page_bytes, "page_bytes", request, "ask for smaller pages")
    return page_bytes


def _request_bytes(request: SinkRequest) -> int:
    request_bytes = _size(request, "request_size")
    if request.part_room is None or request.concurrency is None:
        return request_bytes
    # It is held as it is sent, to be sent again, and once more while it is cut out of the stream.
    room = request.part_room * (request.concurrency + 1) // 2
    _refuse_beyond(room, request_bytes, "request_size", request, "make requests smaller")
    return request_bytes


def _refuse_beyond(room: int, size: int, name: str, request: SourceRequest | SinkRequest, instead: str) -> None:
    if size > room:
        raise ConfigurationError(
            f"{request.shown}: {name} {format_bytes(size)} does not fit into max_memory, which has room for "
            f"{format_bytes(room)}: raise max_memory, or {instead}"
        )


def _refuse_page_options(request: SourceRequest) -> None:
    for name in _PAGE_ONLY:
        if request.options.get(name) is not None:
            ways = ", ".join(PAGING_OPTIONS)
            raise ConfigurationError(f"{request.shown}: {name} is for pages; say how to find the next one: {ways}")


def _size(request: SourceRequest | SinkRequest, name: str) -> int:
    value = request.options[name]
    return parse_size(value if isinstance(value, int) else str(value), name=name)
