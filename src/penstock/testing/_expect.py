"""The assertions of the kits. Each raises an ``AssertionError`` that names the object and the promise it breaks."""

from __future__ import annotations

from collections.abc import Callable

from penstock.errors import SinkError
from penstock.flow.contracts import Sink, Source, TableSink

__all__ = ["OutOfTheBlue", "expect", "expect_raised", "expect_soon", "name_of"]


class OutOfTheBlue(Exception):
    """The error that the kits' own streams fail with. No code under test can have expected it by its type."""


def expect(holds: object, complaint: str) -> None:
    """Raise ``AssertionError`` unless ``holds``. Not an ``assert`` statement, which ``python -O`` removes."""
    if not holds:
        raise AssertionError(complaint)


def name_of(part: Source | Sink | TableSink) -> str:
    """Return the name of a source or sink for messages."""
    name: object = part.display_name
    expect(isinstance(name, str) and name, f"{type(part).__name__}: display_name is {name!r}; messages need a name")
    return str(name)


def expect_raised(call: Callable[[], object], error: BaseException, what: str) -> None:
    """Raise ``AssertionError`` unless the call raises ``error``, the same object."""
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
    """Raise ``AssertionError`` if ``seconds`` is longer than allowed."""
    expect(seconds <= within, f"{what} was answered after {seconds * 1000:.0f} ms; {within * 1000:.0f} ms are allowed")
