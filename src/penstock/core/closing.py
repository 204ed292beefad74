"""``draining`` and ``closing_cursor``: close HTTP responses and cursors so that their connection can be used again.

An HTTP connection goes back to its pool only when the response body has been read to its end; a body that is closed
before that, even an empty one, costs a new connection. A database cursor that is dropped instead of closed may keep its
query running. Nothing here imports an HTTP or database library: objects are told apart by their methods.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Generic, TypeVar

from penstock.core._parking import with_deadline
from penstock.core.cancel import move_on_after, on_cancel

__all__ = ["closing_cursor", "draining"]

T = TypeVar("T")
_CHUNK_BYTES = 65536


class _Draining(Generic[T]):
    def __init__(self, response: T, limit: int, timeout: float) -> None:
        self._response = response
        self._limit = limit
        self._timeout = timeout

    def __enter__(self) -> T:
        return self._response

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        response: Any = self._response
        at_end = False
        try:
            if exc is None or isinstance(exc, Exception):
                with move_on_after(self._timeout), on_cancel(lambda: _hang_up(response)):
                    at_end = _drain(response, self._limit)
        except Exception:  # noqa: BLE001  the caller has read what it wanted; that the rest fails is not its concern
            at_end = False
        finally:
            _finish(response, at_end)

    async def __aenter__(self) -> T:
        return self._response

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        response: Any = self._response
        at_end = False
        try:
            if exc is None or isinstance(exc, Exception):
                at_end = await _drain_async(response, self._limit, monotonic() + self._timeout)
        except Exception:  # noqa: BLE001  as in __exit__
            at_end = False
        finally:
            await _finish_async(response, at_end)


def draining(response: T, *, limit: int = 256 * 1024, timeout: float = 1.0) -> _Draining[T]:
    """Read a response body to its end and close it when a ``with`` (or ``async with``) block is left, however it is left.

    The connection can then be reused for the next request. Leaving the block blocks while the rest is read. A body
    with more than ``limit`` bytes left, or that does not end within ``timeout``, is cut off and its connection closed,
    as a new connection is cheaper. An error while reading the rest is ignored. A block that is left by a cancel or
    Ctrl-C closes the response at once, without reading.

    Works with responses of requests, urllib3, httpx, aiohttp, botocore and ``http.client``.

    Args:
        response: an open response, or a botocore ``StreamingBody``.
        limit: bytes to read at most, as sent (before decompression, where the library lets us).
        timeout: seconds to spend on reading at most.
    """
    return _Draining(response, limit, timeout)


# -- threads


def _drain(response: Any, limit: int) -> bool:
    """Read up to about ``limit`` bytes; return whether that was the end of the body."""
    if hasattr(response, "iter_raw"):  # httpx
        return bool(response.is_stream_consumed) or _exhaust(response.iter_raw(_CHUNK_BYTES), limit)
    readable = getattr(response, "raw", None) or response  # requests wraps urllib3's response
    read = _undecoded(readable)
    left = limit
    while left >= 0:
        chunk = read(_CHUNK_BYTES)
        if not chunk:
            return True
        left -= len(chunk)
    return False


def _exhaust(chunks: Any, limit: int) -> bool:
    for chunk in chunks:
        limit -= len(chunk)
        if limit < 0:
            return False
    return True


def _undecoded(readable: Any) -> Callable[[int], bytes]:
    """Return a read function that does not decompress, where there is a choice."""
    if hasattr(readable, "drain_conn"):  # urllib3
        return lambda size: readable.read(size, decode_content=False)
    return readable.read  # type: ignore[no-any-return]


def _finish(response: Any, at_end: bool) -> None:
    """Give the connection back if the body was read, and close the response."""
    readable = getattr(response, "raw", None) or getattr(response, "_raw_stream", None) or response
    if at_end and hasattr(readable, "release_conn"):
        readable.release_conn()
        if readable is response:
            return
    response.close()


def _hang_up(response: Any) -> None:
    """Wake a thread that is blocked reading the body."""
    found = _socket_of(response)
    if found is None:
        return  # nothing to shut down: the body has been read to its end, or the kind of response is unknown
    with contextlib.suppress(OSError):
        found.shutdown(socket.SHUT_RDWR)


def _socket_of(response: Any) -> socket.socket | None:
    stream = getattr(response, "extensions", {}).get("network_stream")  # httpx
    if stream is not None:
        return stream.get_extra_info("socket")  # type: ignore[no-any-return]
    readable = (
        getattr(response, "raw", None) or getattr(response, "_raw_stream", None) or response
    )  # requests, botocore
    plain = getattr(readable, "_fp", readable)  # urllib3 wraps http.client's response, and that a buffered socket
    return getattr(getattr(getattr(plain, "fp", None), "raw", None), "_sock", None)


# -- tasks


async def _drain_async(response: Any, limit: int, deadline: float) -> bool:
    if hasattr(response, "aiter_raw"):  # httpx
        return bool(response.is_stream_consumed) or await with_deadline(_exhaust_async(response, limit), deadline)
    return await with_deadline(_read_async(response.content, limit), deadline)  # aiohttp


async def _exhaust_async(response: Any, limit: int) -> bool:
    async for chunk in response.aiter_raw(_CHUNK_BYTES):
        limit -= len(chunk)
        if limit < 0:
            return False
    return True


async def _read_async(content: Any, limit: int) -> bool:
    while limit >= 0:
        chunk = await content.read(_CHUNK_BYTES)
        if not chunk:
            return True
        limit -= len(chunk)
    return False


async def _finish_async(response: Any, at_end: bool) -> None:
    if hasattr(response, "aclose"):
        await response.aclose()
    elif at_end and hasattr(response, "release"):
        released = response.release()
        if hasattr(released, "__await__"):
            await released
    else:
        response.close()


# -- cursors


class _ClosingCursor(Generic[T]):
    def __init__(self, cursor: T) -> None:
        self._cursor = cursor

    def __enter__(self) -> T:
        return self._cursor

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        cursor: Any = self._cursor
        try:
            cursor.close()
        except Exception as failure:
            if exc is None:
                raise
            exc.add_note(f"closing {type(cursor).__name__} failed, too: {failure}")

    async def __aenter__(self) -> T:
        return self._cursor

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        cursor: Any = self._cursor
        try:
            closed = cursor.close()
            if hasattr(closed, "__await__"):
                await closed
        except Exception as failure:
            if exc is None:
                raise
            exc.add_note(f"closing {type(cursor).__name__} failed, too: {failure}")


def closing_cursor(cursor: T) -> _ClosingCursor[T]:
    """Close a database cursor when a ``with`` (or ``async with``) block is left, however it is left.

    Calls the cursor's ``close()``, which may block. If closing fails while the block is left by an exception, that
    exception is raised, with a note about the second failure.

    Args:
        cursor: a DB-API, psycopg or pymongo cursor, synchronous or asynchronous.
    """
    return _ClosingCursor(cursor)
