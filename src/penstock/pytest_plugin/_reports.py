"""Put leaks into pytest's reports, including those that are found after the report of their test."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypedDict

import pytest

from penstock.errors import LeakError
from penstock.leaks import LeakReport
from penstock.leaks._report.places import readable
from penstock.pytest_plugin._owners import Owner

__all__ = ["AfterTheFact", "after_the_fact", "fail", "mention", "receive", "take_held", "tell"]

_NAMES = 3
_HELD: pytest.StashKey[list[AfterTheFact]] = pytest.StashKey()


class AfterTheFact(TypedDict):
    """A leak that was found after its test had been reported. Plain data, as it travels from worker to controller."""

    nodeid: str
    location: tuple[str, int | None, str]
    text: str
    headline: str
    ownerless: bool
    if_passed: bool


def fail(report: pytest.TestReport, found: LeakReport) -> None:
    """Turn the report of a test's teardown into a failure that shows what was left behind."""
    report.outcome = "failed"
    report.longrepr = _representation(str(found), _headline(found), report.location)


def mention(report: pytest.TestReport, found: LeakReport) -> None:
    """Add what was left behind to the report of a test that has failed anyway."""
    # pytest shows such a section below the failure of the call if it has the word teardown in its name.
    report.sections.append(("Left behind after teardown", str(found)))


def after_the_fact(
    found: LeakReport, owner: Owner | None, *, nobody: str = "", if_passed: bool = False
) -> AfterTheFact:
    """Describe leaks that were found too late for the report of their test.

    Args:
        found: the leaks.
        owner: whose leaks they are, if that is known.
        nobody: the name to show if the owner is unknown.
        if_passed: whether to report them only if everything has passed.
    """
    location = ("", None, nobody) if owner is None else (*owner.location[:2], owner.title or owner.location[2])
    return AfterTheFact(
        nodeid=owner.test if owner is not None else "leakcheck",
        location=location,
        text=str(found),
        headline=_headline(found),
        ownerless=owner is None,
        if_passed=if_passed,
    )


def receive(config: pytest.Config, found: Iterable[AfterTheFact]) -> None:
    """Report what a worker of pytest-xdist found; hold back what matters only if everything passes."""
    for each in found:
        if each["if_passed"]:
            config.stash.setdefault(_HELD, []).append(each)
        else:
            tell(config, each)


def take_held(config: pytest.Config) -> list[AfterTheFact]:
    """Return what was held back, and forget it."""
    held = config.stash.get(_HELD, [])
    config.stash[_HELD] = []
    return held


def tell(config: pytest.Config, found: AfterTheFact) -> None:
    """Report a late leak as an error, which makes the exit status 1 if it was 0."""
    path, line, name = found["location"]
    location = (path, line, name)  # a list, where it comes from a worker
    report = pytest.TestReport(
        nodeid=found["nodeid"],
        location=location,
        keywords={},
        outcome="failed",
        longrepr=_representation(found["text"], found["headline"], location),
        when="teardown",
    )
    plugins = config.pluginmanager
    terminal = plugins.get_plugin("terminalreporter")
    # Everybody hears of it, the JUnit file and --last-failed too; but the terminal would put an E behind the dots of a
    # file it is long done with, and nothing that is no test can be run again.
    deaf = {terminal, plugins.get_plugin("lfplugin") if found["ownerless"] else None} - {None}
    plugins.subset_hook_caller("pytest_runtest_logreport", deaf)(report=report)
    if terminal is not None:
        terminal.stats.setdefault("error", []).append(report)


def _headline(found: LeakReport) -> str:
    names = [f"{leak.kind} '{readable(leak.name)}'" for leak in found]
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return f"LeakError: left behind {', '.join(names[:_NAMES])}{more}"


def _representation(text: str, headline: str, location: tuple[str, int | None, str]) -> Any:
    """Return what pytest shows of a failure: here the text alone, and the headline in its short summary."""
    try:
        raise LeakError(text)
    except LeakError as exc:
        shown = pytest.ExceptionInfo.from_exception(exc).getrepr(style="value")
    crash = shown.reprcrash
    assert crash is not None, "this very function is in the traceback"
    crash.path, crash.lineno, crash.message = os.fspath(location[0]), (location[1] or 0) + 1, headline
    return shown
