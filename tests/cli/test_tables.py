"""A table as the destination, on the command line: signals, deadlines and failures roll it back."""

from __future__ import annotations

import json
import signal

import pytest

from tests.cli.conftest import ENDLESS, FAILING, Penstock, finish

# A table of a database that writes down what becomes of each load.
TABLE = """
import pathlib, sys
from penstock import connectors
from penstock.cli import main
from penstock.errors import AlreadyExists
from penstock.flow.contracts import Receipt

TAKES_TABLES = True

def note(word):
    with pathlib.Path("table.log").open("a") as log:
        log.write(word + "\\n")

class Table:
    def __init__(self, request):
        self.display_name = f"{request.shown} {request.table}"
        self._if_exists = request.if_exists
    def check(self):
        if "full" in self.display_name and self._if_exists == "fail":
            raise AlreadyExists("the table exists already", where=self.display_name)
        return self._if_exists != "skip"
    def load(self, batches):
        rows = 0
        try:
            for batch in batches:
                rows += batch.num_rows
                note("batch")
        except BaseException as error:
            note("rolled back: " + type(error).__name__)
            raise
        note("committed")
        return Receipt(self.display_name, rows, {"rows": rows})

connectors.register_connector("memory", "__main__")
def sink(request):
    return Table(request)
sys.exit(main())
"""
PROGRAM = ["-c", TABLE]


def log_of(penstock: Penstock) -> list[str]:
    file = penstock.folder / "table.log"
    return file.read_text().splitlines() if file.exists() else []


def test_a_table_is_loaded(shop: Penstock) -> None:
    """One line says how many rows, and where they are."""
    result = finish(shop.start("cp", "sqlite:///shop.db", "memory://db", "-t", "orders", program=PROGRAM))
    assert result.code == 0, result.stderr
    assert result.line.startswith("penstock: 300,000 rows, ")
    assert result.line.endswith("-> memory://db orders")
    assert log_of(shop)[-1] == "committed"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_rolls_back(shop: Penstock, number: signal.Signals, code: int) -> None:
    """The code of the signal, one line."""
    flags = ["-q", ENDLESS, "--to-table", "words"]
    process = shop.start("cp", "sqlite:///shop.db", "memory://db", *flags, program=PROGRAM)
    shop.wait_until(lambda: log_of(shop))
    process.send_signal(number)
    result = finish(process)
    assert result.code == code
    assert result.line == f"penstock: stopped by {number.name} before the copy was complete"
    assert log_of(shop)[-1] == "rolled back: Cancelled"


def test_a_deadline_rolls_back(shop: Penstock) -> None:
    """Code 5."""
    flags = ["-q", ENDLESS, "--to-table", "words", "--timeout", "1s"]
    result = finish(shop.start("cp", "sqlite:///shop.db", "memory://db", *flags, program=PROGRAM))
    assert result.code == 5
    assert "not finished within 1.0 s" in result.line
    assert log_of(shop)[-1] == "rolled back: Cancelled"


def test_a_failing_source_rolls_back(shop: Penstock) -> None:
    """Code 3, and the source's own words."""
    flags = ["-q", FAILING, "--to-table", "words"]
    result = finish(shop.start("cp", "sqlite:///shop.db", "memory://db", *flags, program=PROGRAM))
    assert result.code == 3
    assert "integer overflow" in result.line
    assert log_of(shop)[-1].startswith("rolled back: ")


@pytest.mark.parametrize(
    ("flags", "code", "would"),
    [
        ([], 4, "fail"),
        (["--if-exists", "skip"], 0, "skip"),
        (["--if-exists", "append"], 0, "run"),
        (["--if-exists", "overwrite"], 0, "run"),
    ],
)
def test_a_plan_says_what_would_become_of_a_table(shop: Penstock, flags: list[str], code: int, would: str) -> None:
    """Without loading anything."""
    arguments = ["plan", "--json", "sqlite:///shop.db", "memory://full", "-t", "orders", *flags]
    result = finish(shop.start(*arguments, program=PROGRAM))
    assert result.code == code, result.stderr
    plan = json.loads(result.stdout)
    assert plan["would"] == would
    assert plan["path"] == "source (Arrow batches) -> sink (a table)"
    assert log_of(shop) == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max-file-size", "1MiB"], "max_file_size can not be used here: a database takes rows"),
        (["--format", "csv"], "format can not be used here: a database takes rows"),
    ],
)
def test_flags_about_bytes_are_refused(shop: Penstock, flags: list[str], said: str) -> None:
    """There are none."""
    arguments = ["cp", "sqlite:///shop.db", "memory://db", "-t", "orders", *flags]
    result = finish(shop.start(*arguments, program=PROGRAM))
    assert result.code == 2
    assert said in result.line
