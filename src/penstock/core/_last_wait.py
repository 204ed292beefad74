"""Say what is waited for when something has to be cleaned up and the other side does not answer.

Only whoever waits knows what for, and for how long at most; whoever wants to leave sees nothing but that it takes long.
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
"""The log where they are told."""

_log = logging.getLogger(LAST_WAITS)
_SAID_AFTER_SECONDS = 0.5
_under_way: dict[int, int] = {}  # how many each thread is in, by its ident; only the thread itself changes its entry


@contextmanager
def last_wait(where: str, doing: str, seconds: float) -> Iterator[None]:
    """Say in the log ``penstock.stopping``, once, that the block is waited for if it takes more than half a second.

    It does not limit the wait: that is done by what is inside. Of blocks inside one another the outermost speaks.

    Args:
        where: the other side, as messages show it.
        doing: what is being done there: ``"aborting the upload"``.
        seconds: how long that may take.
    """
    with _under_way_here() as is_outermost, _Notice(where, doing, seconds) as notice:
        if is_outermost:
            notice.begin()
        yield


@contextmanager
def last_wait_after_cancel(where: str, doing: str, seconds: float) -> Iterator[None]:
    """As :func:`last_wait`, but counting from a cancel of the surrounding scope, which the block puts off by ``seconds``.

    Raises:
        Cancelled: the scope was cancelled before.
    """
    with (
        _under_way_here() as is_outermost,
        _Notice(where, doing, seconds) as notice,
        on_cancel(notice.begin if is_outermost else _say_nothing),
    ):
        yield


def is_in_last_wait(thread: threading.Thread) -> bool:
    """Whether ``thread`` waits for something that it has told of, or is about to."""
    return thread.ident in _under_way


def is_stopping() -> bool:
    """Whether the current scope has been cancelled; for deciding what to tell, not what to do."""
    scope = _current.get()
    return scope is not None and scope._interrupted


@contextmanager
def _under_way_here() -> Iterator[bool]:
    """Count the block as one of this thread's; give whether it is the outermost."""
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
    """One line, written by a thread that leaving the block stops, and waits for."""

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
        with contextlib.suppress(RuntimeError):  # no thread to be had: it is waited for all the same, in silence
            thread.start()
            self._thread = thread

    def _say_late(self) -> None:
        if not self._ended.acquire(timeout=_SAID_AFTER_SECONDS):
            _log.warning("%s", self._text)
