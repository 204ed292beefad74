"""`penstock leaks` runs a program as python itself does: each is run under both, and compared."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import zipfile

import pytest

from tests.cli.conftest import Penstock, Result

CLEAN = "penstock: nothing left behind\n"


def write(penstock: Penstock, text: str, name: str = "script.py") -> str:
    path = penstock.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return name


def python(penstock: Penstock, *arguments: str, stdin: bytes = b"") -> Result:
    """Run python itself."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=penstock.folder,
        env=penstock.environment,
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())


def without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", text)


SCRIPTS = {
    "arguments and names": """
        import sys
        print(sys.argv, sys.path[0], __name__, __file__, __package__, __spec__, __cached__, __annotations__, __doc__)
        print(sorted(vars(sys.modules["__main__"])), type(__loader__), __builtins__.len)
    """,
    "standard input": "print(input())",
    "a class that pickle finds again": """
        import pickle
        class Thing: pass
        print(type(pickle.loads(pickle.dumps(Thing()))) is Thing)
    """,
    "an exception": """
        def inner():
            raise ValueError("boom")
        try:
            1 / 0
        except ZeroDivisionError:
            inner()
    """,
    "an exception that does not fit its line": "x = (",
    "an import that fails": "import not_there_at_all",
    "its own excepthook": """
        import sys
        sys.excepthook = lambda kind, error, traceback: print(kind, error, traceback.tb_lineno)
        raise ValueError("boom")
    """,
    "an excepthook that fails": """
        import sys
        def hook(kind, error, traceback):
            raise RuntimeError("in the hook")
        sys.excepthook = hook
        raise ValueError("boom")
    """,
    "exit with a code": "raise SystemExit(7)",
    "exit with a code too large": "raise SystemExit(259)",
    "exit with a negative code": "raise SystemExit(-1)",
    "exit with a message": "raise SystemExit('no more')",
    "exit with nothing": "raise SystemExit",
    "no standard error": "import sys; sys.stderr = None; raise SystemExit('no more')",
    "exit functions": """
        import atexit
        def fails():
            raise ValueError("at exit")
        for call in (lambda: print("last"), fails, lambda: print("first")):
            atexit.register(call)
    """,
    "a thread that outlives the main module": """
        import threading
        def work():
            threading.main_thread().join()
            print("after the main thread")
        threading.Thread(target=work).start()
    """,
    "threads that wait for each other": """
        import queue, threading, time
        def pass_on(take, give):
            give.put(take.get() + 1)
        def main():
            queues = [queue.Queue() for _ in range(5)]
            for take, give in zip(queues, queues[1:]):
                threading.Thread(target=pass_on, args=(take, give)).start()
            threading.Thread(target=lambda: print(queues[-1].get())).start()
            threading.Timer(0.5, queues[0].put, [0]).start()
        main()
    """,
    "jobs of an executor": """
        import time
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1)
        pool.submit(time.sleep, 0.1)
        pool.submit(print, "a late job")
    """,
    "an executor of processes": """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        if __name__ == "__main__":
            pool = ProcessPoolExecutor(1, get_context("spawn"))
            print(pool.submit(abs, -3).result())
    """,
    "a forked child": """
        import atexit, os, sys
        atexit.register(lambda: print("exit of", os.getpid() == parent, flush=True))
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            sys.exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """,
    "output without an end of line": "print('half a line', end='')",
    "closed streams": "import sys; print('x'); sys.stdout.close(); sys.stderr.close()",
    "no standard output": "import sys; sys.stdout = None",
    "output of C": "import ctypes; ctypes.CDLL(None).printf(b'from C')",
    "a finalizer": """
        class Thing:
            def __del__(self):
                print("finalized")
        thing = Thing()
        thing.myself = thing
        del thing
    """,
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_script_runs_as_under_python(penstock: Penstock, script: str) -> None:
    """What it writes, how it fails and the code it ends with are the same."""
    name = write(penstock, textwrap.dedent(script).lstrip())
    expected = python(penstock, name, "a", "--json", "-m", stdin=b"typed\n")
    found = penstock("leaks", name, "a", "--json", "-m", stdin=b"typed\n")
    assert found.stdout == expected.stdout
    assert without_addresses(found.stderr) == without_addresses(expected.stderr) + CLEAN
    assert found.code == expected.code


@pytest.mark.parametrize(
    "target",
    [["-m", "package"], ["-m", "package.module"], ["package"], ["app.zip"], ["-m", "package.nothing"]],
    ids=" ".join,
)
def test_modules_folders_and_archives_run_as_under_python(penstock: Penstock, target: list[str]) -> None:
    """With the names and the paths they would have."""
    show = "import sys; print(sys.argv, sys.path[0], __name__, __file__, __package__, __spec__.name)"
    write(penstock, "print('the package')", "package/__init__.py")
    for name in ("__main__", "module"):
        write(penstock, show, f"package/{name}.py")
    with zipfile.ZipFile(penstock.folder / "app.zip", "w") as archive:
        archive.writestr("__main__.py", show)
    expected, found = python(penstock, *target, "-x"), penstock("leaks", *target, "-x")
    assert found.stdout == expected.stdout
    assert found.code == expected.code


def test_a_reader_that_leaves_early_is_met_as_under_python(penstock: Penstock) -> None:
    """The script gets the broken pipe, or python its code 120 for what could not be written at the end."""
    name = write(penstock, "import os, sys; os.close(int(sys.argv[1])); print('for nobody')")
    codes = []
    for program in ([name], ["-m", "penstock", "leaks", name]):
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, *program, str(reading)],
            cwd=penstock.folder,
            env={**penstock.environment, "PYTHONUNBUFFERED": ""},
            stdout=writing,
            stderr=subprocess.PIPE,
            pass_fds=[reading],
        )
        os.close(reading)
        os.close(writing)
        process.communicate(timeout=20)
        codes.append(process.returncode)
    assert codes == [120, 120]


def test_a_signal_without_a_handler_ends_it_at_once(penstock: Penstock) -> None:
    """SIGTERM is not ours to handle."""
    name = write(penstock, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert penstock("leaks", name).code == -signal.SIGTERM


def test_the_standard_library_is_enough(penstock: Penstock) -> None:
    """The script finds no more in sys.modules than what Python itself has, and penstock."""
    script = """
import sys
names = {name.partition(".")[0] for name in sys.modules}
print(sorted(names - set(sys.stdlib_module_names) - {"penstock", "__main__", "sitecustomize", "usercustomize"}))
"""
    name = write(penstock, script)
    command = [sys.executable, "-S", "-m", "penstock", "leaks", name]
    done = subprocess.run(command, cwd=penstock.folder, env=penstock.environment, capture_output=True, check=True)
    assert done.stdout == b"[]\n"
