"""Run pytest with the plugin, in a process of its own: what leaks there cannot disturb the tests here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import penstock.errors

__all__ = ["Run", "run_pytest"]

_SOURCE_FOLDER = str(Path(penstock.errors.__file__).resolve().parents[1])
_SECONDS = 60.0

_HELPERS = '''
import queue
import threading
import time


def leak(name):
    """Leave a thread behind that waits on a queue that nobody else can reach."""
    inbox = queue.Queue()
    start(name, inbox.get)


def start(name, target, *arguments):
    """Start a daemon thread and return it."""
    thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
    thread.start()
    return thread


def until(condition):
    """Wait for a state that is bound to come."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
'''


@dataclass(frozen=True)
class Run:
    """One run of pytest that is over."""

    folder: Path
    exit_status: int
    output: str

    @property
    def words(self) -> dict[str, list[str]]:
        """What pytest's short summary says of each test, as FAILED, by what follows the file's name in its node id."""
        found: dict[str, list[str]] = {}
        for word, test in re.findall(
            r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) \S+?\.py::(\S+)", self.output, re.MULTILINE
        ):
            found.setdefault(test, []).append(word)
        return found

    @property
    def counts(self) -> Counter[str]:
        """The counts of pytest's last line, with "error" and "errors" both as error."""
        *_, last = re.findall(r"^.* in [\d.]+s.*$", self.output, re.MULTILINE)
        return Counter(
            {word.rstrip("s"): int(number) for number, word in re.findall(r"(\d+) (\w+)", last.split(" in ")[0])}
        )

    def section(self, title: str) -> str:
        """What pytest shows below the heading ``title``, up to the next one."""
        found = re.search(
            rf"^_+ {re.escape(title)} _+\n(.*?)(?=^_+ .* _+$|^=+ .* =+$)", self.output, re.MULTILINE | re.DOTALL
        )
        assert found is not None, f"there is no section {title!r} in:\n{self.output}"
        return found[1]


def run_pytest(folder: Path, *options: str, ini: str = "", plugins: tuple[str, ...] = (), **files: str) -> Run:
    """Run pytest with the plugin in ``folder``.

    Args:
        folder: where the files go.
        options: for the command line.
        ini: lines for the ini file.
        plugins: other plugins to load.
        files: modules by name; ``helpers`` is there already.
    """
    settings = {"leakcheck_grace": "0.05"} | dict(
        line.split(" = ", 1) for line in textwrap.dedent(ini).strip().splitlines() if " = " in line
    )
    lines = [f"{key} = {value}" for key, value in settings.items()]
    folder.joinpath("pytest.ini").write_text("\n".join(["[pytest]", *lines]) + "\n")
    for name, text in {"helpers": _HELPERS, **files}.items():
        folder.joinpath(f"{name}.py").write_text(textwrap.dedent(text))
    loaded = [f"-p{plugin}" for plugin in ("penstock.pytest_plugin", *plugins)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-W", "error", *loaded, *options],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return Run(folder, done.returncode, done.stdout)


def _environment() -> dict[str, str]:
    """An environment in which nothing but the arguments decides what pytest does."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_")) and name != "CI"
    }
    return {
        **kept,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": _SOURCE_FOLDER,
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "200",
    }
