"""A stage of a copy: runs its work in its own thread, between an input and an output link, and measures its waiting."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import final

from penstock.engines.links import Link
from penstock.engines.stopwatch import Stopwatch

__all__ = ["HELD_BACK", "Stage", "StageStatus"]

HELD_BACK = "bandwidth limit"
"""What a stage waits for that is held to a number of bytes per second."""


@dataclass(frozen=True)
class StageStatus:
    """The state of a stage at one moment.

    Attributes:
        name: ``"source"``, ``"encoder"``, ``"compressor"`` or ``"sink"``.
        seconds: how long it has run so far, or in all.
        waited_for_input_seconds: how much of that it waited for the preceding stage to give more.
        waited_for_output_seconds: how much of that it waited for the following stage to take more.
        running: whether its thread has started and not ended.
        waits_for: name of the stage it waits for now; ``"bandwidth limit"`` while that holds it back; None if it is
            busy itself, or not running.
        held_back_seconds: how long it waited because of the bandwidth limit.
    """

    name: str
    seconds: float
    waited_for_input_seconds: float
    waited_for_output_seconds: float
    running: bool
    waits_for: str | None
    held_back_seconds: float = 0.0

    @property
    def busy_seconds(self) -> float:
        """How long it worked itself, or waited for the system outside that it talks to."""
        waited = self.waited_for_input_seconds + self.waited_for_output_seconds + self.held_back_seconds
        return max(0.0, self.seconds - waited)


@final
class Stage:
    """One step of a copy.

    ``run`` is what its thread runs: the work, then ending the output. However the work ends, both links have been ended
    when ``run`` returns: with the error if there was one, so that no neighbour mistakes it for the end of the data.

    Args:
        name: its name in messages.
        work: the work; returns when the input is used up and all output is written.
        input: the link it reads from; None for the source.
        output: the link it writes to; None for the sink.
        on_error: called with a failure before any neighbour can notice it, so that the first one reported is the cause.
        held_back: a stopwatch that runs while a limit holds the stage back; None without a limit.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        *,
        input: Link | None,  # noqa: A002 - the word for it, and the builtin is not used here
        output: Link | None,
        on_error: Callable[[str, BaseException], None],
        held_back: Stopwatch | None = None,
    ) -> None:
        self.name = name
        self.input = input
        self.output = output
        self.previous: str | None = None
        self.next: str | None = None
        self.thread: threading.Thread | None = None
        self._work = work
        self._on_error = on_error
        self._held_back = held_back
        self._started: float | None = None
        self._ended: float | None = None

    def run(self) -> None:
        """Do the work, and pass on to the neighbours how it ended."""
        self.thread = threading.current_thread()
        self._started = monotonic()
        try:
            self._work()
        except BaseException as error:
            self._on_error(self.name, error)
            self._end_links(error)
            raise
        else:
            self._end_links(None)
        finally:
            self._ended = monotonic()

    def _end_links(self, error: BaseException | None) -> None:
        if self.output is not None:
            self.output.end_writing(error)
        if self.input is not None:
            self.input.end_reading(error)

    def status(self) -> StageStatus:
        """Describe the stage as it is now; never blocks."""
        reads = None if self.input is None else self.input.state()
        writes = None if self.output is None else self.output.state()
        waits_for = None
        if self.running and self._held_back is not None and self._held_back.running:
            waits_for = HELD_BACK
        elif self.running and reads is not None and reads.reader_waiting:
            waits_for = self.previous
        elif self.running and writes is not None and writes.writer_waiting:
            waits_for = self.next
        return StageStatus(
            name=self.name,
            seconds=self._seconds(),
            waited_for_input_seconds=0.0 if reads is None else reads.read_blocked_seconds,
            waited_for_output_seconds=0.0 if writes is None else writes.write_blocked_seconds,
            running=self.running,
            waits_for=waits_for,
            held_back_seconds=0.0 if self._held_back is None else self._held_back.seconds,
        )

    @property
    def running(self) -> bool:
        """Whether its thread has started and not ended."""
        return self._started is not None and self._ended is None

    def _seconds(self) -> float:
        if self._started is None:
            return 0.0
        return (monotonic() if self._ended is None else self._ended) - self._started

    def stack(self) -> str:
        """Return the stack of its thread, formatted as in a traceback; empty if it is not running."""
        ident = None if self.thread is None else self.thread.ident
        frame = None if ident is None or not self.running else sys._current_frames().get(ident)
        return "" if frame is None else "".join(traceback.format_stack(frame))
