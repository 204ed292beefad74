"""The known kinds of cursors and responses: when each counts as open, its name for people, and how to close it.

Classes are recognised by their names, as none of these libraries is imported here. Only attributes are read: nothing is
read from the network, and nothing sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from penstock.leaks._finders.masking import masked_address
from penstock.leaks._looking.heap import is_called

__all__ = ["CURSORS", "RESPONSES", "ResourceKind", "fix_for", "is_open", "name_of", "wrapped_by"]

ResourceKind = Literal["cursor", "response"]


def is_open(thing: Any) -> bool:
    """Whether ``thing`` is a cursor or response of one of the kinds below, and open."""
    for kind, answer in {**CURSORS, **RESPONSES}.items():
        if is_called(thing, kind):
            try:
                return answer(thing)
            except Exception:  # noqa: BLE001  other people's objects, only half made or of another version: no leak known
                return False
    return False


# -- cursors


def _psycopg_is_open(cursor: Any) -> bool:
    """Whether rows are left that were received, which hold memory only."""
    if cursor.closed or cursor.connection.closed or cursor.rownumber is None:
        return False
    return bool(cursor.rownumber < cursor.rowcount)


def _psycopg_server_side_is_open(cursor: Any) -> bool:
    """Whether the server still has the cursor. It drops it with the transaction, unless that was asked otherwise."""
    if cursor.closed or cursor.connection.closed or cursor.pgresult is None:
        return False
    return bool(cursor.withhold) or cursor.connection.pgconn.transaction_status != 0  # idle


def _pymongo_is_open(cursor: Any) -> bool:
    """Whether the server has more. A cursor has no number before it was sent, and none once the server has no more."""
    return bool(cursor.cursor_id) and not cursor._killed


def _pymysql_is_open(cursor: Any) -> bool:
    """Whether rows are on their way. Of a buffered cursor all have arrived, and hold memory only."""
    result = cursor._result
    return cursor.connection is not None and result is not None and bool(result.unbuffered_active)


CURSORS: dict[str, Callable[[Any], bool]] = {
    "psycopg._server_cursor_base.ServerCursorMixin": _psycopg_server_side_is_open,
    "psycopg._cursor_base.BaseCursor": _psycopg_is_open,
    "pymongo.cursor_shared._AgnosticCursorBase": _pymongo_is_open,
    "pymongo.synchronous.cursor.Cursor": _pymongo_is_open,
    "pymongo.synchronous.command_cursor.CommandCursor": _pymongo_is_open,
    "pymongo.asynchronous.cursor.AsyncCursor": _pymongo_is_open,
    "pymongo.asynchronous.command_cursor.AsyncCommandCursor": _pymongo_is_open,
    "pymysql.cursors.Cursor": _pymysql_is_open,
}


# -- responses


def _http_client_is_open(response: Any) -> bool:
    """Whether the head has come and the body is not at its end; before, somebody waits for the head."""
    return isinstance(response.status, int) and not response.isclosed() and (response.chunked or response.length != 0)


def _urllib3_is_open(response: Any) -> bool:
    body = response._fp
    if hasattr(body, "isclosed"):  # http.client's, which a body read to its end closes
        return bool(_http_client_is_open(body))
    return body is not None and not getattr(body, "closed", True)


def _httpx_is_open(response: Any) -> bool:
    """Whether it was sent for and not read. One made by hand has its body in memory, or from a generator."""
    return not response.is_closed and type(getattr(response, "stream", None)).__name__ in _HTTPX_STREAMS


_HTTPX_STREAMS = ("BoundSyncStream", "BoundAsyncStream")  # those a client puts around what comes from a connection


def _aiohttp_is_open(response: Any) -> bool:
    """Whether it keeps its connection, which it gives back at the end of the body, read or not."""
    return not response.closed and response.connection is not None and response.content is not None


RESPONSES: dict[str, Callable[[Any], bool]] = {
    "http.client.HTTPResponse": _http_client_is_open,
    "urllib3.response.HTTPResponse": _urllib3_is_open,
    "httpx.Response": _httpx_is_open,
    "aiohttp.client_reqrep.ClientResponse": _aiohttp_is_open,
}


def wrapped_by(response: Any) -> Iterator[Any]:
    """Yield the responses that this one reads from."""
    if is_called(response, "urllib3.response.HTTPResponse"):
        yield from (getattr(response, name, None) for name in ("_fp", "_original_response"))


# -- names


def name_of(thing: Any) -> str:
    """Return its class and rows, or method and URL; without user, password and query."""
    try:
        return _response_name(thing) if is_called(thing, *RESPONSES) else _cursor_name(thing)
    except Exception:  # noqa: BLE001  likewise; its class says enough
        return _class_name(thing)


def _cursor_name(cursor: Any) -> str:
    name = _class_name(cursor)
    if is_called(cursor, "psycopg._server_cursor_base.ServerCursorMixin"):
        return f"{name} {cursor.name!r}"
    if is_called(cursor, "psycopg._cursor_base.BaseCursor"):
        return f"{name}, {cursor.rowcount - cursor.rownumber} of {cursor.rowcount} rows unread"
    if is_called(cursor, "pymongo.cursor_shared._AgnosticCursorBase"):
        return f"{name} of {cursor.collection.full_name}"
    return name


def _response_name(response: Any) -> str:
    if is_called(response, "urllib3.response.HTTPResponse"):
        method = getattr(response._original_response, "_method", None) or "GET"
        return f"{method} {_urllib3_address(response)}, body not read to its end"
    if is_called(response, "http.client.HTTPResponse"):
        url = getattr(response, "url", None)  # set by urllib.request
        return f"{response._method} {masked_address(url) if url else 'by http.client'}, body not read to its end"
    return f"{_method_of(response)} {masked_address(str(response.url))}, body not read to its end"


def _method_of(response: Any) -> str:
    request = getattr(response, "_request", None)  # httpx; aiohttp has it itself
    return str(request.method if request is not None else response.method)


def _urllib3_address(response: Any) -> str:
    pool, path = response._pool, masked_address(response.url or "")
    if pool is None or "://" in path:
        return path
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    return f"{pool.scheme}://{host}:{pool.port}{path}" if pool.port else f"{pool.scheme}://{host}{path}"


def _class_name(thing: object) -> str:
    """Return the class as users import it, ``psycopg.Cursor`` for ``psycopg.cursor.Cursor``."""
    return f"{type(thing).__module__.partition('.')[0]}.{type(thing).__qualname__}"


# -- remedies


def fix_for(thing: Any) -> str:
    """Return how to close a cursor or response."""
    if is_called(thing, "aiohttp.client_reqrep.ClientResponse"):
        return "read it to its end or release() it: `async with penstock.draining(response):`, or `async with session.get(...)`"
    if is_called(thing, "urllib3.response.HTTPResponse"):
        return "read it to its end and release_conn() it, or close it: `with penstock.draining(response):` does"
    if is_called(thing, *RESPONSES):
        return "read it to its end or close it: `with penstock.draining(response):`"
    return "read it to its end or close it: `with penstock.closing_cursor(cursor):`"
