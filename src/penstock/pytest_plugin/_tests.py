"""The hooks around each test, which check it from before its setup until after the teardown of its fixtures."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest

from penstock.errors import ConfigurationError
from penstock.leaks import LeakReport, find_leaks, snapshot
from penstock.leaks._noting.origins import current_scope
from penstock.pytest_plugin._fixtures import FixtureChecks
from penstock.pytest_plugin._owners import NotOf, Owner, Owners
from penstock.pytest_plugin._reports import fail, mention
from penstock.pytest_plugin._settings import Settings, settings_of_test

__all__ = ["TestChecks"]

Wrapper = Generator[None, Any, Any]


@dataclass(slots=True)
class _Run:
    """One run of a test, of which there may be several, as plugins can run a test again."""

    test: Owner
    outer_scope: str | None
    setup_failed: bool = False
    passed: bool = False
    call_failed: bool = False
    found: LeakReport | None = None


_RUN: pytest.StashKey[_Run] = pytest.StashKey()


class TestChecks:
    """Checks tests, and after each one the fixtures that ended with it."""

    __test__ = False

    def __init__(self, owners: Owners, fixtures: FixtureChecks, settings: Settings, *, every_test: bool) -> None:
        self._owners = owners
        self._fixtures = fixtures
        self._settings = settings
        self._every_test = every_test

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Wrapper:
        """Begin a test."""
        __tracebackhide__ = True  # here and below: what a test raises passes through, and is no news of ours
        try:
            settings = settings_of_test(item, self._settings)
        except ConfigurationError as exc:
            pytest.fail(str(exc), pytrace=False)
        checked = settings.enabled if settings.enabled is not None else self._every_test
        test = Owner(item.nodeid, item.nodeid, item.location, settings, checked)
        item.stash[_RUN] = _Run(test, current_scope.get())
        self._owners.begin(test)
        current_scope.set(test.key)
        if checked:
            test.since = snapshot()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Wrapper:
        """Make a coroutine function carry its test's scope, in whichever task it is run.

        AnyIO's plugin runs tests and fixtures in one task, which keeps the context variables of the first one.
        """
        __tracebackhide__ = True
        function = pyfuncitem.obj
        if not inspect.iscoroutinefunction(function) or _RUN not in pyfuncitem.stash:
            return (yield)
        pyfuncitem.obj = _under(pyfuncitem.stash[_RUN].test.key, function)
        try:
            return (yield)
        finally:
            pyfuncitem.obj = function

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Wrapper:
        """End a test: check what it has left, once all other plugins are done with it."""
        __tracebackhide__ = True
        run = item.stash.get(_RUN, None)
        try:
            return (yield)
        finally:
            if run is not None:
                self._end(run)

    def _end(self, run: _Run) -> None:
        try:
            if run.test.checked:
                run.found = self._left_by(run.test)
            self._fixtures.check_ended()
        finally:
            self._owners.end(run.test)
            current_scope.set(run.outer_scope)

    def _left_by(self, test: Owner) -> LeakReport:
        settings = test.settings
        found = find_leaks(
            since=test.since,
            ignore=(*settings.ignore, NotOf(test=test, owners=self._owners)),
            grace=settings.grace,
            strict=settings.strict,
        )
        # Of some things the scope is known only now that they have been looked at closely.
        leaks = [leak for leak in found if self._owners.belongs_to(test, (leak.kind, leak.identity), leak.scope)]
        self._owners.reported(leaks)
        return LeakReport(tuple(leaks), found.waited_seconds)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what was found into the test's reports. The outcome of a test is known only after its teardown."""
        report = yield
        run = item.stash.get(_RUN, None)
        if run is None or not run.test.checked:
            return report
        if call.when == "setup":
            run.setup_failed = report.failed
        elif call.when == "call":
            run.call_failed = report.failed or (report.skipped and hasattr(report, "wasxfail"))
            run.passed = report.passed and not hasattr(report, "wasxfail")
            if run.passed:
                _show(report, "pending")
        elif call.when == "teardown":
            del item.stash[_RUN]
            _amend(report, run)
        return report


def _amend(report: pytest.TestReport, run: _Run) -> None:
    """Put what was found into the report of the teardown."""
    if run.found and (report.failed or run.call_failed):
        mention(report, run.found)
    elif run.found:
        fail(report, run.found)
        if not run.setup_failed:
            _show(report, "leaked")
    elif run.passed and report.passed:
        _show(report, "clean")


def _show(report: pytest.TestReport, state: str) -> None:
    """Have ``pytest_report_teststatus`` show ``report`` differently; an attribute of a report travels with it."""
    vars(report)["penstock_leakcheck"] = state


def _under(key: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(function)
    async def under_its_test(*args: Any, **kwargs: Any) -> Any:
        token = current_scope.set(key)
        try:
            return await function(*args, **kwargs)
        finally:
            current_scope.reset(token)

    return under_its_test
