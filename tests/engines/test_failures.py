"""The root cause, told from its echoes."""

from __future__ import annotations

from penstock.core.cancel import CancelScope
from penstock.engines.failures import Failures
from penstock.errors import BrokenError, Cancelled, SinkError, SourceError


def test_the_first_error_is_the_cause_and_the_others_are_notes() -> None:
    """What fails after the first error is told with it, in one line."""
    failures, cause = Failures(), SourceError("no such table", where="db")
    failures.record("source", cause)
    failures.record("sink", SinkError("could not remove\nthe file"))
    assert failures.root(stopped=False) is cause
    failures.annotate(cause)
    assert cause.__notes__ == ["also, in the sink: could not remove the file"]


def test_echoes_are_not_told() -> None:
    """The same object, what was raised from it, a broken pipe and a cancel are consequences, not causes."""
    failures, cause, wrapped = Failures(), SourceError("no such table"), SinkError("the upload failed")
    wrapped.__cause__ = cause
    failures.record("sink", Cancelled())
    failures.record("encoder", BrokenError("the read end is closed"))
    failures.record("source", cause)
    failures.record("compressor", cause)
    failures.record("sink", wrapped)
    failures.annotate(cause)
    assert failures.root(stopped=False) is cause
    assert not hasattr(cause, "__notes__")


def test_what_fails_after_being_told_to_stop_is_not_the_cause() -> None:
    """A clean-up that fails after a cancel is kept, but the cancel stays what ended the copy."""
    failures = Failures()
    with CancelScope() as scope:
        scope.cancel()
        failures.record("sink", SinkError("could not abort the upload"))
    assert failures.root(stopped=True) is None
    assert failures.besides(None) == ["sink: could not abort the upload"]


def test_what_a_cancelled_stage_could_not_clean_up_is_told() -> None:
    """A cancel itself is no failure; the note on it must not get lost with it."""
    failures, cause, cancelled = Failures(), SourceError("no such table"), Cancelled()
    cancelled.add_note("an unfinished upload may remain")
    failures.record("source", cause)
    failures.record("sink", cancelled)
    failures.annotate(cause)
    assert cause.__notes__ == ["also, in the sink: an unfinished upload may remain"]


def test_if_nobody_told_us_to_stop_the_first_failure_is_the_cause() -> None:
    """A sink that closes its stream early breaks the source's pipe first; its own complaint still counts."""
    failures, complaint = Failures(), SinkError("it stopped reading before the end")
    echo = BrokenError("the read end is closed")
    failures.record("source", echo)
    assert failures.root(stopped=False) is echo
    with CancelScope() as scope:  # the group, which was cancelled because of the echo
        scope.cancel()
        failures.record("sink", complaint)
    assert failures.root(stopped=False) is complaint
    assert Failures().root(stopped=False) is None
