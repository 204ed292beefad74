"""The pytest plugin's switches: the command line, the ini file, markers, the check at the end, and no switch at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.subprocesses import run_python
from tests.leaks.pytest_runs import Run, run_pytest

MARKED = """
    import threading
    import time
    import pytest
    from helpers import leak, start
    from penstock.leaks import ignore

    def test_without_marker():
        leak("not looked for")

    @pytest.mark.leakcheck
    def test_marked():
        leak("looked for")

    @pytest.mark.leakcheck(enabled=False)
    def test_switched_off():
        leak("allowed")

    @pytest.mark.leakcheck(ignore=ignore(name="known-*"))
    def test_ignores_by_rule():
        leak("known-1")

    @pytest.mark.leakcheck(ignore=["name=known-*  # why not", 'name="well known"'])
    def test_ignores_by_text():
        leak("known-2")
        leak("well known")

    @pytest.mark.leakcheck(ignore=["name=known-*"])
    def test_ignores_others_only():
        leak("unknown")

    @pytest.mark.leakcheck(kinds="task")
    def test_other_kinds():
        leak("a thread is no task")

    @pytest.mark.leakcheck(kinds=("task", "thread"))
    def test_these_kinds():
        leak("a thread is a thread")

    @pytest.mark.leakcheck(grace=20)
    def test_is_patient():
        start("on its way out", time.sleep, 0.3)

    @pytest.mark.leakcheck(strict=True)
    def test_strict():
        start("a heartbeat", threading.Event().wait, 3600)

    @pytest.mark.leakcheck
    def test_not_strict():
        start("another heartbeat", threading.Event().wait, 3600)

    @pytest.mark.leakcheck
    class TestMarked:
        def test_of_marked_class(self):
            leak("left in a class")

        @pytest.mark.leakcheck(False)
        def test_switched_off_in_marked_class(self):
            leak("allowed in a class")

    @pytest.mark.leakcheck(False, ignore="name=of-class")
    class TestSwitchedOff:
        def test_of_switched_off_class(self):
            leak("allowed as well")

        @pytest.mark.leakcheck
        def test_marked_in_switched_off_class(self):
            leak("of-class")
            leak("left after all")

    @pytest.mark.leakcheck(patience=3)
    def test_misspelt():
        pass

    @pytest.mark.leakcheck(kinds="thred")
    def test_misspelt_kind():
        pass
"""


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which only marked tests are checked."""
    return run_pytest(tmp_path_factory.mktemp("marked"), test_it=MARKED)


def words_of(run: Run, test: str) -> list[str]:
    return next(words for name, words in run.words.items() if name.endswith(test))


@pytest.mark.parametrize(
    ("test", "name"),
    [
        ("test_marked", "looked for"),
        ("test_ignores_others_only", "unknown"),
        ("test_these_kinds", "a thread is a thread"),
        ("test_strict", "a heartbeat"),
        ("test_of_marked_class", "left in a class"),
        ("test_marked_in_switched_off_class", "left after all"),
    ],
)
def test_a_marked_test_is_checked(marked: Run, test: str, name: str) -> None:
    """A marker has a test checked although no option asks for it, as its arguments say; the nearest one counts."""
    assert words_of(marked, test) == ["FAILED"]
    assert f"left behind thread '{name}'" in marked.output


@pytest.mark.parametrize(
    "test",
    [
        "test_without_marker",
        "test_switched_off",
        "test_ignores_by_rule",
        "test_ignores_by_text",
        "test_other_kinds",
        "test_is_patient",
        "test_not_strict",
        "test_switched_off_in_marked_class",
        "test_of_switched_off_class",
    ],
)
def test_a_marker_says_what_to_pass_over(marked: Run, test: str) -> None:
    """Nothing is said of a test without a marker, of one switched off, and of what its marker's arguments exclude."""
    assert words_of(marked, test) == ["PASSED"]


def test_arguments_of_a_farther_marker_hold_where_the_nearer_is_silent(marked: Run) -> None:
    """A class's `ignore=` holds for a test whose own marker has none."""
    assert "of-class" not in marked.output


def test_a_misspelt_marker_is_an_error(marked: Run) -> None:
    """An argument that does not exist, or a kind that does not, is named, without a traceback."""
    assert "not patience=" in marked.section("ERROR at setup of test_misspelt")
    assert "'thred' is no kind of leak" in marked.section("ERROR at setup of test_misspelt_kind")
    assert "Traceback" not in marked.output


LEAKS = """
    import threading
    from helpers import leak, start

    def test_leaks():
        leak("worker-1")

    def test_beats():
        start("a heartbeat", threading.Event().wait, 3600)
"""


@pytest.mark.parametrize(
    ("ini", "options", "failed"),
    [
        ("", [], []),
        ("", ["--leakcheck=test"], ["test_leaks"]),
        ("leakcheck = test", [], ["test_leaks"]),
        ("leakcheck = test", ["--leakcheck=off"], []),
        ("leakcheck = off", ["--leakcheck"], ["test_leaks"]),
        ("leakcheck_strict = true", ["--leakcheck"], ["test_leaks", "test_beats"]),
        ("leakcheck_ignore = name=worker-*  # they are known", ["--leakcheck"], []),
    ],
)
def test_the_ini_file_and_the_command_line(tmp_path: Path, ini: str, options: list[str], failed: list[str]) -> None:
    """The ini file says how the tests are checked, and the command line has the last word on whether."""
    run = run_pytest(tmp_path, *options, ini=ini, test_it=LEAKS)
    assert [test for test, words in run.words.items() if words == ["FAILED"]] == failed
    assert run.exit_status == (1 if failed else 0)


@pytest.mark.parametrize(
    ("ini", "complaint"),
    [
        ("leakcheck = always", "leakcheck = always in the ini file: it is one of test, session, off"),
        ("leakcheck_grace = long", "leakcheck in the ini file:"),
        ("leakcheck_grace = -1", "grace is a number of seconds from 0 on"),
        ("leakcheck_ignore = worker-1", "'worker-1' is not CONDITION=PATTERN"),
        ("leakcheck_ignore = kind=thred", "'thred' is no kind of leak"),
    ],
)
def test_nonsense_in_the_ini_file_is_a_usage_error(tmp_path: Path, ini: str, complaint: str) -> None:
    """What makes no sense ends the run with exit status 4 before any test, and a line that says why."""
    options = [] if ini.startswith("leakcheck =") else ["--leakcheck"]
    run = run_pytest(tmp_path, *options, ini=ini, test_it=LEAKS)
    assert run.exit_status == 4
    assert complaint in run.output


SESSION = """
    import pytest
    from helpers import leak

    {at_import}

    @pytest.fixture(scope="session")
    def shared():
        {in_fixture}

    def test_first(shared):
        {in_test}

    def test_second():
        {in_second}

    @pytest.mark.leakcheck(False)
    def test_exempted():
        leak("allowed")
"""


@pytest.mark.parametrize(
    ("where", "title", "counts"),
    [
        ("in_test", "ERROR at teardown of test_first", {"passed": 3, "error": 1}),
        ("in_fixture", "ERROR at teardown of session fixture 'shared'", {"passed": 3, "error": 1}),
        ("at_import", "ERROR at teardown of the session", {"passed": 3, "error": 1}),
    ],
)
def test_the_check_at_the_end_finds_all(tmp_path: Path, where: str, title: str, counts: dict[str, int]) -> None:
    """--leakcheck=session reports at the end what is left, by whoever started it, and turns exit status 0 into 1."""
    places = dict.fromkeys(("at_import", "in_fixture", "in_test", "in_second"), "pass") | {where: 'leak("left")'}
    run = run_pytest(tmp_path, "--leakcheck=session", test_it=SESSION.format_map(places))
    assert "thread 'left' will never wake" in run.section(title)
    assert "allowed" not in run.output
    assert run.counts == counts
    assert run.exit_status == 1


def test_the_check_at_the_end_keeps_quiet_when_all_is_well(tmp_path: Path) -> None:
    """--leakcheck=session leaves the exit status 0 when nothing but what is exempted was left."""
    places = dict.fromkeys(("at_import", "in_fixture", "in_test", "in_second"), "pass")
    run = run_pytest(tmp_path, "--leakcheck=session", test_it=SESSION.format_map(places))
    assert (run.exit_status, run.counts) == (0, {"passed": 3})


@pytest.mark.parametrize(
    ("options", "in_second", "exit_status"),
    [
        ([], "assert 0", 1),
        (["-x"], "assert 0", 1),
        ([], "pytest.exit('enough', returncode=9)", 9),
        ([], "raise KeyboardInterrupt", 2),
        (["-k", "no_such_test"], "pass", 5),
        (["--collect-only"], "pass", 0),
    ],
)
def test_the_check_at_the_end_is_for_runs_that_passed(
    tmp_path: Path, options: list[str], in_second: str, exit_status: int
) -> None:
    """--leakcheck=session says nothing where something failed, and changes no exit status other than 0."""
    places = {"at_import": "pass", "in_fixture": "pass", "in_test": 'leak("left")', "in_second": in_second}
    run = run_pytest(tmp_path, "--leakcheck=session", *options, test_it=SESSION.format_map(places))
    assert run.exit_status == exit_status
    assert "left behind" not in run.output


def test_the_fixture_checks_a_part_of_a_test(tmp_path: Path) -> None:
    """The fixture `leakcheck` is penstock.leaks.leakcheck, whether or not the option is on."""
    module = """
        import pytest
        from helpers import leak
        from penstock.leaks import LeakError

        def test_part(leakcheck):
            leak("before")
            with pytest.raises(LeakError, match="within"):
                with leakcheck(grace=0.05):
                    leak("within")
            with leakcheck():
                pass
    """
    assert run_pytest(tmp_path, test_it=module).counts == {"passed": 1}


def test_without_a_switch_nothing_is_loaded(tmp_path: Path) -> None:
    """Where neither an option nor a marker asks for a check, penstock.leaks is not imported, and no hook is there."""
    module = """
        import sys

        def test_loaded(pytestconfig):
            assert [name for name in sys.modules if name.startswith("penstock.") and "pytest_plugin" not in name] == []
            assert not pytestconfig.pluginmanager.has_plugin("penstock-leakcheck")
    """
    assert run_pytest(tmp_path, test_it=module).counts == {"passed": 1}


def test_importing_the_plugin_imports_nothing_else() -> None:
    """Beside pytest, which is there already, the plugin imports itself and the empty front door of penstock."""
    program = """
        import pytest, sys
        before = set(sys.modules)
        import penstock.pytest_plugin
        print(*sorted(set(sys.modules) - before))
    """
    assert run_python(program).stdout.split() == ["penstock", "penstock.pytest_plugin"]
