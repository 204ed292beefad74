"""The pytest plugin: which test fails for what was left behind, and how it is told."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.leaks.pytest_runs import Run, run_pytest

CHECKED = """
    import queue
    import threading
    import pytest
    from helpers import leak, start

    def test_leaves_nothing():
        start("short", int).join()

    def test_leaves_a_thread():
        inbox = queue.Queue()
        threading.Thread(target=inbox.get, name="consumer", daemon=True).start()

    def test_comes_after():
        pass

    @pytest.fixture
    def tidy():
        going = threading.Event()
        thread = start("tidy", going.wait)
        yield
        going.set()
        thread.join()

    def test_with_tidy_fixture(tidy):
        pass

    @pytest.fixture
    def untidy():
        yield
        leak("left by a teardown")

    def test_with_untidy_fixture(untidy):
        pass

    def test_fails_and_leaks():
        lock = threading.Lock()
        lock.acquire()
        start("waits for the lock", lock.acquire)
        assert not "as it must be"

    @pytest.mark.xfail(reason="is known", strict=True)
    def test_xfails_and_leaks():
        lock = threading.Lock()
        lock.acquire()
        start("waits in vain", lock.acquire)
        assert not "as it must be"

    @pytest.fixture
    def broken():
        leak("left by a broken setup")
        raise OSError("the fixture is broken")

    def test_with_broken_fixture(broken):
        pass

    @pytest.fixture
    def breaks_later():
        yield
        leak("left by a broken teardown")
        raise OSError("the teardown is broken")

    def test_with_broken_teardown(breaks_later):
        pass

    def test_skips_and_leaks():
        leak("left by a skipped test")
        pytest.skip("enough")

    @pytest.mark.leakcheck(False)
    def test_is_not_checked():
        leak("allowed")

    class TestMethods:
        def test_leaves_a_thread(self):
            leak("left by a method")
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which every test is checked."""
    folder = tmp_path_factory.mktemp("checked")
    # The file's name comes behind the option, and must not be taken for its value.
    return run_pytest(folder, "--junitxml=results.xml", "--leakcheck", "test_it.py", test_it=CHECKED)


def test_a_leak_fails_the_test_that_left_it(checked: Run) -> None:
    """The test that left a thread behind has failed, has not passed as well, and those around it have passed."""
    assert checked.words["test_leaves_a_thread"] == ["FAILED"]
    assert checked.words["test_leaves_nothing"] == checked.words["test_comes_after"] == ["PASSED"]
    assert checked.words["TestMethods::test_leaves_a_thread"] == ["FAILED"]
    assert checked.exit_status == 1


def test_the_report_is_all_there_is_to_read(checked: Run) -> None:
    """The failure says which thread it is, where it waits and which test started it, and shows nothing of the plugin."""
    section = checked.section("test_leaves_a_thread")
    assert "thread 'consumer' will never wake: PROVEN" in section
    assert "queue.Queue.get()" in section
    assert "test_it.py:12 in test_leaves_a_thread" in section
    assert "test_it.py::test_leaves_a_thread" in section
    assert "pytest_plugin" not in checked.output
    assert "test_leaves_a_thread - LeakError: left behind thread 'consumer'" in checked.output


def test_function_fixtures_belong_to_the_test(checked: Run) -> None:
    """What a fixture's teardown ends is no leak; what it leaves or starts fails the test."""
    assert checked.words["test_with_tidy_fixture"] == ["PASSED"]
    assert checked.words["test_with_untidy_fixture"] == ["FAILED"]
    assert "left by a teardown" in checked.section("test_with_untidy_fixture")


def test_a_test_that_fails_anyway_fails_once(checked: Run) -> None:
    """The leak of a failed test stands below its failure and counts no second time; an expected failure stays one."""
    assert checked.words["test_fails_and_leaks"] == ["FAILED"]
    section = checked.section("test_fails_and_leaks")
    assert (
        section.index("as it must be")
        < section.index("Left behind after teardown")
        < section.index("thread 'waits for the lock'")
    )
    assert checked.words["test_xfails_and_leaks"] == ["XFAIL"]


def test_a_leak_beside_an_error_is_told(checked: Run) -> None:
    """What is left when the setup or the teardown raises is reported, and so is the exception."""
    assert checked.words["test_with_broken_fixture"] == ["ERROR", "ERROR"]
    assert "the fixture is broken" in checked.section("ERROR at setup of test_with_broken_fixture")
    assert "left by a broken setup" in checked.section("ERROR at teardown of test_with_broken_fixture")
    section = checked.section("ERROR at teardown of test_with_broken_teardown")
    assert "the teardown is broken" in section
    assert "left by a broken teardown" in section


def test_a_skipped_test_that_leaks_fails(checked: Run) -> None:
    """A test that leaves a thread behind before it skips is reported."""
    assert "left by a skipped test" in checked.section("test_skips_and_leaks")


def test_a_test_can_be_exempted(checked: Run) -> None:
    """`leakcheck(False)` passes over one test, and over what it left in the tests after it."""
    assert checked.words["test_is_not_checked"] == ["PASSED"]
    assert "allowed" not in checked.output


def test_no_test_counts_twice(checked: Run) -> None:
    """The counts of pytest's last line add up to the tests, but for the one with two errors."""
    assert checked.counts == {"passed": 4, "failed": 5, "skipped": 1, "xfailed": 1, "error": 3}


def test_the_junit_file_has_the_leaks(checked: Run) -> None:
    """Whoever reads the JUnit file finds the leak in the test that left it."""
    results = ElementTree.parse(checked.folder / "results.xml")
    cases = {(case.get("classname"), case.get("name")): "".join(case.itertext()) for case in results.iter("testcase")}
    assert cases["test_it", "test_leaves_nothing"].strip() == ""
    assert "consumer" in cases["test_it", "test_leaves_a_thread"]


LATE = """
    import threading
    import pytest
    from helpers import leak, start, until

    go_on = threading.Event()
    started = threading.Event()

    def leak_later():
        go_on.wait()
        leak("left by a thread of the first test")
        started.set()

    @pytest.mark.leakcheck({arguments})
    def test_first():
        start("starter", leak_later)

    def test_second():
        go_on.set()
        assert started.wait(20)
"""


def test_the_starter_is_to_blame_and_not_the_finder(tmp_path: Path) -> None:
    """A thread that a test's thread starts during another test is reported for the first, at the end, as an error."""
    # The first test is checked, and what its thread waits on is the module's: that it is still there is no leak.
    run = run_pytest(tmp_path, "--leakcheck", test_it=LATE.format(arguments=""))
    assert run.words["test_second"] == ["PASSED"]
    assert run.words["test_first"] == ["PASSED", "ERROR"]
    assert "left by a thread of the first test" in run.section("ERROR at teardown of test_first")
    assert run.exit_status == 1


def test_an_exempted_test_is_not_to_blame_later_either(tmp_path: Path) -> None:
    """What threads of a test with `leakcheck(False)` start during other tests is passed over."""
    run = run_pytest(tmp_path, "--leakcheck", test_it=LATE.format(arguments="False"))
    assert run.counts == {"passed": 2}
    assert run.exit_status == 0


IN_THREADS = """
    import threading
    import pytest
    from _pytest.runner import SetupState

    class StateOfThread(threading.local):
        def __init__(self):
            self.state = SetupState()

        def __getattr__(self, name):
            return getattr(self.state, name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(session):
        session._setupstate = StateOfThread()
        run = session.config.hook.pytest_runtest_protocol
        threads = [threading.Thread(target=lambda item=item: run(item=item, nextitem=None)) for item in session.items]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return True
"""


def test_tests_in_parallel_threads_are_told_apart(tmp_path: Path) -> None:
    """Of tests that run at the same time in threads of one process, that one fails that started what was left."""
    module = """
        import threading
        from helpers import leak
        from penstock.leaks._noting.origins import current_scope

        both_there, both_done = threading.Barrier(2), threading.Barrier(2)

        def test_leaks():
            both_there.wait(20)
            leak("left by the one")
            both_done.wait(20)
            assert current_scope.get() == "test_it.py::test_leaks"

        def test_leaks_not():
            both_there.wait(20)
            both_done.wait(20)
            assert current_scope.get() == "test_it.py::test_leaks_not"
    """
    # What keeps in one place what belongs to the one test that runs must not be there.
    plugins = ("in_threads", "no:logging", "no:capture", "no:threadexception", "no:unraisableexception")
    run = run_pytest(tmp_path, "--leakcheck", plugins=plugins, test_it=module, in_threads=IN_THREADS)
    assert run.words == {"test_leaks": ["FAILED"], "test_leaks_not": ["PASSED"]}, run.output
    assert "left by the one" in run.section("test_leaks")
    assert run.counts == {"passed": 1, "failed": 1}


HELD_BY_PYTEST = """
    import queue
    import pytest
    from helpers import start

    @pytest.fixture
    def inbox():
        return queue.Queue()

    def test_waits_on_a_fixture(inbox):
        start("waits on a fixture", inbox.get)

    class TestMethods:
        def test_waits_on_its_instance(self):
            self.inbox = queue.Queue()
            start("waits on an instance", self.inbox.get)

    @pytest.fixture
    def file(tmp_path):
        return open(tmp_path / "left open", "w")

    def test_with_an_open_file(file):
        pass

    def test_fails():
        inbox = queue.Queue()
        start("waits on a variable", inbox.get)
        assert not "as it must be"
"""


def test_what_only_pytest_still_holds_is_left_behind(tmp_path: Path) -> None:
    """The values of fixtures, the test's instance and the last traceback, which pytest keeps, excuse nothing."""
    run = run_pytest(tmp_path, "--leakcheck", "-Wignore::ResourceWarning", test_it=HELD_BY_PYTEST)
    assert "will never wake: PROVEN" in run.section("test_waits_on_a_fixture")
    assert "will never wake: PROVEN" in run.section("TestMethods.test_waits_on_its_instance")
    assert "left open" in run.section("test_with_an_open_file")
    assert "waits on a variable" in run.section("test_fails").partition("Left behind after teardown")[2]
