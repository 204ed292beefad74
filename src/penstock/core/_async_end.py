"""The base class of the async views of pipe and channel ends: closing, and what AnyIO requires of every stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from penstock.core._anyio import register_stream
from penstock.core._parking import Turns, checkpoint

__all__ = ["AsyncEnd"]

_Self = TypeVar("_Self", bound="AsyncEnd")


class AsyncEnd:
    """A view of one end of a pipe or channel, for asyncio and trio tasks.

    Leaving an ``async with`` block does what leaving the end's own ``with`` block does.

    Args:
        end: the end; has ``close``, ``abort`` and ``__exit__``.
        stream: name of the AnyIO class that views are instances of, if AnyIO is in use.
    """

    def __init__(self, end: Any, stream: str) -> None:
        self._end = end
        self._turns = Turns()
        register_stream(stream, type(self))

    async def aclose(self) -> None:
        """Close the end, as its ``close()`` does, then yield to the event loop once. Never waits for the other side."""
        self._end.close()
        await checkpoint()

    def abort(self, exc: BaseException | None = None) -> None:
        """Close the end with an error, as its ``abort()`` does; never blocks."""
        self._end.abort(exc)

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """AnyIO's typed attributes: none."""
        return {}

    def extra(self, attribute: Any, default: Any = None) -> Any:
        """Return ``default``: there are no typed attributes."""
        return default

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.__exit__(exc_type, exc, traceback)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._end!r}>"
