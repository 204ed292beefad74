"""Drive threads step by step: start them, wait for a state, collect them. No wait here is without a bound.

Nothing in these helpers sleeps to provoke a race. ``wait_until`` waits *for a state* that is bound to come, and
fails with every thread's stack when it does not.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypeVar

import penstock.errors

__all__ = ["PATIENCE", "PROMPT", "Running", "all_stacks", "start", "wait_until"]

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

PATIENCE = 10.0
"""Seconds any wait in these tests may take before it counts as a hang."""

PROMPT = 0.5
"""Seconds within which a cancelled wait must have ended: ten times the 50 ms of the contract, for busy machines."""

_PENSTOCK = str(Path(penstock.errors.__file__).parent)


def all_stacks() -> str:
    """Every thread's stack as text, to say where a hang is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        parts.append(f"--- {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame))}")
    return "\n".join(parts)


def wait_until(condition: Callable[[], object], *, patience: float = PATIENCE) -> None:
    """Return as soon as ``condition()`` is true; fail with every stack after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"this state never came within {patience} s\n{all_stacks()}")
        time.sleep(0.0005)


class Running(Generic[T]):
    """A call that runs in a daemon thread of its own, in an empty context as any plain thread."""

    def __init__(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> None:
        self._outcome: list[T] = []
        self._error: BaseException | None = None
        self.finished_at = 0.0
        # The arguments travel in the thread only: a finished Running must not keep a pipe's end alive.
        self.thread = threading.Thread(target=self._run, args=(call, args, kwargs), daemon=True)
        self.thread.start()

    def _run(self, call: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            self._outcome.append(call(*args, **kwargs))
        except BaseException as error:
            self._error = error
        self.finished_at = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether the call has ended, either way."""
        return not self.thread.is_alive()

    def join(self, patience: float = PATIENCE) -> None:
        """Wait for the call to end; fail with every stack when it does not."""
        self.thread.join(patience)
        if self.thread.is_alive():
            raise AssertionError(f"a call did not end within {patience} s\n{all_stacks()}")

    def result(self, patience: float = PATIENCE) -> T:
        """What the call returned; raises what it raised."""
        self.join(patience)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._outcome[0]

    def error(self, kind: type[E], patience: float = PATIENCE) -> E:
        """The exception the call ended with, which must be a ``kind``."""
        self.join(patience)
        assert isinstance(self._error, kind), (
            f"expected {kind.__name__}, got {self._error!r} / {self._outcome!r}\n"
            + "".join(traceback.format_exception(self._error) if self._error else [])
        )
        error, self._error = self._error, None
        return error

    def wait_parked(self) -> None:
        """Return once this thread stands still inside a penstock call, waiting.

        A look from outside, for waits that no ``statistics()`` counts; the tests hold even where it is mistaken.
        """
        wait_until(lambda: self.done or self._stands_still())
        assert not self.done, f"ended instead of waiting: {self._error!r} / {self._outcome!r}"

    def _stands_still(self) -> bool:
        frame = sys._current_frames().get(self.thread.ident or 0)
        if frame is None or not any(_is_ours(below) for below, _ in traceback.walk_stack(frame)):
            return False
        place = (id(frame), frame.f_lasti)
        for _ in range(3):
            time.sleep(0.001)
            frame = sys._current_frames().get(self.thread.ident or 0)
            if frame is None or (id(frame), frame.f_lasti) != place:
                return False
        return True


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_PENSTOCK)


def start(call: Callable[..., T], *args: Any, **kwargs: Any) -> Running[T]:
    """Run ``call`` in a thread of its own."""
    return Running(call, *args, **kwargs)
