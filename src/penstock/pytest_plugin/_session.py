"""The hooks around the whole test run, and what is reported at its end."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import pytest

from penstock.leaks import Leak, LeakReport, find_leaks, snapshot, trace_starts
from penstock.pytest_plugin._fixtures import FixtureChecks
from penstock.pytest_plugin._owners import OnlyOf, Owner, Owners
from penstock.pytest_plugin._reports import AfterTheFact, after_the_fact, take_held, tell
from penstock.pytest_plugin._settings import Settings
from penstock.pytest_plugin._tests import TestChecks

__all__ = ["SessionChecks"]


class SessionChecks:
    """Checks tests and fixtures, and reports at the end what was found too late for a test's own report.

    Args:
        config: pytest's configuration.
        settings: the settings in the ini file.
        mode: ``test``, ``session``, or ``off``, which checks marked tests only.
    """

    def __init__(self, config: pytest.Config, settings: Settings, mode: str) -> None:
        self._config = config
        self._settings = settings
        self._mode = mode
        self._owners = Owners()
        self._fixtures = FixtureChecks(self._owners)
        tests = TestChecks(self._owners, self._fixtures, settings, every_test=mode == "test")
        config.pluginmanager.register(self._fixtures)
        config.pluginmanager.register(tests)
        self._tracing = trace_starts()
        self._since = snapshot()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Take a snapshot, so that what pytest and its plugins have started by now is ignored."""
        self._since = snapshot()

    def pytest_unconfigure(self) -> None:
        """Stop recording stacks, as pytest may run inside a larger program."""
        self._tracing.stop()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Check once more when all tests are over, while a failure still counts for the exit status."""
        found: list[AfterTheFact] = []
        try:
            result = yield
            found += self._late()
            if self._mode == "session" and self._has_passed(session):
                found += self._left_by_session()
            return result
        finally:
            self._deliver(session, [*self._fixtures.found, *found])

    def _has_passed(self, session: pytest.Session) -> bool:
        """Whether tests were run in this process and all have passed."""
        is_controller = self._config.pluginmanager.has_plugin("dsession")  # of pytest-xdist: its workers look
        return bool(session.testscollected) and not (
            session.testsfailed or session.config.option.collectonly or is_controller
        )

    def _late(self) -> list[AfterTheFact]:
        """Return leaks that were found only after the test they belong to had ended."""
        late = {thing: owner for thing, owner in self._owners.late.items() if not self._owners.is_reported(thing)}
        if not late:
            return []
        found = self._find(OnlyOf(things=frozenset(late)))
        return _by_owner(
            ((leak, late.get((leak.kind, leak.identity))) for leak in found), found, "tests that ran at the same time"
        )

    def _left_by_session(self) -> list[AfterTheFact]:
        found = self._find()
        owned = [(leak, self._owners.owner_of((leak.kind, leak.identity), leak.scope)) for leak in found]
        wanted = [(leak, owner) for leak, owner in owned if owner is None or not owner.excluded]
        return _by_owner(wanted, found, "the session", if_passed=True)

    def _find(self, *rules: OnlyOf) -> LeakReport:
        settings = self._settings
        return find_leaks(
            since=self._since, ignore=(*settings.ignore, *rules), grace=settings.grace, strict=settings.strict
        )

    def _deliver(self, session: pytest.Session, found: list[AfterTheFact]) -> None:
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["penstock_leaks"] = found
            return
        passed = not session.testsfailed
        for each in (*found, *take_held(self._config)):
            if passed or not each["if_passed"]:
                tell(self._config, each)


def _by_owner(
    owned: Iterable[tuple[Leak, Owner | None]], found: LeakReport, nobody: str, *, if_passed: bool = False
) -> list[AfterTheFact]:
    grouped: dict[Owner | None, list[Leak]] = {}
    for leak, owner in owned:
        grouped.setdefault(owner, []).append(leak)
    return [
        after_the_fact(LeakReport(tuple(leaks), found.waited_seconds), owner, nobody=nobody, if_passed=if_passed)
        for owner, leaks in grouped.items()
    ]
