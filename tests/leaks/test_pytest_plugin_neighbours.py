"""The pytest plugin beside others: pytest-xdist, AnyIO's, pytest-asyncio, pytest-run-parallel, pytest-rerunfailures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.leaks.pytest_runs import run_pytest

TWO_FILES = {
    "test_one": """
        import pytest
        from helpers import leak

        @pytest.fixture(scope="module")
        def shared():
            {in_fixture}

        def test_first(shared):
            {in_test}

        def test_last():
            {in_last}
    """,
    "test_two": """
        def test_other():
            pass

        def test_another():
            pass
    """,
}


def two_files(**places: str) -> dict[str, str]:
    everywhere = dict.fromkeys(("in_fixture", "in_test", "in_last"), "pass") | places
    return {name: text.format_map(everywhere) for name, text in TWO_FILES.items()}


@pytest.fixture
def xdist() -> tuple[str, ...]:
    """What to load for pytest-xdist."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    return ("xdist", "xdist.looponfail")


DISTRIBUTED = ("-n2", "--dist=loadfile")


def test_a_worker_reports_its_leaks(tmp_path: Path, xdist: tuple[str, ...]) -> None:
    """Under pytest-xdist the test that left something behind fails, once, with the whole report."""
    run = run_pytest(
        tmp_path, "--leakcheck", *DISTRIBUTED, plugins=xdist, **two_files(in_test='leak("left on a worker")')
    )
    assert run.words["test_first"] == ["FAILED"]
    assert run.counts == {"failed": 1, "passed": 3}
    assert "thread 'left on a worker' will never wake" in run.section("test_first")
    assert "test_first - LeakError: left behind thread 'left on a worker'" in run.output
    assert run.exit_status == 1


def test_a_marked_test_is_checked_on_a_worker(tmp_path: Path, xdist: tuple[str, ...]) -> None:
    """The controller, which runs no tests, shows what the worker says of a marked test although no option is on."""
    files = two_files(in_test='leak("left")')
    files["test_one"] = files["test_one"].replace("def test_first", "@pytest.mark.leakcheck\n        def test_first")
    run = run_pytest(tmp_path, *DISTRIBUTED, plugins=xdist, **files)
    assert run.words["test_first"] == ["FAILED"]
    assert run.counts == {"failed": 1, "passed": 3}


def test_what_a_worker_finds_late_reaches_the_controller(tmp_path: Path, xdist: tuple[str, ...]) -> None:
    """What a wider fixture leaves on a worker is an error of the whole run."""
    run = run_pytest(
        tmp_path, "--leakcheck", *DISTRIBUTED, plugins=xdist, **two_files(in_fixture='leak("left on a worker")')
    )
    assert run.counts == {"error": 1, "passed": 4}
    assert "thread 'left on a worker' will never wake" in run.section("ERROR at teardown of module fixture 'shared'")
    assert run.exit_status == 1


def test_the_check_at_the_end_is_made_by_the_workers(tmp_path: Path, xdist: tuple[str, ...]) -> None:
    """Under pytest-xdist --leakcheck=session looks in every worker, and the controller's exit status becomes 1."""
    run = run_pytest(
        tmp_path, "--leakcheck=session", *DISTRIBUTED, plugins=xdist, **two_files(in_test='leak("left on a worker")')
    )
    assert run.counts == {"error": 1, "passed": 4}
    assert "thread 'left on a worker' will never wake" in run.section("ERROR at teardown of test_first")
    assert run.exit_status == 1


def test_a_failure_on_another_worker_keeps_the_check_at_the_end_quiet(tmp_path: Path, xdist: tuple[str, ...]) -> None:
    """--leakcheck=session reports nothing when any worker's test failed."""
    files = two_files(in_test='leak("left")')
    files["test_two"] = files["test_two"].replace("pass", "assert 0", 1)
    run = run_pytest(tmp_path, "--leakcheck=session", *DISTRIBUTED, plugins=xdist, **files)
    assert run.counts == {"failed": 1, "passed": 3}
    assert run.exit_status == 1


def test_clean_workers_stay_clean(tmp_path: Path, xdist: tuple[str, ...]) -> None:
    """Neither check finds anything of pytest-xdist's own."""
    for option in ("--leakcheck", "--leakcheck=session"):
        run = run_pytest(tmp_path, option, *DISTRIBUTED, plugins=xdist, **two_files())
        assert (run.exit_status, run.counts) == (0, {"passed": 4})


ANYIO = """
    import asyncio
    import anyio
    import pytest
    from penstock.leaks._noting.origins import current_scope

    pytestmark = pytest.mark.anyio
    tasks = []

    async def wait():
        await asyncio.Event().wait()

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    async def test_alone():
        await anyio.sleep(0)
        await anyio.to_thread.run_sync(int)

    @pytest.fixture
    async def background():
        task = asyncio.create_task(wait())
        yield
        task.cancel()

    async def test_with_fixture(background):
        await anyio.sleep(0)

    async def test_its_loop_ends_what_it_leaves():
        tasks.append(asyncio.create_task(wait()))
        await anyio.sleep(0)

    def test_that_it_has_ended():
        assert tasks[0].cancelled()
"""


def test_tests_of_anyio_are_no_leak(tmp_path: Path) -> None:
    """AnyIO's runner, its loop, its worker threads and what it cancels as the loop closes are no leaks of a test."""
    run = run_pytest(tmp_path, "--leakcheck", plugins=("anyio",), test_it=ANYIO)
    assert (run.exit_status, run.counts) == (0, {"passed": 4}), run.output


LONG_LOOP = """
    import asyncio
    import pytest
    from helpers import leak
    from penstock.leaks._noting.origins import current_scope

    {before}

    {fixture}
    async def shared():
        await asyncio.sleep(0)
        yield

    {mark}
    async def test_first(shared):
        assert current_scope.get() == "test_it.py::test_first"
        await asyncio.sleep(0)

    {mark}
    async def test_leaves_a_task(shared):
        tasks.append(asyncio.create_task(wait(), name="left in the loop"))
        await asyncio.sleep(0)

    {mark}
    async def test_last(shared):
        assert current_scope.get() == "test_it.py::test_last"
        await asyncio.sleep(0)

    tasks = []

    async def wait():
        await asyncio.sleep(3600)
"""

LONG_LOOPS = {
    "anyio": {
        "before": "@pytest.fixture(scope='session')\n    def anyio_backend(): return 'asyncio'",
        "fixture": "@pytest.fixture(scope='module')",
        "mark": "@pytest.mark.anyio",
    },
    "pytest_asyncio": {
        "before": "import pytest_asyncio",
        "fixture": "@pytest_asyncio.fixture(scope='module', loop_scope='module')",
        "mark": "@pytest.mark.asyncio(loop_scope='module')",
    },
}


@pytest.mark.parametrize("plugin", LONG_LOOPS)
def test_a_loop_of_several_tests(tmp_path: Path, plugin: str) -> None:
    """A loop that lives as long as a wider fixture is no leak; of a task left in it, the test that made it is told."""
    oldest = "1.0" if plugin == "pytest_asyncio" else None  # before, it leaves a loop of its own open
    pytest.importorskip(plugin, minversion=oldest, reason=f"{plugin} is not installed, or is older than 1.0")
    name = plugin.removeprefix("pytest_")  # as it is known to pytest
    ini = "asyncio_default_fixture_loop_scope = function" if plugin == "pytest_asyncio" else ""
    run = run_pytest(
        tmp_path, "--leakcheck", ini=ini, plugins=(name,), test_it=LONG_LOOP.format_map(LONG_LOOPS[plugin])
    )
    assert run.words["test_first"] == run.words["test_last"] == ["PASSED"], run.output
    assert run.words["test_leaves_a_task"] == ["FAILED"], run.output
    assert "left behind task 'left in the loop'" in run.output


def test_a_test_run_in_many_threads_at_once(tmp_path: Path) -> None:
    """With pytest-run-parallel, the threads that run a test are no leak, and what one of them leaves is the test's."""
    pytest.importorskip("pytest_run_parallel", reason="pytest-run-parallel is not installed")
    module = """
        from helpers import leak

        def test_leaves_nothing():
            pass

        def test_leaks():
            leak("left by each")
    """
    run = run_pytest(tmp_path, "--leakcheck", "--parallel-threads=3", plugins=("run-parallel",), test_it=module)
    assert run.counts == {"passed": 1, "failed": 1}, run.output
    assert "3 threads named 'left by each'" in run.section("test_leaks")


def test_a_test_that_is_run_again(tmp_path: Path) -> None:
    """With pytest-rerunfailures, a test that leaks the first time only has passed in the end."""
    pytest.importorskip("pytest_rerunfailures", reason="pytest-rerunfailures is not installed")
    module = """
        from helpers import leak

        runs = []

        def test_leaks_once():
            runs.append(None)
            if len(runs) == 1:
                leak("left by the first run")
    """
    run = run_pytest(tmp_path, "--leakcheck", "--reruns=1", plugins=("rerunfailures",), test_it=module)
    assert (run.exit_status, run.counts) == (0, {"passed": 1, "rerun": 1}), run.output


def test_last_failed_and_subtests(tmp_path: Path) -> None:
    """A leak is a failure to --last-failed, and a test with subtests counts as one without."""
    module = """
        import pytest
        from helpers import leak

        def test_leaves_nothing():
            pass

        def test_leaks():
            leak("left")

        def test_parts(subtests):
            with subtests.test("part"):
                pass
    """
    if not hasattr(pytest, "Subtests"):  # since pytest 9.0
        module = module[: module.index("def test_parts")]
    first = run_pytest(tmp_path, "--leakcheck", test_it=module)
    again = run_pytest(tmp_path, "--leakcheck", "--last-failed", test_it=module)
    assert first.words["test_leaks"] == ["FAILED"]
    assert first.counts["passed"] + first.counts["subtest"] == len(module.split("def test")) - 2, first.output
    assert list(again.words) == ["test_leaks"]
