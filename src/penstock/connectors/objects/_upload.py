"""One multipart upload through obstore, which ends either completed or aborted."""

from __future__ import annotations

from types import TracebackType
from typing import Any, final

from penstock.connectors._loop_thread import LoopThread
from penstock.connectors.objects._errors import translating
from penstock.core._last_wait import last_wait, last_wait_after_cancel
from penstock.core.cancel import CancelScope, check_cancelled
from penstock.errors import SinkError

__all__ = ["GRACE_SECONDS", "Upload"]

GRACE_SECONDS = 5.0
"""How long a cancelled upload waits for the store where letting go could leave something behind."""


@final
class Upload:
    """An upload through obstore's asynchronous writer. Leaving the ``with`` block without :meth:`complete` aborts it.

    A cancel interrupts a ``write`` at once: the upload is known then, and can be aborted. It does not interrupt
    ``begin`` and ``complete`` before :data:`GRACE_SECONDS`, as obstore forgets the upload's id with the interrupted
    request.
    """

    def __init__(self, loop: LoopThread, writer: Any, *, where: str) -> None:
        self.bytes_written = 0
        self._loop = loop
        self._writer = writer
        self._where = where
        self._can_abort = False  # between begin and complete; before, there is nothing, and after, nothing to be done
        self._is_uncertain = False

    def begin(self, first_part: bytes) -> None:
        """Create the upload. ``first_part`` must be as large as the writer's buffer, as that makes the writer do it."""
        self._call_out_of_reach(lambda: self._writer.write(first_part), "creating the upload")
        self._can_abort = True
        self.bytes_written += len(first_part)

    def write(self, data: bytes) -> None:
        """Send ``data``; block while as many parts as allowed are in flight."""
        with translating(self._where, SinkError):
            self._loop.call(lambda: self._writer.write(data))
        self.bytes_written += len(data)

    def complete(self) -> None:
        """Wait for the last parts, then make the object appear."""
        check_cancelled()
        self._can_abort = False  # obstore aborts by itself when this fails
        self._call_out_of_reach(self._writer.close, "completing the upload")

    def _call_out_of_reach(self, operation: Any, doing: str) -> None:
        self._is_uncertain = True
        with last_wait_after_cancel(self._where, doing, GRACE_SECONDS), translating(self._where, SinkError):
            self._loop.call(operation, grace_seconds=GRACE_SECONDS)
        self._is_uncertain = False

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            return
        if self._can_abort:
            self._abort(error)
        elif self._is_uncertain and not isinstance(error, SinkError):
            error.add_note(f"{self._where}: the store did not answer, an unfinished upload may remain there")

    def _abort(self, error: BaseException) -> None:
        with (
            last_wait(self._where, "aborting the upload", GRACE_SECONDS),
            CancelScope(shield=True, timeout=GRACE_SECONDS) as scope,
        ):
            try:
                with translating(self._where, SinkError):
                    self._loop.call(lambda: self._writer.__aexit__(type(error), error, error.__traceback__))
            except SinkError as exc:
                error.add_note(f"{exc}: an unfinished upload may remain there")
        if scope.cancelled_caught:
            error.add_note(f"{self._where}: the store did not answer, an unfinished upload may remain there")
