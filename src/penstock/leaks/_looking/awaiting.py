"""List the functions a suspended task is in: its coroutine, what that awaits, what that awaits in turn, and so on.

This changes nothing. What a suspended function holds is taken from the garbage collector and not from ``f_locals``, which
up to 3.12 is the very dict that ``locals()`` has returned to the function.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from types import AsyncGeneratorType, CellType, CoroutineType, FrameType, GeneratorType
from typing import Any

from penstock.leaks._looking.frames import function_name, location

__all__ = ["Step", "held_by", "instance_in", "steps_of"]

_LONGEST_CHAIN = 1000  # recursion of coroutines ends there as well

# What ``anext()``, ``asend()``, ``aclose()`` and a coroutine's ``__await__()`` return shows nobody what it drives; it
# is the first thing it holds.
_WRAPPERS = frozenset({"anext_awaitable", "async_generator_asend", "async_generator_athrow", "coroutine_wrapper"})

# Where every wait of trio ends; says nothing.
_MACHINERY = frozenset({"trio._core._traps"})


@dataclass(frozen=True, slots=True)
class Step:
    """One function of a task.

    Attributes:
        function: its name, as ``module.qualified_name``.
        place: ``file:line in function``.
        suspended: the coroutine or generator it is.
    """

    function: str
    place: str
    suspended: Any

    @property
    def module(self) -> str:
        """The name of the top-level package it belongs to."""
        return self.function.partition(".")[0]


def steps_of(coroutine: object) -> list[Step]:
    """Return the functions that ``coroutine`` is in, outermost first.

    Of one that runs at the moment, only the outermost.
    """
    steps: list[Step] = []
    current: object | None = coroutine
    while current is not None and len(steps) < _LONGEST_CHAIN:
        frame = _frame_of(current)
        if frame is not None and frame.f_globals.get("__name__") not in _MACHINERY:
            steps.append(Step(function_name(frame), location(frame), current))
        current = _awaited_by(current)
    return steps


def _frame_of(suspended: object) -> FrameType | None:
    for attribute in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(suspended, attribute, None)
        if isinstance(frame, FrameType):
            return frame
    return None


def _awaited_by(suspended: object) -> object | None:
    for attribute in ("cr_await", "gi_yieldfrom", "ag_await"):
        if hasattr(suspended, attribute):
            return getattr(suspended, attribute)  # type: ignore[no-any-return]
    if type(suspended).__name__ in _WRAPPERS:
        return next((held for held in gc.get_referents(suspended) if _can_be_suspended(held)), None)
    return None


def _can_be_suspended(thing: object) -> bool:
    return isinstance(thing, CoroutineType | GeneratorType | AsyncGeneratorType) or type(thing).__name__ in _WRAPPERS


def held_by(suspended: object) -> Iterator[Any]:
    """Yield what a suspended function holds, its variables among it, in their order: arguments come first."""
    for held in gc.get_referents(suspended):
        if not isinstance(held, CellType):
            yield held
            continue
        try:
            yield held.cell_contents
        except ValueError:  # a variable that has no value at the moment
            continue


def instance_in(step: Step) -> Any | None:
    """Return the object whose method ``step`` is: its first variable that is of the class the method belongs to."""
    frame = _frame_of(step.suspended)
    if frame is None:
        return None
    owner, _, method = frame.f_code.co_qualname.rpartition(".")
    for held in held_by(step.suspended):
        # By its name and not by its module: some packages (trio) call their classes after the public one.
        if any(cls.__qualname__ == owner and method in vars(cls) for cls in type(held).__mro__):
            return held
    return None
