"""Ctrl-C and other signals: the first one stops the copy cleanly, the second one exits at once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from types import FrameType, TracebackType
from typing import Self, final

from penstock.cli.exit_codes import code_for_signal
from penstock.core.cancel import CancelScope

__all__ = ["Interruptible"]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_AT_ONCE = b"penstock: stopped at once; something may be left behind\n"


@final
class Interruptible:
    """A block that the first signal cancels cleanly, and during which the second one ends the process at once.

    A thread receives signals through a wakeup descriptor, so they work even while the main thread is in foreign code
    that does not return. Signals that the process was told to ignore (``nohup``) stay ignored. Outside the main thread,
    where Python cannot set handlers, the block is an ordinary cancel scope.

    Attributes:
        scope: the cancel scope of the block; its ``reason`` is the signal.
        stopped_by: the signal that ended the block early; None if no signal did.
    """

    def __init__(self) -> None:
        self.scope = CancelScope()
        self.stopped_by: signal.Signals | None = None
        self._first: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}
        self._wakeup_before = -1
        self._hearing, self._telling = socket.socketpair()
        self._listener = threading.Thread(target=self._listen, name="penstock signals", daemon=True)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._telling.setblocking(False)
            self._wakeup_before = signal.set_wakeup_fd(self._telling.fileno(), warn_on_full_buffer=False)
            for number in _wanted():
                self._before[number] = signal.signal(number, _leave_it_to_the_listener)
        self._listener.start()
        self.scope.__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            caught = self.scope.__exit__(exc_type, exc, traceback)
        finally:
            self._restore()
        self.stopped_by = self._first if caught else None
        return caught

    def hint(self) -> str:
        """Return what to add to a log line about waiting, once the first signal has come: how to leave at once."""
        return "; press Ctrl-C again to stop now" if self._first is not None else ""

    def _restore(self) -> None:
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it is what signal.signal() gave us
        self._telling.close()
        self._listener.join()
        self._hearing.close()

    def _listen(self) -> None:
        """Read the numbers of arriving signals until the other end is closed."""
        while number := self._hearing.recv(1):
            if number[0] not in self._before:
                continue  # a signal that somebody else has a handler for
            if self._first is not None:
                _say_if_somebody_reads(_AT_ONCE)
                os._exit(code_for_signal(number[0]))
            self._first = signal.Signals(number[0])
            self.scope.cancel(self._first)


def _say_if_somebody_reads(line: bytes) -> None:
    """Write to standard error, unless that would block (a full pipe) or fails: neither may delay the exit."""
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, line)


def _wanted() -> list[signal.Signals]:
    known = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    return [number for number in known if signal.getsignal(number) is not signal.SIG_IGN]


def _leave_it_to_the_listener(number: int, frame: FrameType | None) -> None:
    """Do nothing. It has to exist because Python writes to the wakeup descriptor only for signals with a handler."""
