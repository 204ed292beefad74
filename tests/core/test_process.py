"""Beginnings and ends of a process: import, fork, finalizers, exit."""

from __future__ import annotations

import sys

import pytest

from tests.core.subprocesses import run_python

needs_fork = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork()")


# --- import -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["penstock", "penstock.core.pipe", "penstock.core.pool", "penstock.core.gather"])
def test_import_brings_no_third_party_package(module: str) -> None:
    """The core is standard library only, and so is the front door."""
    done = run_python(
        f"""
    import sys
    before = set(sys.modules)  # an environment's .pth files may have loaded something
    import {module}
    foreign = sorted({{name.partition(".")[0] for name in set(sys.modules) - before}} - set(sys.stdlib_module_names) - {{"penstock", "__main__"}})
    print(foreign)
    """,
        "-s",
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_import_is_quick() -> None:
    """``import penstock`` takes under 30 ms; on a busy machine the best of five must be under 60."""
    done = run_python("""
    import subprocess, sys, time
    times = []
    for _ in range(5):
        program = "import time; t = time.perf_counter(); import penstock; print(time.perf_counter() - t)"
        times.append(float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout))
    print(min(times))
    """)
    assert float(done.stdout) < 0.060, done.stderr


def test_every_core_name_is_at_the_front_door() -> None:
    """DESIGN section 3: importable from penstock itself."""
    names = [
        "CancelScope",
        "move_on_after",
        "fail_after",
        "check_cancelled",
        "current_deadline",
        "sleep",
        "on_cancel",
        "pipe",
        "PipeReader",
        "PipeWriter",
        "reading_from",
        "writing_to",
        "channel",
        "select",
        "SendChannel",
        "ReceiveChannel",
        "TaskGroup",
        "WorkerPool",
        "gather",
        "Gathered",
        "draining",
        "closing_cursor",
        "Budget",
    ]
    done = run_python(f"import penstock\nprint([name for name in {names!r} if not hasattr(penstock, name)])")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


# --- fork -------------------------------------------------------------------------------------------------------

FORK = """
    import os, sys, threading, warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.12+ warns of fork with threads: that is what is tested
    from penstock import sleep
    from penstock.core.channel import channel
    from penstock.core.pipe import pipe
    from penstock.core.pool import WorkerPool
    from penstock.core.taskgroup import TaskGroup
    from penstock.errors import ForkedError

    def in_child(check):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                check()
                code = 0
            except BaseException as error:
                print("child:", type(error).__name__, error, file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def raises_forked(call, *arguments):
        try:
            call(*arguments)
        except ForkedError:
            return
        raise AssertionError(f"{call} went on")
"""


@needs_fork
def test_a_pipe_made_before_a_fork_raises_in_the_child() -> None:
    """Its other threads do not exist there: ForkedError at once, even if a lock was held at the fork; parent unharmed."""
    done = run_python(
        FORK
        + """
    reader, writer = pipe()
    thread = threading.Thread(target=lambda: [writer.write(b"x"), writer.close()])
    thread.start()
    while reader.statistics().writers_waiting != 1:
        pass
    with reader._state.mutex:
        in_child(lambda: (raises_forked(reader.read, 1), raises_forked(writer.write, b"y"), reader.close(), writer.close()))
    assert reader.read() == b"x"
    thread.join()
    reader.close()
    print("parent fine")
    """
    )
    assert done.stdout.strip() == "parent fine", done.stderr


@needs_fork
def test_a_channel_made_before_a_fork_raises_in_the_child() -> None:
    """As a pipe."""
    done = run_python(
        FORK
        + """
    send, receive = channel(1)
    with send._state.mutex:
        in_child(lambda: (raises_forked(send.send, 1), raises_forked(receive.receive)))
    send.send(1)
    assert receive.receive() == 1
    send.close(); receive.close()
    print("parent fine")
    """
    )
    assert done.stdout.strip() == "parent fine", done.stderr


@needs_fork
def test_a_pool_made_before_a_fork_raises_in_the_child() -> None:
    """Its workers are not there; leaving it in the child does not wait for them."""
    done = run_python(
        FORK
        + """
    with WorkerPool(2) as pool:
        pool.submit(int).result()
        with pool._crew.mutex:
            in_child(lambda: (raises_forked(pool.submit, int), raises_forked(pool.try_submit, int), pool.shutdown()))
        assert pool.submit(int, 5).result() == 5
    print("parent fine")
    """
    )
    assert done.stdout.strip() == "parent fine", done.stderr


@needs_fork
def test_what_is_made_in_the_child_works_there() -> None:
    """Pipes, channels, groups and pools of the child are as good as any."""
    done = run_python(
        FORK
        + """
    def everything():
        reader, writer = pipe()
        with TaskGroup() as group:
            group.start_soon(lambda: [writer.write(b"x"), writer.close()])
            assert reader.read() == b"x"
        reader.close()
        with WorkerPool(2) as pool:
            assert list(pool.map(int, range(10))) == list(range(10))
        send, receive = channel(1)
        send.send(1)
        assert receive.receive() == 1
        send.close(); receive.close()

    with WorkerPool(1) as pool:
        pool.submit(int).result()
        in_child(everything)
    print("parent fine")
    """
    )
    assert done.stdout.strip() == "parent fine", done.stderr


# --- exit -------------------------------------------------------------------------------------------------------


def test_exit_with_everything_still_open() -> None:
    """Open ends, parked threads and an idle pool that was never left do not keep the interpreter from exiting."""
    done = run_python("""
    import threading
    from penstock.core.channel import channel
    from penstock.core.pipe import pipe
    from penstock.core.pool import WorkerPool
    reader, writer = pipe()
    send, receive = channel()
    pool = WorkerPool(2)
    pool.submit(int).result()
    threading.Thread(target=reader.read, daemon=True).start()
    threading.Thread(target=receive.receive, daemon=True).start()
    while reader.statistics().readers_waiting + receive.statistics().tasks_waiting_receive < 2:
        pass
    print("leaving")
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "leaving"
    assert "Fatal" not in done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def test_exit_lets_accepted_jobs_end() -> None:
    """As concurrent.futures promises: a job that was accepted is done before the interpreter goes."""
    done = run_python("""
    from penstock import sleep
    from penstock.core.pool import WorkerPool
    pool = WorkerPool(1, max_pending=2)
    for number in range(3):
        pool.submit(lambda number=number: (sleep(0.02), print(number, flush=True)))
    """)
    assert done.stdout.split() == ["0", "1", "2"], done.stderr


def test_use_in_atexit() -> None:
    """A pipe works in an atexit callback, where starting threads may be refused: an error then, not a hang."""
    done = run_python("""
    import atexit
    from penstock.core.pipe import pipe
    from penstock.core.pool import WorkerPool

    @atexit.register
    def late():
        reader, writer = pipe(10)
        writer.write(b"late")
        writer.close()
        print(reader.read().decode())
        reader.close()
        try:
            with WorkerPool(1) as pool:
                print(pool.submit(int, 7).result(5))
        except RuntimeError:
            print(7)
    """)
    assert done.stdout.split() == ["late", "7"], done.stdout + done.stderr


def test_ends_in_module_globals_are_finalized_quietly() -> None:
    """At interpreter exit open ends may warn; their finalizers must not fail on modules that are gone."""
    done = run_python(
        """
    import sys
    from penstock.core.channel import channel
    from penstock.core.pipe import pipe
    reader, writer = pipe(name="forgotten")
    send, receive = channel(1)
    sys.modules["penstock.keep"] = (reader, writer, send, receive)
    """,
        "-W",
        "always",
    )
    assert done.returncode == 0
    assert "Exception ignored" not in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def test_finalizers_in_the_middle_of_everything_take_no_lock() -> None:
    """With the collector running at every allocation, ends dropped in cycles never deadlock the thread they run in."""
    done = run_python("""
    import gc, threading, warnings
    warnings.simplefilter("ignore")
    from penstock.core.channel import channel
    from penstock.core.pipe import pipe

    gc.set_threshold(1)
    for _ in range(300):
        reader, writer = pipe(16)
        send, receive = channel(2)
        for end in (reader, writer, send, receive):
            cycle = [end]
            cycle.append(cycle)
        writer.write(b"x"); reader.read(1)
        send.send(1); receive.receive()
        del reader, writer, send, receive, end, cycle
    print("done")
    """)
    assert done.stdout.strip() == "done", done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="measures descriptors in /proc or /dev/fd")
def test_pipes_use_no_file_descriptor() -> None:
    """Thousands of pipes at once need no descriptor, unlike os.pipe."""
    done = run_python("""
    import os
    from penstock.core.pipe import pipe
    count = lambda: len(os.listdir("/dev/fd"))
    before = count()
    pairs = [tuple(pipe()) for _ in range(5000)]
    print(count() - before)
    for reader, writer in pairs:
        reader.close(); writer.close()
    """)
    assert done.stdout.strip() == "0", done.stderr
