"""Progress displays for a running copy: a bar on a terminal, an occasional log line, or JSON lines for programs.

A display writes to the stream it is given, standard error by default, as standard output is for data. A display that
fails is switched off and never fails the copy. Only the bar needs a third-party package (rich).
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO, final

from penstock._extras import need
from penstock.engines.outcome import Observer, Snapshot
from penstock.errors import ConfigurationError
from penstock.flow.units import format_bytes, format_count, format_seconds

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress, TaskID

__all__ = ["KINDS", "Display", "choose", "showing"]

KINDS = ("auto", "bar", "log", "json", "none")

_LOG_SECONDS = 10.0
_JSON_SECONDS = 1.0
_RATE_WINDOW_SECONDS = 5.0

_log = logging.getLogger("penstock.progress")


class Display(Protocol):
    """Shows snapshots of a running copy."""

    def update(self, snapshot: Snapshot) -> None:
        """Show ``snapshot``, unless the last one was shown only a moment ago."""
        ...

    def close(self) -> None:
        """Leave the stream as it should stay, with the drawing removed or the lines kept."""
        ...


@contextmanager
def showing(kind: str, stream: TextIO | None = None) -> Iterator[Observer]:
    """Open a display for a ``with`` block, and close it when the block is left. Gives the function that shows a snapshot.

    Args:
        kind: ``"auto"``, ``"bar"``, ``"log"``, ``"json"`` or ``"none"``.
        stream: where to write; None for standard error.

    Raises:
        ConfigurationError: there is no such kind.
        MissingExtra: ``"bar"`` was asked for by name and rich is not installed.
    """
    display = choose(kind, sys.stderr if stream is None else stream)
    try:
        yield display.update
    finally:
        _close(display)


def _close(display: Display) -> None:
    try:
        display.close()
    except Exception:  # noqa: BLE001 - the copy has ended by now, and its outcome must not depend on the display
        _log.debug("the progress display could not be closed", exc_info=True)


def choose(kind: str, stream: TextIO) -> Display:
    """Return the display called ``kind``; ``"auto"`` is a bar on a terminal if rich is installed, else a log.

    Raises:
        ConfigurationError: there is no such kind.
        MissingExtra: ``"bar"`` was asked for by name and rich is not installed.
    """
    if kind == "auto":
        kind = "bar" if _can_draw(stream) else "log"
    match kind:
        case "bar":
            return BarDisplay(stream)
        case "log":
            return LogDisplay(stream)
        case "json":
            return JsonDisplay(stream)
        case "none":
            return NoDisplay()
    raise ConfigurationError(f"unknown progress {kind!r}: one of {', '.join(KINDS)}")


def _can_draw(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb" and importlib.util.find_spec("rich") is not None


@final
class NoDisplay:
    """Shows nothing."""

    def update(self, snapshot: Snapshot) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@final
class LogDisplay:
    """Writes a line every ten seconds; for a copy that is done sooner, none at all."""

    def __init__(self, stream: TextIO, every_seconds: float = _LOG_SECONDS) -> None:
        self._stream = stream
        self._every = every_seconds
        self._last = 0.0
        self._rate = _Rate()

    def update(self, snapshot: Snapshot) -> None:
        """Write a line if the last one was long enough ago."""
        self._rate.add(snapshot)
        if snapshot.elapsed_seconds - self._last < self._every:
            return
        self._last = snapshot.elapsed_seconds
        elapsed = format_seconds(snapshot.elapsed_seconds)
        self._stream.write(f"penstock: {elapsed}: {_describe(snapshot, self._rate)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: lines stay."""


@final
class JsonDisplay:
    """Writes a JSON object, on one line, every second."""

    def __init__(self, stream: TextIO, every_seconds: float = _JSON_SECONDS) -> None:
        self._stream = stream
        self._every = every_seconds
        self._last = 0.0
        self._rate = _Rate()

    def update(self, snapshot: Snapshot) -> None:
        """Write a line if the last one was long enough ago."""
        self._rate.add(snapshot)
        if snapshot.elapsed_seconds - self._last < self._every:
            return
        self._last = snapshot.elapsed_seconds
        event = {
            "event": "progress",
            "elapsed_seconds": round(snapshot.elapsed_seconds, 3),
            "rows": snapshot.rows,
            "bytes": snapshot.bytes,
            "rows_per_second": None if snapshot.rows is None else round(self._rate.rows_per_second),
            "bytes_per_second": round(self._rate.bytes_per_second),
            "memory_bytes": snapshot.resident_bytes,
            "verdict": snapshot.verdict,
        }
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: lines stay."""


@final
class BarDisplay:
    """Draws one changing line, and removes it at the end.

    It shows no percentage, because the total size of a copy is not known beforehand.
    """

    def __init__(self, stream: TextIO) -> None:
        progress = need("rich.progress", extra="cli", why="draw a progress bar")
        console = need("rich.console", extra="cli", why="draw a progress bar")
        self._rate = _Rate()
        # Refreshed by update() only: a refresh thread of rich's own would be one more thing to leave behind.
        self._progress: RichProgress = progress.Progress(
            progress.SpinnerColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.description}", markup=False),
            console=console.Console(file=stream),
            auto_refresh=False,
            transient=True,
        )
        self._progress.start()
        self._task: TaskID = self._progress.add_task("connecting", total=None)

    def update(self, snapshot: Snapshot) -> None:
        """Redraw the line."""
        self._rate.add(snapshot)
        self._progress.update(self._task, description=_describe(snapshot, self._rate), refresh=True)

    def close(self) -> None:
        """Remove the bar and show the cursor again."""
        self._progress.stop()


def _describe(snapshot: Snapshot, rate: _Rate) -> str:
    """Return a snapshot as one line of text."""
    facts = [
        "" if snapshot.rows is None else f"{format_count(snapshot.rows)} rows",
        format_bytes(snapshot.bytes),
        "" if snapshot.rows is None else f"{format_count(rate.rows_per_second)} rows/s",
        f"{format_bytes(rate.bytes_per_second)}/s",
        "" if snapshot.resident_bytes is None else f"memory {format_bytes(snapshot.resident_bytes)}",
        snapshot.verdict,
    ]
    return ", ".join(fact for fact in facts if fact)


@final
class _Rate:
    """Rows and bytes per second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[Snapshot] = deque()

    def add(self, snapshot: Snapshot) -> None:
        self._seen.append(snapshot)
        while snapshot.elapsed_seconds - self._seen[0].elapsed_seconds > _RATE_WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def rows_per_second(self) -> float:
        return self._per_second((self._seen[-1].rows or 0) - (self._seen[0].rows or 0))

    @property
    def bytes_per_second(self) -> float:
        return self._per_second(self._seen[-1].bytes - self._seen[0].bytes)

    def _per_second(self, amount: int) -> float:
        seconds = self._seen[-1].elapsed_seconds - self._seen[0].elapsed_seconds
        return amount / seconds if seconds > 0 else 0.0
