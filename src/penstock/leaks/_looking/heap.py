"""Inspect objects and functions on the heap: what they are, by the names of their classes, and where.

Nothing here runs code of the objects it inspects; not even ``isinstance``, which may ask an object for its ``__class__``.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType, ModuleType
from typing import Any

from penstock.leaks._looking.frames import CO_OPTIMIZED

__all__ = [
    "EVENT_LOOP",
    "held_in_passing",
    "instances_of",
    "is_a",
    "is_called",
    "is_of_a_test_runner",
    "is_own",
    "is_running",
    "place_in_words",
    "referents",
    "running_frames",
    "suspended_frame",
    "where",
]

EVENT_LOOP = "asyncio.events.AbstractEventLoop"
_OWN_PACKAGE = "penstock.leaks"

_TEST_RUNNERS = frozenset({"_pytest", "pluggy", "pytest", "xdist"})
_PYTEST_FIELDS = ("funcargs", "_obj", "_instance")
_LAST_ERROR = ("last_value", "last_traceback", "last_exc")

_SUSPENDABLE = (
    (GeneratorType, "gi", ": close() it"),
    (AsyncGeneratorType, "ag", ": aclose() it"),
    (CoroutineType, "cr", ""),
)


def is_a(thing: object, *types: type) -> bool:
    """Whether the type of ``thing`` is one of ``types``, or a subclass."""
    return issubclass(type(thing), types)


def is_called(thing: object, *types: str) -> bool:
    """Whether ``thing`` is of a class with one of these names, or of a subclass. Runs no code of ``thing``."""
    return any(f"{cls.__module__}.{cls.__qualname__}" in types for cls in type(thing).__mro__)


def instances_of(*types: str) -> Iterator[Any]:
    """Yield every object the garbage collector knows that is of a class with one of these names, or of a subclass."""
    wanted: dict[type, bool] = {}
    for thing in gc.get_objects():
        kind = type(thing)
        if kind not in wanted:
            wanted[kind] = is_called(thing, *types)
        if wanted[kind]:
            yield thing


def held_in_passing(referrer: Any) -> tuple[int, ...]:
    """Return the ids of what ``referrer`` keeps for a look back, and nobody will use.

    A test of pytest keeps what its fixtures gave it until the next test (fixtures of wider scope are held elsewhere);
    ``sys`` keeps the last error that nobody handled.
    """
    if referrer is vars(sys):
        return tuple(id(getattr(sys, name, None)) for name in _LAST_ERROR)
    if is_called(referrer, "_pytest.python.Function"):
        referrer = vars(referrer)
    if type(referrer) is dict and referrer.keys() >= {"_fixtureinfo", *_PYTEST_FIELDS}:
        return tuple(id(referrer[name]) for name in _PYTEST_FIELDS)
    return ()


def referents(thing: object) -> list[Any]:
    """Return what ``thing`` refers to; nothing for a module.

    The C part of a module may show what it has put aside for reuse. CPython 3.12's ``_asyncio`` does so with dead
    iterators; letting go of those puts them aside twice, and the collector then never comes to an end.
    """
    return [] if isinstance(thing, ModuleType) else gc.get_referents(thing)


def running_frames() -> list[tuple[int, FrameType]]:
    """Return every function that runs in any thread, with the thread's ident; without those of this package.

    Those would come to hold themselves, and with them all they hold.
    """
    found: list[tuple[int, FrameType]] = []
    frame: FrameType | None
    for ident, frame in sys._current_frames().items():
        while frame is not None:
            if not is_own(frame):
                found.append((ident, frame))
            frame = frame.f_back
    return found


def is_own(frame: FrameType) -> bool:
    """Whether this is a function of this package."""
    return str(frame.f_globals.get("__name__")).startswith(_OWN_PACKAGE)


def is_of_a_test_runner(module: str) -> bool:
    """Whether a module, or a global given with its module, is of what runs tests.

    That reaches every value of every fixture (``_pytest.assertion.util._config`` does, for one), and will neither give
    work to a thread that waits on one nor use a socket that it holds.
    """
    return module.partition(".")[0] in _TEST_RUNNERS


def suspended_frame(thing: Any) -> FrameType | None:
    """Return the function that a generator or coroutine is suspended in, or runs; None if ``thing`` is none, or over."""
    for kind, prefix, _ in _SUSPENDABLE:
        if is_a(thing, kind):
            frame = getattr(thing, f"{prefix}_frame")
            return frame if is_a(frame, FrameType) else None
    return None


def is_running(thing: Any) -> bool:
    """Whether ``thing`` is a generator or coroutine that runs: its variables show as those of the function."""
    if is_a(thing, AsyncGeneratorType):
        # It is said to run while anybody awaits its next value, suspended as it may be.
        return thing.ag_frame is not None and any(frame is thing.ag_frame for _, frame in running_frames())
    return (is_a(thing, GeneratorType) and thing.gi_running) or (is_a(thing, CoroutineType) and thing.cr_running)


def where(frame: FrameType) -> str:
    """Say where a function is."""
    return f"{frame.f_code.co_qualname}() at {frame.f_code.co_filename}:{frame.f_lineno}"


def place_in_words(thing: Any) -> str | None:
    """Say what ``thing`` is, where that is a place in the code, and what would end it; None where it is no such thing."""
    for kind, prefix, remedy in _SUSPENDABLE:
        if is_a(thing, kind):
            frame = suspended_frame(thing)
            what = "coroutine" if prefix == "cr" else "generator"
            return f"suspended {what} {where(frame)}{remedy}" if frame is not None else None
    if is_a(thing, FrameType) and thing.f_code.co_flags & CO_OPTIMIZED:
        return f"a traceback, through {where(thing)}"
    if is_a(thing, threading.Thread):
        return f"thread {getattr(thing, '_name', None)!r}"
    return "an event loop" if is_called(thing, EVENT_LOOP) else None
