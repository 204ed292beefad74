"""Find threads that are still alive."""

from __future__ import annotations

import sys
import threading
from collections.abc import Hashable, Iterable, Sequence
from time import sleep
from types import FrameType
from typing import Any

from penstock.leaks._finders import fixes
from penstock.leaks._looking.frames import frames_of, function_name, location
from penstock.leaks._looking.holders import Search
from penstock.leaks._looking.waits import Wait, wait_of
from penstock.leaks._noting.origins import Note, note_of
from penstock.leaks._report.model import Leak
from penstock.leaks._straggler import Parked, Verdict

__all__ = ["ThreadFinder", "ThreadStraggler"]


_SECOND_LOOKS = (0.001, 0.003, 0.01, 0.03)


class ThreadFinder:
    """Finds threads that run Python code, including those that were started without ``threading``."""

    def baseline(self) -> frozenset[int]:
        """Return the ids of the threads that exist. The system does not soon reuse its thread numbers."""
        return frozenset(_serial(thread, ident) for ident, thread in _threads().items())

    def stragglers(self, since: frozenset[int] | None) -> Iterable[ThreadStraggler]:
        """Yield the threads that did not exist then; never the main thread nor the one that checks."""
        threads = _threads()
        ours = {threading.main_thread().ident, threading.get_ident()}
        fresh = [
            (ident, thread)
            for ident, thread in threads.items()
            if ident not in ours and (since is None or _serial(thread, ident) not in since)
        ]
        if not fresh:
            return []
        frames = sys._current_frames()
        del frames[threading.get_ident()]  # this very function's: it would be a cycle
        return [ThreadStraggler(ident, thread, frames[ident]) for ident, thread in fresh if ident in frames]


def _threads() -> dict[int, threading.Thread | None]:
    """Return every thread by ident; None for one that ``threading`` does not know.

    A thread that a library in C or Rust has started, and that only calls into Python, shows up as a ``_DummyThread``,
    before 3.13 even when it is long gone. It belongs to that library, and no Python code could join it.
    """
    known: dict[int, threading.Thread | None] = dict(threading._active)  # type: ignore[attr-defined]
    for ident in sys._current_frames():
        known.setdefault(ident, None)
    return {ident: thread for ident, thread in known.items() if not isinstance(thread, threading._DummyThread)}


def _serial(thread: threading.Thread | None, ident: int) -> int:
    native = thread.native_id if thread is not None else None
    return native if native is not None else -ident


class ThreadStraggler(Parked):
    """A thread, and the functions it is in at this moment."""

    __slots__ = ("_frame", "_has_dozed", "_wait", "ident", "thread")

    kind = "thread"

    def __init__(self, ident: int, thread: threading.Thread | None, frame: FrameType) -> None:
        self.ident = ident
        self.thread = thread
        self._frame = frame
        self._wait: Wait | bool | None = False  # False: not looked for yet
        self._has_dozed = False

    @property
    def identity(self) -> Hashable:
        """The thread's number, and where it is: one that moves on is not stuck."""
        return ("thread", self.ident, _serial(self.thread, self.ident))

    @property
    def name(self) -> str:
        """The thread's name."""
        return self.thread.name if self.thread is not None else f"thread {self.ident}"

    @property
    def frames(self) -> list[FrameType]:
        """The functions it is in, innermost first."""
        return frames_of(self._frame)

    @property
    def wait(self) -> Wait | None:
        """What it waits in."""
        if isinstance(self._wait, bool):
            self._wait = wait_of(self.frames)
        return self._wait

    def _look_again(self) -> None:
        """If it seems to be running, look a few more times, as it may have been between two waits."""
        for pause in _SECOND_LOOKS if self.wait is None else ():
            sleep(pause)
            frame = sys._current_frames().get(self.ident)
            wait = wait_of(frames_of(frame))
            if wait is not None and frame is not None:
                self._frame, self._wait = frame, wait
                return

    def functions(self) -> Sequence[str]:
        """Return the functions it is in, innermost first."""
        return [function_name(frame) for frame in self.frames]

    def created_by(self) -> str | None:
        """Return the function that started it, if that was noted."""
        note = self._note()
        return note.place.function if note is not None else None

    def awaited(self) -> object | None:
        """Return the lock, C queue or thread whose release or end alone can wake it."""
        wait = self.wait
        return wait.primitive if wait is not None and wait.is_for_good else None

    def dozes(self) -> bool:
        """Whether it is in a wait with a timeout."""
        return self.wait is not None and bool(self.wait.timed)

    def has_dozed(self) -> None:
        """Note that it has been in such a wait: if it seems to be running now, it is between two of them."""
        self._has_dozed = True

    def serves(self, verdict: Verdict | None = None) -> str | None:
        """Return the reason if it is no leak (a heartbeat, or a service that waits for work), else None."""
        self._look_again()
        daemon = self.thread is not None and self.thread.daemon
        if daemon and (self.dozes() or (self._has_dozed and self.wait is None)):
            return "a daemon thread in a wait with a timeout: it wakes by itself"
        wait = self.wait
        if wait is None:
            return None
        if wait.operation == "select" and wait.subject is not None:
            held = Search([wait.subject]).holding(wait.subject).module_global
            return f"it serves what {held} can reach" if held is not None else None
        waits_for_work = not wait.operation.startswith(("threading.Lock", "threading.RLock", "threading.Thread.join"))
        if waits_for_work and verdict is not None and verdict.held_by_module is not None:
            return f"it waits for work on what {verdict.held_by_module} can reach"
        return None

    def leak(self, waited_seconds: float, verdict: Verdict | None = None) -> Leak:
        """Describe it as a leak."""
        wait = self.wait
        note = self._note()
        made = note_of(wait.subject) if wait is not None else None
        return Leak(
            kind="thread",
            name=self.name,
            proven=verdict is not None and verdict.proven,
            verdict=verdict.reason if verdict is not None else _why_not(wait),
            started_at=str(note.place) if note is not None else self._target(),
            start_stack=tuple(map(str, note.stack)) if note is not None else (),
            blocked_on=fixes.describe_wait(wait) if wait is not None else None,
            created_at=str(made.place) if made is not None else fixes.origin_of(wait),
            holders=verdict.holders if verdict is not None else (),
            open_ends=fixes.open_ends(wait),
            stack=tuple(location(frame) for frame in reversed(self.frames)),
            waited_seconds=waited_seconds,
            fix=fixes.fix_for_thread(wait, self.thread),
            scope=note.scope if note is not None else None,
            identity=self.identity,
        )

    def _note(self) -> Note | None:
        return note_of(self.thread) if self.thread is not None else None

    def _target(self) -> str | None:
        """Return where the function the thread runs is defined, for want of the line that started it."""
        target: Any = getattr(self.thread, "_target", None)
        code = getattr(getattr(target, "__func__", target), "__code__", None)
        if code is None:
            return None
        return f"{code.co_filename}:{code.co_firstlineno}, where {code.co_qualname}, which it runs, is defined"


def _why_not(wait: Wait | None) -> str:
    if wait is None:
        return "it runs, or is in a call that cannot be looked into"
    if wait.timed:
        return "its wait has a timeout, so it will wake by itself"
    return "it waits for something outside this process, or it cannot be told what for"
