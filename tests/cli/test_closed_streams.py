"""Standard streams that are closed, full, or not read any more: the right code, at most one line, and no hang."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys

import pytest

from tests.cli.conftest import ENDLESS, STUCK_SOURCE, Penstock, Result

ROWS = 300_000
COPY = "cp sqlite:///shop.db out.csv -t orders"
PRINT = "cp sqlite:///shop.db - -t orders"
PLAN = "plan sqlite:///shop.db out.csv -t orders"
IS_CLOSED = "penstock: standard output: it is closed"
IS_FULL = "penstock: standard output: No space left on device"


def run(penstock: Penstock, line: str) -> Result:
    """Run ``line`` in a shell, where ``penstock`` is the command."""
    command = shlex.join([sys.executable, "-W", "error", "-m", "penstock"])
    script = f'penstock() {{ {command} "$@"; }}\n{line}'
    words = ["bash", "-c", script]
    done = subprocess.run(
        words, cwd=penstock.folder, env=penstock.environment, capture_output=True, timeout=60, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())


def lines_of(penstock: Penstock, name: str) -> int:
    """How many lines a file has."""
    return (penstock.folder / name).read_bytes().count(b"\n")


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_a_copy_to_a_file_needs_no_streams(shop: Penstock, closed: str) -> None:
    """It is complete, its code is 0, and nothing that was to be said is in it."""
    result = run(shop, f"penstock {COPY} {closed}")
    assert result.code == 0, result.stderr
    assert len(result.stderr.splitlines()) == (0 if "2>&-" in closed else 1)
    assert lines_of(shop, "out.csv") == ROWS + 1
    assert b"penstock" not in (shop.folder / "out.csv").read_bytes()


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_failure_nobody_is_told_of_has_its_code(shop: Penstock, closed: str) -> None:
    """With standard error closed, the code is all there is."""
    assert run(shop, f"penstock cp sqlite:///shop.db out.csv -t nope {closed}").code == 3
    assert shop.files() == set()


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_rows_go_to_standard_output_without_standard_error(shop: Penstock, closed: str) -> None:
    """All of them, and nothing else."""
    result = run(shop, f"penstock {PRINT} {closed}")
    assert result.code == 0
    assert result.stdout.count(b"\n") == ROWS + 1
    assert b"penstock" not in result.stdout


@pytest.mark.parametrize(("to", "said"), [(">&-", IS_CLOSED), (">/dev/full", IS_FULL)], ids=["closed", "full"])
@pytest.mark.parametrize(("what", "code"), [(PRINT, 4), (PLAN, 1), ("--version", 1)], ids=["cp", "plan", "version"])
def test_a_standard_output_that_takes_nothing(shop: Penstock, what: str, code: int, to: str, said: str) -> None:
    """One line says so."""
    result = run(shop, f"penstock {what} {to}")
    assert (result.code, result.line) == (code, said)


def test_a_closed_standard_output_and_the_help(penstock: Penstock) -> None:
    """It goes to standard error, as argparse has it."""
    result = run(penstock, "penstock --help >&-")
    assert result.code == 0
    assert result.stderr.startswith("usage: penstock")
    assert "Traceback" not in result.stderr


def test_a_closed_standard_input_is_an_error_of_the_source(penstock: Penstock) -> None:
    """Not an empty table."""
    result = run(penstock, "penstock cp - out.csv --source-format csv <&-")
    assert (result.code, result.line) == (3, "penstock: standard input: it is closed")
    assert penstock.files() == set()


@pytest.mark.parametrize(
    "what", [f"cp sqlite:///shop.db - -q {shlex.quote(ENDLESS)}", PLAN, f"{PLAN} --json", "--version"]
)
def test_a_reader_that_has_left_ends_it_quietly(shop: Penstock, what: str) -> None:
    """With the code of every other program whose reader leaves."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "penstock", *shlex.split(what)],
        cwd=shop.folder,
        env=shop.environment,
        stdout=write_end,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("reader", ["closed", "not reading"])
def test_a_second_signal_leaves_although_nobody_can_be_told(shop: Penstock, reader: str) -> None:
    """A standard error that is full, or whose reader has left, keeps nobody from leaving."""
    process = shop.start("cp", "stuck://here", "out.csv", program=["-c", STUCK_AND_FULL])
    assert process.stdout is not None
    assert process.stdout.readline() == b"full\n"
    shop.wait_until(shop.files)
    if reader == "closed":
        assert process.stderr is not None
        process.stderr.close()
        process.stderr = None
    process.send_signal(signal.SIGTERM)
    shop.wait_until(lambda: process.poll() is not None or process.send_signal(signal.SIGTERM))
    assert process.returncode == 143


# A source that no cancel reaches, and a standard error that is a full pipe.
STUCK_AND_FULL = (
    STUCK_SOURCE
    + """
os.set_blocking(2, False)
with contextlib.suppress(BlockingIOError):
    while True:
        os.write(2, b"x" * 4096)
os.set_blocking(2, True)
os.write(1, b"full\\n")
sys.exit(main())
"""
)
