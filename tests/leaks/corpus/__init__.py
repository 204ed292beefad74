"""Small programs that leak, each with the report it must give, and small programs that do not.

A program is a file in ``leaking/`` or ``clean/``. Its ``program()`` brings about the state and returns; whoever runs it
(``tests/leaks/run_program.py``) then asks a detector what was left behind. A leaking program says what that is in
``LEAKS``. What a program may also have at module level:

* ``LOOP``: the event loop an ``async def program()`` runs in, ``"asyncio"`` (the default) or ``"trio"``.
* ``REQUIRES``: a tuple of modules of other distributions; where one is missing, the program is skipped.
* ``SERVICE = "postgres"``: it talks to that server, whose address ``postgres_uri()`` returns, and is skipped without.
* ``prepare()``: makes what is to be there before; runs ahead of the snapshot, in the loop if ``program`` does.
* ``cleanup()``: lets what was left behind end, after the check; may be ``async`` if ``program`` is.

The states are reached for certain, never by sleeping: a thread is watched from outside until it stands still.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["POSTGRES_VARIABLE", "Expected", "compare", "load", "postgres_uri", "programs", "until", "until_parked"]

POSTGRES_VARIABLE = "PENSTOCK_CORPUS_POSTGRES"
"""The environment variable with the URI of the database for programs with ``SERVICE = "postgres"``."""

_PATIENCE_SECONDS = 10.0
_LOOKS_AT_A_STANDSTILL = 5
_BETWEEN_LOOKS_SECONDS = 0.002


@dataclass(frozen=True)
class Expected:
    """One leak that a report must name, and what it must say about it. ``None``: not checked.

    Attributes:
        kind: the leak's kind, as ``"thread"``.
        proven: whether it must be proven. A proof where there is none is the worst fault a detector can have.
            None: it will never wake in truth, but to prove that takes more than a detector can be asked for.
        name: a shell pattern for the leak's name.
        function: a function that must stand in its stack.
        blocked_on: must occur in what it is said to be blocked on.
        created_at: must occur in where the object it waits on was made; a function's name.
        started_at: must occur in where it was started; a function's name.
        fix: must occur in the advice, in any case.
        optional: the report may leave this one out.
    """

    kind: str
    proven: bool | None = False
    name: str | None = None
    function: str | None = None
    blocked_on: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    fix: str | None = None
    optional: bool = False

    def differences(self, leak: Mapping[str, Any]) -> list[str]:
        """What ``leak``, one entry of ``LeakReport.to_dict()["leaks"]``, has that is not as expected."""
        found = {field: _text(leak.get(field)) for field in leak}
        wrong = []
        if found.get("kind") != self.kind:
            wrong.append(f"kind is {found.get('kind')!r}, not {self.kind!r}")
        if self.proven is not None and leak.get("proven") is not self.proven:
            wrong.append(f"proven is {leak.get('proven')!r}, not {self.proven!r}")
        if self.name is not None and not fnmatch.fnmatchcase(found.get("name", ""), self.name):
            wrong.append(f"name {found.get('name')!r} is not like {self.name!r}")
        if self.function is not None and not re.search(rf"\b{re.escape(self.function)}\b", found.get("stack", "")):
            wrong.append(f"{self.function!r} is not in the stack {found.get('stack')!r}")
        for field in ("blocked_on", "created_at", "started_at", "fix"):
            wanted = getattr(self, field)
            if wanted is not None and wanted.lower() not in found.get(field, "").lower():
                wrong.append(f"{wanted!r} is not in {field} {found.get(field)!r}")
        return wrong


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "\n".join(map(_text, value))
    return str(value)


def compare(expected: Iterable[Expected], leaks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Match every expected leak with one of ``leaks``; return what is missing, wrong or unexpected, as sentences."""
    left = list(leaks)
    unmatched = []
    for each in expected:
        match = next((leak for leak in left if not each.differences(leak)), None)
        if match is not None:
            left.remove(match)
        else:
            unmatched.append(each)
    problems = []
    for each in unmatched:
        nearest = min(left, key=lambda leak: len(each.differences(leak)), default=None)
        same_kind = nearest is not None and nearest.get("kind") == each.kind
        if nearest is not None and same_kind:
            left.remove(nearest)
            problems.append(f"{each}: {'; '.join(each.differences(nearest))}")
        elif not each.optional:
            problems.append(f"{each}: not in the report")
    problems.extend(f"unexpected: {leak}" for leak in left)
    return problems


def programs(folder: str) -> list[str]:
    """The names of all programs in ``"leaking"`` or ``"clean"``, as ``"leaking/name"``."""
    files = sorted((Path(__file__).parent / folder).glob("*.py"))
    return [f"{folder}/{file.stem}" for file in files if file.stem != "__init__"]


def load(name: str) -> ModuleType:
    """Import the program ``name``, as ``"leaking/name"``."""
    return importlib.import_module(f"{__name__}.{name.replace('/', '.')}")


def postgres_uri() -> str:
    """The URI of a PostgreSQL database to use, for programs with ``SERVICE = "postgres"``."""
    return os.environ[POSTGRES_VARIABLE]


def until(condition: Callable[[], object]) -> None:
    """Return once ``condition()`` is true; fail with every thread's stack if that takes ten seconds."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            stacks = ["".join(traceback.format_stack(frame)) for frame in sys._current_frames().values()]
            raise AssertionError("this state never came:\n" + "\n".join(stacks))
        time.sleep(_BETWEEN_LOOKS_SECONDS)


def until_parked(*threads: threading.Thread) -> None:
    """Return once every one of ``threads`` stands still: at the same instruction in several looks, and asleep.

    Keeps nothing of the threads: a frame it held would keep the objects alive that the program is about.
    """
    for thread in threads:
        until(functools.partial(_stands_still, thread))


def _stands_still(thread: threading.Thread) -> bool:
    place = _place(thread)
    if place is None:
        return False
    for _ in range(_LOOKS_AT_A_STANDSTILL):
        time.sleep(_BETWEEN_LOOKS_SECONDS)
        if _place(thread) != place:
            return False
    return True


def _place(thread: threading.Thread) -> tuple[int, int] | None:
    """Where a sleeping thread is: its innermost frame and instruction; None when it runs, or has not begun."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None or not _sleeps(thread):
        return None
    return id(frame), frame.f_lasti


def _sleeps(thread: threading.Thread) -> bool:
    """Whether the kernel has this thread asleep; True where there is no /proc to ask."""
    try:
        status = Path(f"/proc/self/task/{thread.native_id}/stat").read_text(encoding="utf-8")
    except OSError:
        return not Path("/proc/self/task").exists()
    return status.rpartition(")")[2].split()[0] == "S"
