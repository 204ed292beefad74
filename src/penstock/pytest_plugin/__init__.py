"""The pytest plugin: a test that leaves something behind fails.

    pytest --leakcheck            every test is checked, its setup and teardown included
    pytest --leakcheck=session    one check at the end, if everything has passed

    @pytest.mark.leakcheck        this test is checked in any case; ``leakcheck(False)``: in no case
    def test_import(leakcheck):
        with leakcheck():         a part of a test
            ...

pytest imports this module at every start wherever penstock is installed. So it imports nothing itself: the rest is
loaded when a check is asked for.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from penstock.leaks import leakcheck as leakcheck_type

__all__: list[str] = []

_MODES = ("test", "session", "off")
_PLUGIN_NAME = "penstock-leakcheck"

_MARKER = (
    "leakcheck(enabled=True, *, grace, ignore, strict, kinds): fail the test if it leaves threads, tasks, processes, "
    "descriptors or the like behind, after `grace` seconds of patience. leakcheck(False): never check it. On a class or "
    "module it holds for every test there; what is given nearer to the test wins."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command line's and the ini file's options."""
    group = parser.getgroup("leakcheck", "leaks (penstock)")
    # One option with an optional value would take the file name in `pytest --leakcheck tests` for its value. argparse
    # knows an option with its value by the whole word first, so each of them is a flag of its own.
    for flags, mode, meaning in (
        (("--leakcheck", "--leakcheck=test"), "test", "fail every test that leaves something behind"),
        (("--leakcheck=session",), "session", "look once, at the end of the run, if all tests have passed"),
        (("--leakcheck=off",), "off", "check marked tests only, whatever the ini file says"),
    ):
        group.addoption(*flags, action="store_const", const=mode, dest="leakcheck", default=None, help=meaning)
    parser.addini("leakcheck", "test, session or off: as --leakcheck, for every run", default="off")
    number: Literal["float"] | None = "float" if pytest.version_tuple >= (8, 4) else None  # before, a number is text
    parser.addini("leakcheck_grace", "seconds to wait for what is on its way out (0.5)", type=number, default=None)
    parser.addini("leakcheck_strict", "report also what serves on or wakes by itself", type="bool", default=False)
    parser.addini(
        "leakcheck_ignore",
        "what to pass over, a rule a line: name=worker-* or kind=thread any_function=jobs.poll  # why",
        type="linelist",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Load the rest if checks are asked for."""
    config.addinivalue_line("markers", _MARKER)
    mode = config.getoption("leakcheck", default=None) or config.getini("leakcheck") or "off"
    if mode not in _MODES:
        raise pytest.UsageError(f"leakcheck = {mode} in the ini file: it is one of {', '.join(_MODES)}")
    if mode != "off":
        _switch_on(config, mode)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Load the rest if any test is marked."""
    if session.config.pluginmanager.has_plugin(_PLUGIN_NAME):
        return
    # The keywords are looked at first, for they are cheap; a file may have that name as well.
    if any("leakcheck" in item.keywords and item.get_closest_marker("leakcheck") for item in session.items):
        _switch_on(session.config, "off")


def _switch_on(config: pytest.Config, mode: str) -> None:
    from penstock.pytest_plugin._session import SessionChecks
    from penstock.pytest_plugin._settings import settings_of_run

    config.pluginmanager.register(SessionChecks(config, settings_of_run(config), mode), _PLUGIN_NAME)


@pytest.fixture
def leakcheck() -> type[leakcheck_type]:
    """Give a test the class ``penstock.leaks.leakcheck``, to check a part of it in a ``with`` block."""
    from penstock.leaks import leakcheck

    return leakcheck


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Register last, when all other plugins are registered, to have the last word on what is shown of a test."""
    session.config.pluginmanager.register(_Status())


class _Status:
    """Shows the outcome of a checked test when it is known: after its teardown, instead of after its call."""

    def __init__(self) -> None:
        self._of_call: dict[str, tuple[Any, ...]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> Generator[None, tuple[Any, ...], tuple[Any, ...]]:
        """Do not report a call as passed until its teardown is over and nothing was left behind."""
        status = yield
        state = getattr(report, "penstock_leakcheck", None)
        if state is None or type(report) is not pytest.TestReport:  # subtests derive from it; they are parts of a test
            return status
        if state == "pending" and report.passed:
            if status != _PASSED:  # some plugin has its own way to say so
                self._of_call[report.nodeid] = status
            return "", "", ""
        if state == "clean" and report.passed:
            return self._of_call.get(report.nodeid, _PASSED)
        # Where tests are run again, a failure may have become something else meanwhile.
        return ("failed", "F", "FAILED") if state == "leaked" and report.failed else status


_PASSED = ("passed", ".", "PASSED")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist found at its end."""
    found = getattr(node, "workeroutput", {}).get("penstock_leaks")
    if found:
        from penstock.pytest_plugin._reports import receive

        receive(node.config, found)
