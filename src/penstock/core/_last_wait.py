"""Log what a clean-up waits for when the other side does not answer, such as a server asked to abort an upload.

Without that line, somebody who has pressed Ctrl-C would only see that nothing happens. Only the code that waits knows
what it waits for, and for how long at most.
"""

from __future__ import annotations

import _thread
import contextlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from penstock.core.cancel import _current, on_cancel

__all__ = ["LAST_WAITS", "is_in_last_wait", "is_stopping", "last_wait", "last_wait_after_cancel"]

LAST_WAITS = "penstock.stopping"
"""The name of the logger that gets these lines."""

_log = logging.getLogger(LAST_WAITS)
_SAID_AFTER_SECONDS = 0.5
_under_way: dict[int, int] = {}  # thread ident to how many such blocks it is in; only that thread changes its entry


@contextmanager
def last_wait(where: str, doing: str, seconds: float) -> Iterator[None]:
    """If the block takes more than half a second, log once to ``penstock.stopping`` what it waits for.

    This does not limit the wait; the code inside must do that. If such blocks are nested, only the outermost logs.

    Args:
        where: the name of the other side for messages.
        doing: what is being done there, such as ``"aborting the upload"``.
        seconds: how long that may take, for the message.
    """
    with _under_way_here() as is_outermost, _Notice(where, doing, seconds) as notice:
        if is_outermost:
            notice.begin()
        yield


@contextmanager
def last_wait_after_cancel(where: str, doing: str, seconds: float) -> Iterator[None]:
    """Do what :func:`last_wait` does, but only once the surrounding scope is cancelled.

    For a block that is finished in spite of a cancel, within ``seconds``.

    Raises:
        Cancelled: the scope was cancelled before the block.
    """
    with (
        _under_way_here() as is_outermost,
        _Notice(where, doing, seconds) as notice,
        on_cancel(notice.begin if is_outermost else _say_nothing),
    ):
        yield


def is_in_last_wait(thread: threading.Thread) -> bool:
    """Whether ``thread`` is in such a block, and so logs by itself what it waits for."""
    return thread.ident in _under_way


def is_stopping() -> bool:
    """Whether the current scope has been cancelled. For choosing a message only; to stop, use ``check_cancelled``."""
    scope = _current.get()
    return scope is not None and scope._interrupted


@contextmanager
def _under_way_here() -> Iterator[bool]:
    """Count the block as one of this thread's, and give whether it is the outermost one."""
    ident = _thread.get_ident()
    outer = _under_way.get(ident, 0)
    _under_way[ident] = outer + 1
    try:
        yield outer == 0
    finally:
        _under_way[ident] = outer
        if not outer:
            del _under_way[ident]


def _say_nothing() -> None:
    pass


@final
class _Notice:
    """One log line, written by a thread that is stopped and waited for when the block is left."""

    def __init__(self, where: str, doing: str, seconds: float) -> None:
        self._text = f"waiting up to {seconds:.0f} s for {where}: {doing}"
        self._ended = _thread.allocate_lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> _Notice:
        self._ended.acquire()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._ended.release()
        if self._thread is not None:
            self._thread.join()

    def begin(self) -> None:
        thread = threading.Thread(target=self._say_late, name="penstock last wait", daemon=True)
        with contextlib.suppress(RuntimeError):  # no thread can be started: the wait goes on without the log line
            thread.start()
            self._thread = thread

    def _say_late(self) -> None:
        if not self._ended.acquire(timeout=_SAID_AFTER_SECONDS):
            _log.warning("%s", self._text)
