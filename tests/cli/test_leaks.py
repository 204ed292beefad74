"""`penstock leaks`: what a script leaves behind is told, whatever stands in the way of its end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

import pytest

from tests.cli.conftest import Penstock, Result, finish

CLEAN = "penstock: nothing left behind\n"

STUCK = """
import threading
def wait(event):
    event.wait()
def begin():
    threading.Thread(target=wait, args=(threading.Event(),), name="stuck").start()
begin()
"""


def write(penstock: Penstock, text: str, name: str = "script.py") -> str:
    (penstock.folder / name).write_text(text)
    return name


def leaks(penstock: Penstock, text: str, *flags: str, **variables: str) -> Result:
    """Run a script under `penstock leaks`, with less patience than by default."""
    return penstock("leaks", "--grace", "50ms", *flags, write(penstock, text), **variables)


def line_with(stream: IO[bytes] | None, words: bytes) -> bytes:
    """Read up to the line with these words."""
    assert stream is not None
    for line in stream:
        if words in line:
            return line
    raise AssertionError(f"there was no {words!r}")


# -- what is left behind


def test_what_is_left_behind_is_told(penstock: Penstock) -> None:
    """On standard error, with code 1; and the process ends although a thread would keep it from ending."""
    result = leaks(penstock, f"{STUCK}print('done')")
    assert result.code == 1
    assert result.stdout == b"done\n"
    assert result.stderr.startswith("penstock: 1 leak: ")
    assert "thread 'stuck'" in result.stderr
    assert "started at  script.py:6 in begin\n                 called by script.py:7 in <module>\n" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("     fix:")


def test_a_thread_nobody_can_reach_is_proven(penstock: Penstock) -> None:
    """Where penstock cannot be the one who still holds what it waits for."""
    assert "thread 'stuck' will never wake: PROVEN" in leaks(penstock, STUCK).stderr


def test_exit_functions_run_and_output_is_complete_in_spite_of_a_leak(penstock: Penstock) -> None:
    """Nothing of what the script wrote is lost, be it in a buffer of Python's or of C's."""
    script = f"{STUCK}import atexit, ctypes; atexit.register(print, 'at exit', end=''); ctypes.CDLL(None).puts(b'C')"
    result = leaks(penstock, script, PYTHONUNBUFFERED="")
    assert result.code == 1
    assert result.stdout == b"at exitC\n"


def test_a_stuck_job_of_an_executor_does_not_keep_it_from_ending(penstock: Penstock) -> None:
    """concurrent.futures would join its worker for ever at exit."""
    script = """
import threading
from concurrent.futures import ThreadPoolExecutor
def main():
    pool = ThreadPoolExecutor(2)
    pool.submit(print, "a job")
    pool.submit(threading.Event().wait)
main()
"""
    result = leaks(penstock, script)
    assert (result.code, result.stdout) == (1, b"a job\n")
    assert result.stderr.startswith("penstock: 1 leak: ")
    assert "thread 'ThreadPoolExecutor-0_" in result.stderr


@pytest.mark.parametrize(("ending", "code"), [("raise SystemExit(7)", 7), ("raise ValueError", 1)])
def test_the_scripts_own_code_is_kept(penstock: Penstock, ending: str, code: int) -> None:
    """A leak does not hide why it failed; the report comes all the same."""
    result = leaks(penstock, f"{STUCK}{ending}")
    assert result.code == code
    assert "penstock: 1 leak: " in result.stderr


@pytest.mark.parametrize(
    ("daemon", "flags", "told"),
    [(False, [], True), (True, [], False), (True, ["--strict"], True), (False, ["--strict"], True)],
)
def test_a_thread_that_waits_on_a_global(penstock: Penstock, daemon: bool, flags: list[str], told: bool) -> None:
    """One that is no daemon keeps the interpreter from ending: the module whose global it is has ended."""
    script = f"""
import queue, threading
WORK = queue.Queue()
def work():
    WORK.get()
threading.Thread(target=work, name="worker", daemon={daemon}).start()
"""
    result = leaks(penstock, script, *flags)
    assert result.code == (1 if told else 0)
    assert ("thread 'worker' outlived its scope (suspected)" in result.stderr) is told
    assert (result.stderr == CLEAN) is not told
    if not daemon and not flags:
        assert "Python would wait for it for ever" in " ".join(result.stderr.split())
        assert "for at least 0.0 s" not in result.stderr


def test_a_running_thread_is_waited_for(penstock: Penstock) -> None:
    """And named after two seconds; when it has ended, nothing is left behind."""
    script = """
import os, threading, time
def work():
    while not os.path.exists("go"):
        time.sleep(0.01)
    print("went")
threading.Thread(target=work, name="busy").start()
"""
    process = penstock.start("leaks", write(penstock, script))
    line = line_with(process.stderr, b"waiting for")
    assert line.startswith(b"penstock: the script has ended; waiting for 'busy', as Python would")
    (penstock.folder / "go").touch()
    result = finish(process)
    assert (result.code, result.stdout, result.stderr) == (0, b"went\n", CLEAN)


def test_a_waiting_thread_is_waited_for_while_another_may_wake_it(penstock: Penstock) -> None:
    """Both end; neither is a leak."""
    script = """
import queue, threading, time
def make(jobs):
    time.sleep(0.6)
    jobs.put("a job")
def main():
    jobs = queue.Queue()
    threading.Thread(target=lambda: print(jobs.get())).start()
    threading.Thread(target=make, args=(jobs,)).start()
main()
"""
    result = leaks(penstock, script)
    assert (result.code, result.stdout, result.stderr) == (0, b"a job\n", CLEAN)


def test_ctrl_c_ends_the_script(penstock: Penstock) -> None:
    """Code 130, the traceback, and the report: who presses Ctrl-C may wonder what it hangs on."""
    process = penstock.start("leaks", write(penstock, f"{STUCK}\nprint('up', flush=True)\nthreading.Event().wait()\n"))
    line_with(process.stdout, b"up")
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.code == 130
    assert "KeyboardInterrupt\npenstock: 1 leak: " in result.stderr


def test_ctrl_c_ends_the_wait_for_threads(penstock: Penstock) -> None:
    """Then they are what is left."""
    script = "import threading, time; threading.Thread(target=time.sleep, args=(600,), name='slow').start()"
    process = penstock.start("leaks", write(penstock, script))
    line_with(process.stderr, b"waiting for 'slow'")
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.code == 1
    assert "thread 'slow' outlived its scope (suspected)" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_an_exit_function_that_hangs(penstock: Penstock) -> None:
    """As under Python, the next one is called then."""
    script = "import atexit, threading; atexit.register(print, 'next'); atexit.register(threading.Event().wait)"
    process = penstock.start("leaks", write(penstock, script))
    line_with(process.stderr, b"penstock: an exit function of the script does not return; Ctrl-C skips it")
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.code, result.stdout) == (0, b"next\n")
    assert result.stderr.endswith(CLEAN)


def test_a_handler_of_the_script_hears_signals_to_the_end(penstock: Penstock) -> None:
    """While its threads are waited for, too: it may be what ends them."""
    script = """
import signal, threading, time
stop = threading.Event()
signal.signal(signal.SIGINT, lambda number, frame: stop.set())
def work():
    while not stop.wait(0.01):
        pass
    print("stopped")
threading.Thread(target=work).start()
"""
    process = penstock.start("leaks", write(penstock, script))
    line_with(process.stderr, b"waiting for")
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.code, result.stdout, result.stderr) == (0, b"stopped\n", CLEAN)


# -- flags


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (["name=st*"], 0),
        (["kind=thread created_by=begin  # as it was asked to"], 0),
        (["any_function=script*.wait", "name=other"], 1),
        (["any_function=__main__.wait"], 0),
        (["kind=thread name=other"], 1),
    ],
    ids=str,
)
def test_ignored_leaks_are_none(penstock: Penstock, rules: Sequence[str], code: int) -> None:
    """All conditions of a rule must hold, and one rule is enough."""
    result = leaks(penstock, STUCK, *(part for rule in rules for part in ("--ignore", rule)))
    assert result.code == code
    assert (result.stderr == CLEAN) is (code == 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "penstock leaks: which script? Give its path, or -m and the name of a module"),
        (["-m"], "penstock leaks: which script?"),
        (["nothing.py"], "penstock: cannot run nothing.py: No such file or directory"),
        (["."], "penstock: cannot run .: No such file or directory"),
        (["-m", "nothing.at_all"], "penstock: cannot run module nothing.at_all: there is none of that name"),
        (["--ignore", "nme=x", "script.py"], "penstock: 'nme=x' is not CONDITION=PATTERN"),
        (["--ignore", "name", "script.py"], "penstock: 'name' is not CONDITION=PATTERN"),
        (["--ignore", "kind=thraed", "script.py"], "penstock: 'thraed' is no kind of leak; there are thread, task"),
        (["--ignore", "name='x", "script.py"], 'penstock: the rule "name=\'x" cannot be read'),
        (["--ignore", "", "script.py"], "penstock: ignore() without any condition would ignore every leak"),
        (["--grace", "soon", "script.py"], "penstock: --grace 'soon' is not a duration"),
        (["--grace", "-1", "script.py"], "penstock: --grace must be above zero, not '-1'"),
        (["--nonsense", "script.py"], "penstock leaks: unrecognized arguments: --nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors_are_told_in_one_line(penstock: Penstock, arguments: list[str], message: str) -> None:
    """Code 2, and the script does not run."""
    write(penstock, "print('it ran')")
    result = penstock("leaks", *arguments)
    assert (result.code, result.stdout) == (2, b"")
    assert result.line.startswith(message)


def test_a_flag_after_the_script_is_the_scripts_own(penstock: Penstock) -> None:
    """And two dashes end ours."""
    name = write(penstock, "import sys; print(sys.argv[1:])")
    assert penstock("leaks", "--quiet", name, "--quiet", "--help", "--", "x").stdout == (
        b"['--quiet', '--help', '--', 'x']\n"
    )
    assert penstock("leaks", "--", name, "-m").stdout == b"['-m']\n"


def test_json_is_all_there_is_on_standard_output(penstock: Penstock) -> None:
    """What the script prints, and what its children print, goes to standard error instead."""
    script = f"import subprocess\nprint('printed')\nsubprocess.run(['echo', 'from a child'], check=True)\n{STUCK}"
    result = leaks(penstock, script, "--json")
    document = json.loads(result.stdout)
    assert result.code == 1
    assert {"printed", "from a child"} <= set(result.stderr.splitlines())
    assert "penstock: 1 leak: " in result.stderr
    assert (document["counts"], document["exit_code"]) == ({"thread": 1}, 0)
    [leak] = document["leaks"]
    assert leak["name"] == "stuck"
    assert leak["started_at"].endswith("script.py:9 in begin")


def test_json_of_a_clean_script(penstock: Penstock) -> None:
    """An empty list, and the code the script ended with."""
    result = leaks(penstock, "raise SystemExit(3)", "--json")
    document = json.loads(result.stdout)
    assert document == {
        "leaks": [],
        "proven": 0,
        "counts": {},
        "waited_seconds": pytest.approx(0, abs=0.5),
        "exit_code": 3,
    }
    assert result.code == 3


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("flags", ["", "--json"])
def test_closed_standard_streams_do_no_harm(penstock: Penstock, closed: str, flags: str) -> None:
    """Nobody reads the report then; the code tells."""
    write(penstock, STUCK)
    command = f"'{sys.executable}' -m penstock leaks --grace 50ms {flags} script.py {closed}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=penstock.folder, env=penstock.environment, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"Traceback" not in done.stdout


def test_no_secret_of_an_argument_gets_into_the_report(penstock: Penstock) -> None:
    """Neither as text nor as JSON; a thread may be named after what it is connected to."""
    script = STUCK.replace('"stuck"', "sys.argv[1].partition('//')[2]").replace("import", "import sys,")
    address = "postgresql://me:s%65cret7@db/shop"
    for flags in ([], ["--json"]):
        result = penstock("leaks", *flags, write(penstock, script), address)
        assert result.code == 1
        assert "***@db/shop" in result.stderr
        assert "cret7" not in result.stderr + result.stdout.decode()


@pytest.mark.parametrize(("script", "silent"), [("", True), (STUCK, False)])
def test_quiet_speaks_of_leaks_only(penstock: Penstock, script: str, silent: bool) -> None:
    """Nothing when nothing is left behind."""
    assert (leaks(penstock, script, "--quiet").stderr == "") is silent


def test_without_a_trace_the_line_is_known(penstock: Penstock) -> None:
    """But not by whom it was called."""
    traced, untraced = leaks(penstock, STUCK, "--trace").stderr, leaks(penstock, STUCK, "--no-trace").stderr
    assert "called by script.py:7 in <module>" in traced
    assert "called by" not in untraced
    assert "started at  script.py:6 in begin" in untraced


def test_what_a_module_makes_that_is_imported_later_is_noted(penstock: Penstock) -> None:
    """The line that made it is known although nobody knew of the module when the script began."""
    script = """
from penstock.leaks._noting.origins import note_of
import sys
assert "asyncio" not in sys.modules
import asyncio
async def make():
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    return note_of(task)
note = asyncio.run(make())
print(note.place.line, note.place.function)
"""
    assert leaks(penstock, script).stdout == b"7 __main__.make\n"


def test_the_import_hook_is_gone_from_loaders(penstock: Penstock) -> None:
    """A loader is its own again once it has loaded its module, and so may be used twice."""
    script = """
import asyncio.base_events, importlib, subprocess
for module in (asyncio.base_events, subprocess):
    assert "exec_module" not in vars(module.__loader__)
    assert importlib.reload(module) is module
"""
    assert leaks(penstock, script).stderr == CLEAN


def test_without_grace_it_does_not_wait(penstock: Penstock) -> None:
    """0 is a duration, too."""
    document = json.loads(leaks(penstock, STUCK, "--json", "--grace", "0").stdout)
    assert document["waited_seconds"] < 0.4


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_for_terminals(penstock: Penstock, variables: dict[str, str], coloured: bool) -> None:
    """That want them; and the lines fit the terminal."""
    controlling, terminal = pty.openpty()
    os.set_blocking(controlling, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "leaks", write(penstock, STUCK)],
        cwd=penstock.folder,
        env={"TERM": "xterm", **penstock.environment, "COLUMNS": "60", **variables},
        stderr=terminal,
    )
    os.close(terminal)
    text = b""
    while chunk := _read(controlling):
        text += chunk
    os.close(controlling)
    assert process.wait(20) == 1
    assert (b"\x1b[" in text) is coloured
    if not coloured:
        assert max(map(len, text.decode().splitlines())) <= 60


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the other side is closed
        return b""


def test_help_comes_with_examples(penstock: Penstock) -> None:
    """On standard output, narrow enough for any terminal."""
    result = penstock("leaks", "--help")
    text = result.stdout.decode()
    assert (result.code, result.stderr) == (0, "")
    assert "penstock leaks script.py" in text
    assert "exit codes:" in text
    assert max(map(len, text.splitlines())) <= 120
