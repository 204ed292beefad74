"""The command starts at once and imports nothing it does not need."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.cli.conftest import Penstock

STRANGERS = """
import sys
from penstock.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
names = {name.partition(".")[0] for name in sys.modules}
print(sorted(names - set(sys.stdlib_module_names) - {"penstock", "__main__", "sitecustomize", "usercustomize"}), file=sys.stderr)
"""


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_comes_at_once(penstock: Penstock, flag: str) -> None:
    """Within a quarter of a second; the best of three, for machines that do other things as well."""

    def seconds() -> float:
        started = time.monotonic()
        assert penstock(flag).code == 0
        return time.monotonic() - started

    assert min(seconds() for _ in range(3)) < 0.25


@pytest.mark.parametrize("arguments", [["--help"], ["cp", "--help"], ["cp", "a.csv"]])
def test_nothing_third_party_is_imported_to_parse(penstock: Penstock, arguments: list[str]) -> None:
    """The standard library is enough to say what can be done, and what was mistyped."""
    command = [sys.executable, "-S", "-c", STRANGERS, *arguments]
    done = subprocess.run(command, env=penstock.environment, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_help_has_examples(penstock: Penstock) -> None:
    """And says what the exit codes mean."""
    result = penstock("cp", "--help")
    text = result.stdout.decode()
    assert result.stderr == ""
    assert "penstock cp sqlite:///shop.db - -t orders" in text
    assert "exit codes:" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_version_is_one_line(penstock: Penstock) -> None:
    """On standard output."""
    result = penstock("--version")
    assert result.stdout.startswith(b"penstock ")
    assert result.stdout.count(b"\n") == 1
