"""Check after every run, with `penstock.leaks`, that it has left nothing behind.

Only things started under the run count: by its stages, or by threads and tasks that these have started. What the rest of
the program starts meanwhile, other runs included, is ignored. If nothing is left, the check takes a fraction of a
millisecond and does not wait.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from collections.abc import Iterator
from threading import Thread
from time import monotonic, sleep
from typing import Any, final

from penstock.leaks import Leak, find_leaks, snapshot
from penstock.leaks._finders.resource_kinds import is_open
from penstock.leaks._noting.origins import current_scope, notes, resources

__all__ = ["Leftovers"]

_GRACE_SECONDS = 0.25  # for threads of drivers that are on their way out
_FIRST_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 0.016
_numbers = itertools.count(1)


@final
class Leftovers:
    """Remembers what existed when its block was entered, and marks what is started in it."""

    def __init__(self) -> None:
        self._scope = f"penstock run {next(_numbers)}"
        self._before = snapshot()

    @contextlib.contextmanager
    def started_here(self) -> Iterator[None]:
        """Mark what is started in the block, and by what is started in it, as the run's own."""
        token = current_scope.set(self._scope)
        try:
            yield
        finally:
            current_scope.reset(token)

    def find(self) -> tuple[str, ...]:
        """Return what is left, one line each. If there is something, first blocks a moment to let it go away."""
        ends = monotonic() + _GRACE_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while any(True for _ in self._suspects()):
            if monotonic() >= ends:
                return tuple(
                    _line(leak) for leak in find_leaks(since=self._before, grace=0).leaks if leak.scope == self._scope
                )
            sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return ()

    def _suspects(self) -> Iterator[Any]:
        for reference in notes.keyrefs():
            thing = reference()
            note = None if thing is None else notes.get(thing)
            if note is not None and note.scope == self._scope and _is_there(thing):
                yield thing


def _is_there(thing: Any) -> bool:
    """Whether ``thing`` may still need closing: a cheap test, which rather says yes too often."""
    if isinstance(thing, Thread):
        return thing.is_alive()
    if isinstance(thing, subprocess.Popen):
        return thing.returncode is None
    if thing in resources:  # also one that is closed, as long as the traceback of a failure holds it
        return is_open(thing) or bool(getattr(thing, "_asyncgens", ()))  # these of an event loop
    if callable(fileno := getattr(thing, "fileno", None)):  # a socket
        return isinstance(number := fileno(), int) and number >= 0
    if callable(done := getattr(thing, "done", None)) and hasattr(thing, "get_coro"):  # a task
        return not done()
    return False


def _line(leak: Leak) -> str:
    started = f", started at {leak.started_at}" if leak.started_at else ""
    return f"{leak.kind} {leak.name!r}{started}"
