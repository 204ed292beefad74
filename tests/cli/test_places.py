"""`penstock cp` and `plan` where names are unusual: /dev/stdout, and names that a terminal can not show."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cli.conftest import Penstock

ROWS = b"gr\xc3\xb6\xc3\x9fe,b\n1,x\n"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"}


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_dev_stdout_is_standard_output(penstock: Penstock, name: str) -> None:
    """Also where the shell sends it to a file, which was made just for that."""
    (penstock.folder / "in.csv").write_bytes(ROWS)
    command = [sys.executable, "-m", "penstock", "cp", "in.csv", name]
    with (penstock.folder / "out.csv").open("wb") as out:
        done = subprocess.run(
            command,
            cwd=penstock.folder,
            env=penstock.environment,
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert (penstock.folder / "out.csv").read_bytes() == ROWS


def test_a_plan_is_shown_whatever_names_are_in_it(penstock: Penstock) -> None:
    """Where the terminal has no such letters, and where they are none, there are escapes."""
    name = os.fsdecode(b"in\xff.csv")
    (penstock.folder / name).write_bytes(ROWS)
    for variables in (ASCII, {"PYTHONIOENCODING": "utf-8:strict"}):
        result = penstock("plan", name, "out.parquet", **variables)
        assert result.code == 0, result.stderr
        assert b"in\\udcff.csv" in result.stdout
        assert json.loads(penstock("plan", "--json", name, "out.parquet", **variables).stdout)["source"] == name


def test_a_file_with_letters_is_copied_in_a_locale_that_has_none(penstock: Penstock) -> None:
    """Its name is what was asked for, and so is its content."""
    name = os.fsdecode("größe.csv".encode())
    (penstock.folder / name).write_bytes(ROWS)
    assert penstock("cp", name, os.fsdecode("maß.ndjson".encode()), **ASCII).code == 0
    assert json.loads((penstock.folder / "maß.ndjson").read_text("utf-8")) == {"größe": "1", "b": "x"}


def test_arguments_are_utf8_in_every_locale(penstock: Penstock) -> None:
    """Of tables, columns and queries; the letters arrive as they were typed."""
    (penstock.folder / "in.csv").write_bytes(ROWS)
    table, column, query = (os.fsdecode(text.encode()) for text in ("maße", "größe", 'select größe as "ß" from maße'))
    assert penstock("cp", "in.csv", "sqlite:///t.db", "--to-table", table, "--columns", column, **ASCII).code == 0
    assert penstock("cp", "sqlite:///t.db", "-", "-t", table, **ASCII).stdout == 'größe\n"1"\n'.encode()
    assert penstock("cp", "sqlite:///t.db", "-", "-q", query, **ASCII).stdout == 'ß\n"1"\n'.encode()


@pytest.mark.parametrize("flag", ["--table", "--query", "--where"])
def test_arguments_that_are_no_text_are_refused(penstock: Penstock, flag: str) -> None:
    """In one line, before anything is opened."""
    table = [] if flag != "--where" else ["-t", "t"]
    result = penstock("cp", "sqlite:///absent.db", "-", *table, flag, os.fsdecode(b"x\xff"))
    assert (result.code, result.line) == (2, "penstock: 'x\\udcff' is no text: arguments are read as UTF-8")


@pytest.mark.parametrize(
    "address", ["sqlite:///x{}.db", "duckdb:///x{}.db", "postgresql://me:hush@h/{}", "mysql://h/{}"]
)
def test_addresses_that_are_no_text_are_refused(penstock: Penstock, address: str) -> None:
    """In one line, which does not repeat them, on either side."""
    broken = os.fsdecode(address.format("?").encode().replace(b"?", b"\xff"))
    for side, arguments in (("SRC", [broken, "-", "-t", "t"]), ("DST", ["in.csv", broken, "--to-table", "t"])):
        result = penstock("cp", *arguments)
        said = f"penstock: {side} is not text: it has bytes that can not be decoded in this locale"
        assert (result.code, result.line) == (2, said)
