"""A running copy, shown."""

from __future__ import annotations

import io
import json

import pytest

from penstock.engines.outcome import Snapshot
from penstock.engines.stages import StageStatus
from penstock.errors import ConfigurationError
from penstock.progress import BarDisplay, JsonDisplay, LogDisplay, NoDisplay, choose, showing


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def snapshot(seconds: float, rows: int | None = None, size: int = 0) -> Snapshot:
    source = StageStatus("source", seconds, 0.0, seconds * 0.9, running=True, waits_for="sink")
    sink = StageStatus("sink", seconds, 0.0, 0.0, running=True, waits_for=None)
    return Snapshot(seconds, rows, size, 64 * 1024**2, (source, sink))


def test_a_log_is_a_line_every_ten_seconds() -> None:
    """Fewer lines than snapshots; each with rows, rates over the last seconds, memory and who waits."""
    stream = io.StringIO()
    with showing("log", stream) as observe:
        for second in range(21):
            observe(snapshot(second, rows=second * 1000, size=second * 1024**2))
    first, second = stream.getvalue().splitlines()
    assert first == (
        "penstock: 10.0 s: 10,000 rows, 10.0 MiB, 1,000 rows/s, 1.0 MiB/s, memory 64.0 MiB, "
        "the source waited on the sink 90 % of the time"
    )
    assert second.startswith("penstock: 20.0 s: 20,000 rows")


def test_a_short_copy_logs_nothing() -> None:
    """Done before the first line is due."""
    stream = io.StringIO()
    with showing("log", stream) as observe:
        observe(snapshot(0.2))
    assert stream.getvalue() == ""


def test_json_is_a_line_every_second() -> None:
    """Each line is an object of its own; rows that are not counted are null."""
    stream = io.StringIO()
    with showing("json", stream) as observe:
        for tenth in range(25):
            observe(snapshot(tenth / 10, size=tenth * 100))
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["elapsed_seconds"] for event in events] == [1.0, 2.0]
    assert events[1] == {
        "event": "progress",
        "elapsed_seconds": 2.0,
        "rows": None,
        "bytes": 2000,
        "rows_per_second": None,
        "bytes_per_second": 1000,
        "memory_bytes": 64 * 1024**2,
        "verdict": "the source waited on the sink 90 % of the time",
    }


def test_a_bar_is_drawn_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a line moves; at the end it is gone and the cursor is back."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    with showing("bar", stream) as observe:
        observe(snapshot(1.0, rows=5))
        drawn = stream.getvalue()
    assert "5 rows" in drawn
    assert "memory 64.0 MiB" in drawn
    assert "the source waited on the sink 90 % of the time" in drawn
    assert stream.getvalue().endswith("\x1b[2K")
    assert "\x1b[?25h" in stream.getvalue()[len(drawn) :]


def test_auto_is_a_bar_on_a_terminal_and_a_log_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dumb terminal cannot draw; nor can a terminal without rich installed."""
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose("auto", Terminal()), BarDisplay)
    assert isinstance(choose("auto", io.StringIO()), LogDisplay)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(choose("auto", Terminal()), LogDisplay)
    monkeypatch.undo()
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose("auto", Terminal()), LogDisplay)


def test_kinds_go_by_their_names() -> None:
    """And another name is a mistake that says what there is."""
    assert isinstance(choose("json", io.StringIO()), JsonDisplay)
    assert isinstance(choose("none", io.StringIO()), NoDisplay)
    with pytest.raises(ConfigurationError, match="one of auto, bar, log, json, none"):
        choose("loud", io.StringIO())


def test_a_display_that_cannot_be_closed_harms_nobody() -> None:
    """The copy has ended by then; its result stands."""
    stream = Terminal()
    with showing("bar", stream) as observe:
        observe(snapshot(1.0))
        stream.close()
