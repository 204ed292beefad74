"""Make the async views AnyIO streams, without importing AnyIO.

Users of AnyIO catch AnyIO's exceptions and check ``isinstance(x, anyio.abc.ByteReceiveStream)``. If AnyIO has been
imported, our errors are raised as subclasses of both its classes and ours, and our views are registered with it. If it
has not been imported, nobody can tell the difference.
"""

from __future__ import annotations

import sys
from functools import cache
from types import TracebackType
from typing import Any

from penstock.errors import BrokenError, ClosedError, EndOfChannel, PenstockError, WouldBlock

__all__ = ["as_anyio", "register_stream"]

_COUNTERPARTS: dict[str, tuple[type[PenstockError], str]] = {
    "ClosedError": (ClosedError, "ClosedResourceError"),
    "BrokenError": (BrokenError, "BrokenResourceError"),
    "EndOfChannel": (EndOfChannel, "EndOfStream"),
    "WouldBlock": (WouldBlock, "WouldBlock"),
}


class as_anyio:  # noqa: N801  reads as a verb where it is used: `with as_anyio(ClosedError): ...`
    """A block whose errors of exactly these classes are also instances of AnyIO's counterparts, if AnyIO is in use."""

    __slots__ = ("_classes",)

    def __init__(self, *classes: type[PenstockError]) -> None:
        self._classes = classes

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is None or exc is None or exc_type not in self._classes:
            return
        anyio = sys.modules.get("anyio")
        if anyio is None or not hasattr(anyio, "EndOfStream"):
            return
        both = _both(exc_type.__name__, anyio)(*exc.args)
        raise both.with_traceback(traceback) from exc.__cause__


@cache
def _both(name: str, anyio: Any) -> type[PenstockError]:
    ours, theirs = _COUNTERPARTS[name]
    return type(name, (ours, getattr(anyio, theirs)), {"__module__": ours.__module__})


def register_stream(abstract_class: str, view: type) -> None:
    """Make ``isinstance(view(), anyio.abc.<abstract_class>)`` true, if AnyIO is in use."""
    module = sys.modules.get("anyio.abc")
    if module is not None:
        _register(module, abstract_class, view)


@cache
def _register(module: Any, abstract_class: str, view: type) -> None:
    getattr(module, abstract_class).register(view)
