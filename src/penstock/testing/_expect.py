"""What the kits complain about, and how: an ``AssertionError`` that names the part and the promise it broke."""

from __future__ import annotations

from collections.abc import Callable

from penstock.errors import SinkError
from penstock.flow.contracts import Sink, Source, TableSink

__all__ = ["OutOfTheBlue", "expect", "expect_raised", "expect_soon", "name_of"]


class OutOfTheBlue(Exception):
    """What the kits' own streams fail with: no error that anybody could have expected by its type."""


def expect(holds: object, complaint: str) -> None:
    """Complain unless it holds; not by ``assert``, which ``python -O`` leaves out."""
    if not holds:
        raise AssertionError(complaint)


def name_of(part: Source | Sink | TableSink) -> str:
    """Return what messages call it."""
    name: object = part.display_name
    expect(isinstance(name, str) and name, f"{type(part).__name__}: display_name is {name!r}; messages need a name")
    return str(name)


def expect_raised(call: Callable[[], object], error: BaseException, what: str) -> None:
    """Complain unless the call raises that very object."""
    try:
        result = call()
    except BaseException as raised:
        if raised is error:
            return
        kind = "a SinkError of its own" if isinstance(raised, SinkError) else repr(raised)
        complaint = f"{what} the stream raised an error, and {kind} came instead of that very object"
        raise AssertionError(complaint) from raised
    raise AssertionError(f"{what} the stream raised an error, and that was taken for its end: {result!r} was returned")


def expect_soon(seconds: float, within: float, what: str) -> None:
    """Complain about what took longer than allowed."""
    expect(seconds <= within, f"{what} was answered after {seconds * 1000:.0f} ms; {within * 1000:.0f} ms are allowed")
