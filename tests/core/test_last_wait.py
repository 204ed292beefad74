"""What a clean-up waits for is told if it takes long, once, and by whoever waits."""

from __future__ import annotations

import logging
import threading

import pytest

from penstock.core import _last_wait
from penstock.core._last_wait import LAST_WAITS, is_in_last_wait, last_wait, last_wait_after_cancel
from penstock.core._threads import report_stuck
from penstock.core.cancel import CancelScope
from tests.core.threads import wait_until

LINE = "waiting up to 5 s for s3://b/o: aborting the upload"


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait of this test is a long one, however busy the machine is."""
    monkeypatch.setattr(_last_wait, "_SAID_AFTER_SECONDS", 600.0)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait of this test is a long one."""
    monkeypatch.setattr(_last_wait, "_SAID_AFTER_SECONDS", 0.0)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says."""
    return [record.getMessage() for record in caplog.records if record.name == LAST_WAITS]


@pytest.mark.usefixtures("never")
def test_what_ends_soon_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """Nor does it leave a thread."""
    with last_wait("s3://b/o", "aborting the upload", 5.0):
        pass
    assert told(caplog) == []


@pytest.mark.usefixtures("at_once")
def test_of_waits_inside_one_another_the_outermost_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """It knows for how long at most; and the next one speaks again."""
    for _ in range(2):
        with last_wait("s3://b/o", "aborting the upload", 5.0), last_wait("s3://b", "asking", 1.0):
            wait_until(lambda: told(caplog))
        assert told(caplog) == [LINE]
        caplog.clear()


@pytest.mark.usefixtures("at_once")
def test_one_that_follows_a_cancel_is_told_after_it(caplog: pytest.LogCaptureFixture) -> None:
    """Before the cancel nobody wants to leave."""
    with CancelScope() as scope:
        with last_wait_after_cancel("s3://b/o", "aborting the upload", 5.0):
            pass
        assert told(caplog) == []
        with last_wait_after_cancel("s3://b/o", "aborting the upload", 5.0):
            scope.cancel()
            wait_until(lambda: told(caplog))
    assert told(caplog) == [LINE]


@pytest.mark.usefixtures("never")
def test_a_thread_that_tells_itself_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Its stack is for whoever asks for it; a thread that tells nothing is a warning."""
    caplog.set_level(logging.INFO, "penstock.threads")
    here = threading.current_thread()
    with last_wait("s3://b/o", "aborting the upload", 5.0):
        assert is_in_last_wait(here)
        report_stuck(here, 2.0)
    report_stuck(here, 2.0)
    assert not is_in_last_wait(here)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert all("test_a_thread_that_tells_itself" in record.getMessage() for record in caplog.records)
