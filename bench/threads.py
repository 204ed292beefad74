"""Start bodies in threads together, time them, and fail with a place instead of hanging."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

Ready = Callable[[], None]
Body = Callable[[Ready], None]
"""Sets itself up, calls ``ready()`` once (which waits until every body is ready), then does the timed work."""

STUCK_AFTER_SECONDS = 30.0


class Stuck(Exception):
    """A body did not end: the message says where every thread that is still in there stands."""


class WrongResult(Exception):
    """The work was not done: a time for it would mean nothing."""


def expect(actual: object, wanted: object) -> None:
    """Raise WrongResult unless both are equal: every run proves that all it sent has arrived."""
    if actual != wanted:
        raise WrongResult(f"expected {wanted!r}, got {actual!r}")


def run_together(*bodies: Body) -> float:
    """Seconds from the moment all bodies were ready until the last one ended, each in a fresh thread.

    The first exception of any body is raised. A body that is still blocked then, or after half a minute, is given
    up on: its thread is a daemon.
    """
    return _Together(bodies).run()


class _Together:
    def __init__(self, bodies: tuple[Body, ...]) -> None:
        self.barrier = threading.Barrier(len(bodies), action=self._stamp_start)
        self.started_at = 0.0
        self.ended_at: list[float] = []
        self.errors: list[BaseException] = []
        self.over = threading.Semaphore(0)
        self.threads = [threading.Thread(target=self._call, args=(body,), daemon=True) for body in bodies]

    def run(self) -> float:
        for thread in self.threads:
            thread.start()
        give_up_at = time.monotonic() + STUCK_AFTER_SECONDS
        for _ in self.threads:
            ended = self.over.acquire(timeout=max(0.0, give_up_at - time.monotonic()))
            if self.errors:
                raise self.errors[0]
            if not ended:
                raise Stuck(_stacks(self.threads))
        for thread in self.threads:
            thread.join()
        return max(self.ended_at) - self.started_at

    def _stamp_start(self) -> None:
        self.started_at = time.perf_counter()

    def _ready(self) -> None:
        self.barrier.wait()

    def _call(self, body: Body) -> None:
        try:
            body(self._ready)
            self.ended_at.append(time.perf_counter())
        except threading.BrokenBarrierError:
            pass  # another body failed while setting up; its own error is the one to raise
        except BaseException as error:  # noqa: BLE001 - raised again by run(), in the thread that asked
            self.errors.append(error)
            self.barrier.abort()
        finally:
            self.over.release()


def _stacks(threads: list[threading.Thread]) -> str:
    """Where each thread that is still alive stands, innermost call first."""
    frames = sys._current_frames()
    stuck = [frames[thread.ident] for thread in threads if thread.ident in frames]
    return f"no end after {STUCK_AFTER_SECONDS:g} s; " + "; ".join(_where(frame) for frame in stuck)


def _where(frame: FrameType) -> str:
    calls = reversed(traceback.extract_stack(frame)[-4:])
    return " < ".join(f"{Path(call.filename).name}:{call.lineno} {call.name}" for call in calls)


@contextmanager
def busy_thread() -> Iterator[None]:
    """One more thread that only computes in Python, so that every hand-off has to win the interpreter lock back."""
    over = False

    def spin() -> None:
        while not over:
            pass

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over = True
        thread.join()
