"""Run a call in a thread, cancel it, and time how soon it ends: how the conformance kits drive sources and sinks."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from time import monotonic, sleep
from typing import Generic, TypeVar, final

from penstock.core.cancel import CancelScope

__all__ = ["PATIENCE_SECONDS", "Call"]

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""How long anything may take before it counts as hanging."""

_LOOKS = 20
_LOOK_SECONDS = 0.005


@final
class Call(Generic[T]):
    """A call that runs in a daemon thread, under a cancel scope of its own."""

    def __init__(self, call: Callable[[], T], *, what: str) -> None:
        self.scope = CancelScope()
        self.error: BaseException | None = None
        self.result: T | None = None
        self._what = what
        self._ended_at = 0.0
        self._thread = threading.Thread(target=self._run, args=(call,), name=f"{what}", daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], T]) -> None:
        try:
            with self.scope:
                self.result = call()
        except BaseException as error:  # noqa: BLE001  whoever waits for the call looks at it
            self.error = error
        self._ended_at = monotonic()

    def join(self) -> None:
        """Wait until the call has ended.

        Raises:
            AssertionError: it does not end; the message has its stack.
        """
        self._thread.join(PATIENCE_SECONDS)
        if self._thread.is_alive():
            raise AssertionError(
                f"{self._what} does not end: {PATIENCE_SECONDS:g} s, and it stands here:\n{self._stack()}"
            )

    def wait_for(self, event: threading.Event, what: str) -> None:
        """Wait until the call sets ``event``; ``what`` describes that for the message.

        Raises:
            AssertionError: the call ended before it did so, or does not do it in time.
        """
        deadline = monotonic() + PATIENCE_SECONDS
        while not event.wait(0.01):
            if not self._thread.is_alive():
                raise AssertionError(f"{self._what} ended before {what}: {self.error or self.result!r}") from self.error
            if monotonic() > deadline:
                raise AssertionError(f"{self._what}: {what} never came, and it stands here:\n{self._stack()}")

    def wait_still(self) -> None:
        """Wait until the thread seems blocked. That is judged from outside, so it may return too early.

        Raises:
            AssertionError: the call ended, or its thread never stands still.
        """
        deadline = monotonic() + PATIENCE_SECONDS
        while len({self._place() for _ in range(_LOOKS)}) > 1:
            if monotonic() > deadline:
                raise AssertionError(f"{self._what} is to fall silent, and is still busy here:\n{self._stack()}")
        if not self._thread.is_alive():
            raise AssertionError(f"{self._what} is to wait, and ended: {self.error or self.result!r}") from self.error

    def _place(self) -> tuple[int, int]:
        sleep(_LOOK_SECONDS)
        frame = sys._current_frames().get(self._thread.ident or 0)
        return (id(frame), frame.f_lasti) if frame else (0, 0)

    def cancel(self) -> float:
        """Cancel the call, wait until it has ended, and return how many seconds that took.

        Raises:
            AssertionError: it does not end, or ends otherwise than cancelled.
        """
        began = monotonic()
        self.scope.cancel("the conformance kit wants it to stop")
        self.join()
        if not self.scope.cancelled_caught:
            ending = f"raised {self.error!r}" if self.error else f"returned {self.result!r}"
            raise AssertionError(f"{self._what} was cancelled and {ending}; Cancelled has to pass") from self.error
        return self._ended_at - began

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)
        return "".join(traceback.format_stack(frame)) if frame else "(it has just ended)"
