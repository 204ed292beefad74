"""The pytest plugin and fixtures of wider scope than a test: what they start is theirs, until they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.leaks.pytest_runs import Run, run_pytest

WIDE = """
    import queue
    import threading
    import pytest
    from helpers import leak, start, until

    @pytest.fixture(scope="module")
    def tidy():
        going = threading.Event()
        thread = start("tidy module", going.wait)
        yield
        going.set()
        thread.join()

    @pytest.fixture(scope="session")
    def server(tidy_session):
        # As a server does, it starts a thread for each request, which lives longer than the test that asked.
        requests, answers = queue.Queue(), queue.Queue()
        gone = threading.Event()

        def serve():
            for number in iter(requests.get, None):
                answers.put(start(f"handler {number}", gone.wait))

        serving = start("server", serve)

        def ask(number):
            requests.put(number)
            return answers.get(timeout=20)

        yield ask
        requests.put(None)
        gone.set()
        serving.join()

    @pytest.fixture(scope="session")
    def tidy_session():
        going = threading.Event()
        thread = start("tidy session", going.wait)
        yield
        going.set()
        thread.join()

    @pytest.fixture(scope="class")
    def leaves_a_thread():
        leak("left by the class fixture")

    @pytest.fixture(scope="module")
    def leaves_another(leaves_in_session):
        yield
        leak("left by the module fixture's teardown")

    @pytest.fixture(scope="session")
    def leaves_in_session():
        leak("left by the session fixture")

    @pytest.fixture
    def through_another(request):
        return request.getfixturevalue("leaves_another")

    @pytest.fixture(scope="module", params=[1, 2])
    def numbered(request):
        going = threading.Event()
        thread = start(f"numbered {request.param}", going.wait)
        yield
        going.set()
        thread.join()

    def test_first(tidy):
        pass

    def test_second(tidy, server):
        server(1)

    def test_asks_in_its_body(request):
        request.getfixturevalue("server")(2)

    class TestClass:
        def test_of_class(self, leaves_a_thread):
            pass

        def test_second_of_class(self, leaves_a_thread):
            pass

    def test_through_another(through_another):
        pass

    def test_numbered(numbered):
        pass

    def test_leaks_itself(leaves_another, server):
        leak("its own")
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with fixtures of wider scope than a test."""
    return run_pytest(tmp_path_factory.mktemp("wide"), "--leakcheck", test_it=WIDE)


def test_a_wide_fixture_is_no_leak_of_a_test(wide: Run) -> None:
    """What a wider fixture starts, or its threads start, is no leak of the tests that use it, however they ask."""
    failed = [test for test, words in wide.words.items() if "FAILED" in words]
    assert failed == ["test_leaks_itself"]
    assert wide.counts["passed"] == 8


def test_what_a_wide_fixture_leaves_is_told_at_its_end(wide: Run) -> None:
    """A class, module or session fixture that leaves something behind is named as an error, and nothing else is."""
    assert wide.counts["error"] == 3
    assert "left by the class fixture" in wide.section("ERROR at teardown of class fixture 'leaves_a_thread'")
    module = wide.section("ERROR at teardown of module fixture 'leaves_another'")
    assert "left by the module fixture's teardown" in module
    assert "test_it.py::test_through_another" in module
    assert "left by the session fixture" not in module
    assert "left by the session fixture" in wide.section("ERROR at teardown of session fixture 'leaves_in_session'")


def test_what_a_wide_fixture_leaves_counts(tmp_path: Path) -> None:
    """A run in which all tests pass has the exit status 1 when a fixture has left something behind."""
    module = """
        import pytest
        from helpers import leak

        @pytest.fixture(scope="session")
        def leaves_a_thread():
            leak("left by the fixture")

        def test_uses_it(leaves_a_thread):
            pass
    """
    run = run_pytest(tmp_path, "--leakcheck", test_it=module)
    assert run.counts == {"passed": 1, "error": 1}
    assert run.exit_status == 1


RESOURCES = """
    import queue
    import socket
    import subprocess
    import pytest
    from helpers import start

    kept = []

    @pytest.fixture(scope="module")
    def tidy(tmp_path_factory):
        with open(tmp_path_factory.getbasetemp() / "tidy", "w"), socket.socket():
            with subprocess.Popen(["cat"], stdin=subprocess.PIPE):
                yield

    @pytest.fixture(scope="module")
    def leaves_a_file(tmp_path_factory):
        file = open(tmp_path_factory.getbasetemp() / "left open", "w")
        start("holds a file", queue.Queue().get, file)

    @pytest.fixture(scope="module")
    def leaves_a_process():
        kept.append(subprocess.Popen(["true"]))

    def test_first(tidy):
        pass

    def test_second(request, tidy):
        request.getfixturevalue("leaves_a_file")
        request.getfixturevalue("leaves_a_process")

    def test_third(leaves_a_file, leaves_a_process):
        pass
"""


def test_files_and_processes_of_wide_fixtures(tmp_path: Path) -> None:
    """What carries no mark of who made it is the fixture's during whose setup it appeared."""
    run = run_pytest(tmp_path, "--leakcheck", test_it=RESOURCES)
    assert run.counts == {"passed": 3, "error": 2}, run.output
    file = run.section("ERROR at teardown of module fixture 'leaves_a_file'")
    assert "thread 'holds a file'" in file
    assert "left open" in file
    assert "process 'true'" in run.section("ERROR at teardown of module fixture 'leaves_a_process'")
