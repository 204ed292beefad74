"""Format places and stacks for people: with short paths, calls inside libraries folded, and no secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

__all__ = ["callers", "folded", "readable"]

_OWN_FRAMES = 5
_FOREIGN_FRAMES = 3
_CALLERS = 3

_PLACE = re.compile(r"(?P<file>.+):\d+ in .+", re.DOTALL)
_INSTALLED = re.compile(r"/(?:[^'\"\s]*/)?(?:site|dist)-packages/")
_PYTHON = Path(os.__file__).parent
_PENSTOCK = Path(__file__).parents[2]
_BEGINNINGS = (" in Thread._bootstrap", " in Thread._bootstrap_inner")
_RUNNER = Path(__file__).parents[1] / "_faces" / "program.py"

_USERINFO = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/]*@", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?P<before>\b(?:password|passwd|pwd|secret|token)=)[^\s&'\"]+", re.IGNORECASE)


def readable(text: str) -> str:
    """Return ``text`` with paths relative to the current folder or to where packages are, and without passwords."""
    text = _INSTALLED.sub("", text).replace(f"{_PYTHON.parent}/", "")
    here = _current_folder()
    if here is not None:
        text = re.sub(rf"(?<![\w./~-]){re.escape(here)}/", "", text)
    text = _USERINFO.sub(r"\g<before>:***@", text)
    return _ASSIGNMENT.sub(r"\g<before>***", text)


def folded(stack: Sequence[str]) -> list[str]:
    """Return the innermost calls of a stack, outermost first; runs of calls inside libraries become one line.

    Where nothing but libraries is on the stack, its innermost calls.
    """
    stack = [place for place in stack if not place.endswith(_BEGINNINGS)]
    parts = list(_parts(stack))
    own = [number for number, part in enumerate(parts) if part.owner is None]
    if not own:
        return [readable(place) for place in stack[-_FOREIGN_FRAMES:]]
    # What comes before the first of the user's own calls is how Python starts a thread or a loop: no news.
    first = own[-_OWN_FRAMES:][0]
    above = sum(len(part.places) for part in parts[own[0] : first])
    lines = [f"... {_calls(above)} above"] if above else []
    for part in parts[first:]:
        calls = _calls(len(part.places))
        lines.append(readable(part.places[0]) if part.owner is None else f"... {calls} inside {part.owner}")
    return lines


def callers(start_stack: Sequence[str], started_at: str | None) -> list[str]:
    """Return who called the place where something was started, nearest first, without the calls of libraries."""
    # `penstock leaks` runs scripts; whoever has called that is of no interest.
    runs = [number for number, place in enumerate(start_stack) if place.startswith(f"{_RUNNER}:")]
    places = [place for place in start_stack[runs[-1] if runs else 0 :] if _owner(place) is None]
    if places and places[-1] == started_at:
        places.pop()
    nearest = [readable(place) for place in places[: -_CALLERS - 1 : -1]]
    if len(places) > _CALLERS:
        nearest.append(f"... {_calls(len(places) - _CALLERS)} above")
    return nearest


@dataclass(frozen=True, slots=True)
class _Part:
    """One call of the user's own code (``owner`` None), or adjoining calls of libraries."""

    owner: str | None
    places: Sequence[str]


def _parts(stack: Iterable[str]) -> Iterator[_Part]:
    for foreign, run in groupby(((place, _owner(place)) for place in stack), key=lambda each: each[1] is not None):
        places, owners = zip(*run, strict=True)
        if foreign:
            yield _Part(", ".join(dict.fromkeys(owners)), places)
        else:
            yield from (_Part(None, (place,)) for place in places)


def _owner(place: str) -> str | None:
    """Return the library that a place is in; None if it is the user's own code."""
    match = _PLACE.fullmatch(place)
    if match is None:
        return None
    file = match["file"]
    if file.startswith("<frozen "):
        return file[len("<frozen ") : -1]
    installed = _INSTALLED.search(file)
    if installed is not None:
        return _top(file[installed.end() :])
    for folder in (_PENSTOCK, _PYTHON):
        if file.startswith(f"{folder}/"):
            return "penstock" if folder is _PENSTOCK else _module(file[len(str(folder)) + 1 :])
    return None


def _module(path: str) -> str:
    """Return the package of a file of the standard library, or the module where it is in none."""
    package = path.rpartition("/")[0].replace("/", ".")
    return package or _top(path)


def _top(path: str) -> str:
    return path.partition("/")[0].removesuffix(".py")


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def _current_folder() -> str | None:
    try:
        here = str(Path.cwd())
    except OSError:  # it has been removed
        return None
    return here if here != "/" else None
