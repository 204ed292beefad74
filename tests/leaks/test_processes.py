"""Child processes that nobody has waited for: found, named, and left as they are."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from penstock.leaks._finders.children import children
from penstock.leaks._finders.masking import masked_address, masked_command, masked_line
from penstock.leaks._finders.processes import ProcessFinder
from tests.core.subprocesses import run_python
from tests.core.threads import start, wait_until
from tests.leaks.finding import Look

SLEEPING = [sys.executable, "-c", "import time; time.sleep(600)"]
MORE_THAN_A_FEW_THREADS = 20


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for the process to end, and leave it to be waited for."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


@contextmanager
def many_threads() -> Iterator[None]:
    done = threading.Event()
    threads = [start(done.wait) for _ in range(MORE_THAN_A_FEW_THREADS)]
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


@contextmanager
def with_a_child_of_its_own() -> Iterator[None]:
    """A child that has one as well; both end with the input they share."""
    program = """if True:
        import subprocess, sys
        inner = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"])
        print("started", flush=True)
        inner.wait()
    """
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        yield
        process.communicate()


# -- what is found


def test_a_running_child_is_reported_with_its_command_and_where_it_was_started() -> None:
    """A leaked process says what it is, where it was started, that it runs, who holds it, and what to do."""
    look = Look(ProcessFinder())
    with started(SLEEPING) as process:
        leak = look.leak()
        assert leak.kind == "process"
        assert leak.name == f"{sys.executable} -c 'import time; time.sleep(600)'"
        assert leak.blocked_on == "not waited for: still running"
        assert leak.started_at is not None
        assert leak.started_at.endswith("in started")
        assert any("local 'process' of test_a_running_child" in holder for holder in leak.holders), leak.holders
        assert "with Popen(...)" in leak.fix
        assert process.poll() is None
    assert look.leaks() == []


def test_a_zombie_is_reported_with_its_exit_code_and_not_reaped() -> None:
    """A child that has ended is still there until somebody waits for it, and its exit code is theirs."""
    look = Look(ProcessFinder())
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    ended(process)
    assert look.leak().blocked_on == "not waited for: exited with 3, a zombie"
    assert process.returncode is None
    assert process.wait() == 3
    assert look.leaks() == []


def test_a_killed_child_says_by_which_signal() -> None:
    """The state of a zombie that was killed names the signal."""
    look = Look(ProcessFinder())
    with started(SLEEPING) as process:
        os.kill(process.pid, signal.SIGKILL)
        ended(process)
        assert look.leak().blocked_on == "not waited for: killed by SIGKILL, a zombie"


def test_a_child_that_was_there_before_is_passed_over() -> None:
    """Only what was started since the snapshot is reported."""
    with started(SLEEPING):
        assert Look(ProcessFinder()).leaks() == []


def test_a_child_without_an_object_is_named_by_the_kernel() -> None:
    """After os.posix_spawn() nothing in this process stands for the child; it is found all the same."""
    look = Look(ProcessFinder())
    pid = os.posix_spawn(sys.executable, SLEEPING, os.environ)
    try:
        wait_until(lambda: "time.sleep(600)" in look.leak().name)  # it has the name of its parent until it runs
        assert "os.waitpid()" in look.leak().fix
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_dropped_child_keeps_its_name() -> None:
    """A Popen that was dropped while the child ran is on a list of subprocess's, and not held by anybody."""
    look = Look(ProcessFinder())
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        subprocess.Popen(SLEEPING)
    leak = look.leak()
    try:
        assert "time.sleep(600)" in leak.name
        assert leak.holders == ()
    finally:
        assert isinstance(leak.identity, tuple)
        os.kill(leak.identity[1], signal.SIGKILL)
        wait_until(lambda: not look.leaks() or subprocess._cleanup())  # type: ignore[attr-defined]


def test_a_process_of_multiprocessing_has_its_own_name_and_remedy() -> None:
    """A multiprocessing.Process is reported by the name it was given, until it is joined."""
    context = multiprocessing.get_context("spawn")
    look = Look(ProcessFinder())
    process = context.Process(target=time.sleep, args=(600,), name="resizer")
    process.start()
    try:
        leak = look.leak()
        assert leak.name == "SpawnProcess 'resizer'"
        assert leak.started_at is not None
        assert "in test_a_process_of_multiprocessing" in leak.started_at
        assert leak.fix.startswith("join() it")
    finally:
        process.kill()
        process.join()
        process.close()
    assert look.leaks() == []


def test_a_process_of_asyncio_is_to_be_awaited() -> None:
    """A child started by asyncio is reported with the remedy of asyncio, until it is awaited."""
    look = Look(ProcessFinder())

    async def main() -> str:
        process = await asyncio.create_subprocess_exec(*SLEEPING)
        leak = look.leak()
        process.kill()
        await process.wait()
        return leak.fix

    assert "await process.wait()" in asyncio.run(main())
    assert look.leaks() == []


# -- what is in order


def test_servants_of_multiprocessing_are_never_reported() -> None:
    """The fork server and the resource tracker live as long as the interpreter, and nobody can wait for them."""
    done = run_python(
        """
        import multiprocessing, time

        if __name__ == "__main__":
            from penstock.leaks._finders.children import children
            from penstock.leaks._finders.processes import ProcessFinder

            since = ProcessFinder().baseline()
            process = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(0,))
            process.start()
            process.join()
            print(len(children()), len(ProcessFinder().stragglers(since)))
        """
    )
    assert done.stdout.split() == ["2", "0"], done.stderr


POOL = """
    import concurrent.futures, multiprocessing
    from penstock.leaks._finders.processes import ProcessFinder

    finder = ProcessFinder()
    since = finder.baseline()

    def make():
        pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        pool.submit(abs, -1).result()
        return pool

    def check(pool):
        return [straggler.leak(0.0).fix for straggler in finder.stragglers(since) if straggler.serves() is None]
"""


def test_workers_of_a_pool_that_a_module_holds_are_in_order() -> None:
    """A pool in a module global is there to be used again; its idle workers are no leak."""
    done = run_python(POOL + "\n    POOL = make()\n    print(check(None))\n    POOL.shutdown()")
    assert done.stdout == "[]\n", done.stderr


def test_workers_of_a_pool_in_a_variable_are_reported_with_the_pool() -> None:
    """The workers of a pool that was not shut down are reported, and the remedy is about the pool."""
    program = """
    def main():
        pool = make()
        print(check(pool))
        pool.shutdown()

    main()
    """
    done = run_python(POOL + program)
    assert "with ProcessPoolExecutor(...)" in done.stdout, done.stderr


# -- how children are looked for


def test_a_child_of_a_thread_that_has_ended_is_found() -> None:
    """The kernel hands the children of a thread that ends to another one."""
    look = Look(ProcessFinder())
    process = start(subprocess.Popen, SLEEPING).result()
    try:
        assert look.leak().started_at is not None
    finally:
        process.kill()
        process.wait()


def test_among_many_threads_children_are_found_as_they_come_and_go() -> None:
    """With many threads not all of their lists are read each time, and still no child is missed or made up."""
    with many_threads(), started(SLEEPING):
        look = Look(ProcessFinder())
        assert look.leaks() == []
        with started(SLEEPING), started(SLEEPING):
            start(lambda: None).join()  # takes a number between those of processes
            assert len(look.leaks()) == 2
        assert look.leaks() == []
        with with_a_child_of_its_own():
            assert len(look.leaks()) == 1  # a grandchild is somebody else's


def test_looking_for_children_waits_for_none() -> None:
    """A look leaves a zombie to whoever waits for it, in a process with many threads as well."""
    with many_threads(), started([sys.executable, "-c", "pass"]) as process:
        ended(process)
        assert process.pid in [child.pid for child in children()]
        assert process.wait() == 0


# -- secrets


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["psql", "postgresql://ana:geheim@db/shop"], "psql 'postgresql://ana:***@db/shop'"),
        (["tool", "--password", "geheim", "-v"], "tool --password *** -v"),
        (["tool", "--api-key=geheim"], "tool '--api-key=***'"),
        (["tool", "-token", "-geheim"], "tool -token ***"),
        (["tool", "--password", "--verbose"], "tool --password --verbose"),
        (["tool", "mongodb://ana:ge/he@im@db/shop"], "tool 'mongodb://ana:***@db/shop'"),
        (["/usr/bin/mysqldump", "-pgeheim", "shop"], "/usr/bin/mysqldump '-p***' shop"),
        (["tool", "--client-secret", "geheim"], "tool --client-secret ***"),
        (["env", "PGPASSWORD=geheim", "psql"], "env 'PGPASSWORD=***' psql"),
        (["curl", "-H", "Authorization: Bearer geheim"], "curl -H 'Authorization: ***'"),
        (["curl", "https://host/x?user=ana&token=geheim"], "curl 'https://host/x?user=ana&token=***'"),
        (["tool", "--password-file", "path", "--author", "ana"], "tool --password-file path --author ana"),
    ],
)
def test_a_command_is_shown_without_secrets(command: list[str], shown: str) -> None:
    """What looks like a password, token or key is masked; what only sounds like one is not."""
    assert masked_command(command) == shown


def test_a_line_for_a_shell_is_shown_without_secrets() -> None:
    """A command given as one string is masked word by word, and shortened."""
    assert masked_line("PGPASSWORD=geheim pg_dump --token geheim  shop") == "PGPASSWORD=*** pg_dump --token *** shop"
    assert len(masked_line("x" * 1000)) == 120


def test_an_address_is_shown_as_far_as_it_names_the_peer() -> None:
    """Of a URL the scheme, host, port and path are shown, and no user, password, query or fragment."""
    assert masked_address("https://ana:geheim@host:8080/a/b?key=geheim#x") == "https://host:8080/a/b"
    assert masked_address("/path?key=geheim") == "/path"
    assert masked_address("https://[::1/") == "***"


def test_a_reported_process_shows_no_secret() -> None:
    """The name of a leak is masked where it is made, since it ends up in JSON as well."""
    look = Look(ProcessFinder())
    with started([*SLEEPING, "--password", "geheim"]):
        assert "geheim" not in str(look.leak().to_dict())
