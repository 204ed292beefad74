"""The hooks around fixtures of wider scope than a test: what they start belongs to them, and is checked when they end."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Generator
from typing import Any

import pytest

from penstock.leaks import LeakReport, find_leaks, snapshot
from penstock.leaks._noting.origins import current_scope
from penstock.pytest_plugin._owners import OnlyOf, Owner, Owners, things_since
from penstock.pytest_plugin._reports import AfterTheFact, after_the_fact

__all__ = ["FixtureChecks"]

Wrapper = Generator[None, Any, Any]


class FixtureChecks:
    """Checks class-, module-, package- and session-scoped fixtures. ``found`` holds what they have left behind."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._ended: deque[Owner] = deque()
        self.found: list[AfterTheFact] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Wrapper:
        """Attribute to a fixture what it starts in its setup and teardown, and what its threads start in between."""
        __tracebackhide__ = True
        outer = current_scope.get()
        asking = self._owners.get(outer)
        if fixturedef.scope == "function" or asking is None:
            return (yield)
        fixture = self._owners.add(_owner(fixturedef, asking))
        since = snapshot() if fixture.checked else None
        # Finalizers run in reverse: this one after the fixture's own teardown, and the one below before it.
        request.addfinalizer(functools.partial(self._over, fixture))
        current_scope.set(fixture.key)
        try:
            return (yield)
        finally:
            current_scope.set(outer)
            request.addfinalizer(functools.partial(_ending, fixture))
            if since is not None:
                fixture.since = since
                appeared = [thing for thing, scope in things_since(since).items() if scope in (None, fixture.key)]
                self._owners.made_by_fixture(fixture, appeared)

    def _over(self, fixture: Owner) -> None:
        current_scope.set(fixture.outer_scope)
        fixture.running = False
        self._ended.append(fixture)

    def check_ended(self) -> None:
        """Check what is left of the fixtures that have ended since the last call."""
        while self._ended:
            fixture = self._ended.popleft()
            if fixture.since is not None:
                self._check(fixture)
            self._owners.ended_fixture(fixture)

    def _check(self, fixture: Owner) -> None:
        settings = fixture.settings
        theirs = OnlyOf(things=frozenset(fixture.things), scope=fixture.key)
        found = find_leaks(
            since=fixture.since, ignore=(*settings.ignore, theirs), grace=settings.grace, strict=settings.strict
        )
        leaks = [leak for leak in found if leak.kind in settings.kinds]
        if leaks:
            self._owners.reported(leaks)
            self.found.append(after_the_fact(LeakReport(tuple(leaks), found.waited_seconds), fixture))


def _ending(fixture: Owner) -> None:
    fixture.outer_scope = current_scope.get()
    current_scope.set(fixture.key)


def _owner(fixturedef: pytest.FixtureDef[Any], asking: Owner) -> Owner:
    title = f"{fixturedef.scope} fixture '{fixturedef.argname}'"
    key = f"{title}, set up for {asking.test}"
    return Owner(key, asking.test, asking.location, asking.settings, asking.checked, title=title)
