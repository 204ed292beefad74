"""Choose which of several errors of a failed copy to report: the cause, with the others as notes."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from penstock.core.cancel import check_cancelled
from penstock.errors import BrokenError, Cancelled

__all__ = ["Failures"]


@dataclass(frozen=True)
class _Failure:
    where: str
    error: BaseException
    told_to_stop: bool

    @property
    def is_echo(self) -> bool:
        """Whether the error is only a consequence of another stage's end."""
        return isinstance(self.error, BrokenError)

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(str(self.error).split()) or type(self.error).__name__}"


class Failures:
    """Collects the errors of the stages, and tells the root cause from its echoes.

    When a stage fails, its neighbours raise the same object or ``BrokenError``, or are cancelled. Those errors are
    echoes. Anything else that fails after the first error, or after a request to stop, is a failure of its own (a
    temporary file that could not be removed, say), and becomes a note on the error that is reported.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[_Failure] = []
        self._while_stopping: list[str] = []

    def record(self, where: str, error: BaseException) -> None:
        """Record that the stage ``where`` failed; called in its thread, before its neighbours can notice.

        A cancel is no failure, but its notes may say what could not be cleaned up.
        """
        with self._lock:
            if isinstance(error, Cancelled):
                self._while_stopping += [f"{where}: {note}" for note in getattr(error, "__notes__", ())]
            else:
                self._all.append(_Failure(where, error, _told_to_stop()))

    def note(self, where: str, problem: str) -> None:
        """Record what could not be cleaned up in ``where`` after everything else had ended."""
        with self._lock:
            self._while_stopping.append(f"{where}: {problem}")

    def root(self, *, stopped: bool) -> BaseException | None:
        """Return the first error that was neither an echo nor a consequence of being told to stop.

        Args:
            stopped: whether the copy was told to stop from outside. If not, whatever failed first is the cause, and
                None says that nothing has failed.
        """
        own = [failure for failure in self._all if not failure.is_echo]
        causes = [failure for failure in own if not failure.told_to_stop]
        if not causes and not stopped:
            causes = own or self._all
        return causes[0].error if causes else None

    def besides(self, error: BaseException | None) -> list[str]:
        """Return the failures that ``error`` does not mention, one line each."""
        failed = [str(each) for each in self._all if not each.is_echo and not _tells_of(each.error, error)]
        return failed + self._while_stopping

    def annotate(self, error: BaseException) -> None:
        """Add the other failures to ``error``, as notes of one line each."""
        for other in self.besides(error):
            error.add_note(f"also, in the {other}")


def _told_to_stop() -> bool:
    try:
        check_cancelled()
    except Cancelled:
        return True
    return False


def _tells_of(other: BaseException | None, error: BaseException | None) -> bool:
    """Whether ``other`` is ``error``, or was raised from it."""
    seen: set[int] = set()
    while other is not None and id(other) not in seen:
        if other is error:
            return True
        seen.add(id(other))
        other = other.__cause__
    return False
