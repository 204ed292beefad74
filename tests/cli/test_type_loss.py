"""`--on-type-loss` end to end: values that the type of their column cannot hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import penstock as library
from tests.cli.conftest import Penstock
from tests.servers.postgres import PostgresDatabase

LOST = "select v::numeric(10,2) as price, n as id from (values ('NaN', 1), ('1.50', 2), ('NaN', 3)) as t(v, n)"


def rows_in(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_value_that_does_not_fit_is_an_error(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """By default; it names the column, and nothing is left."""
    result = penstock("cp", postgres.uri, "out.ndjson", "-q", LOST)
    assert result.code == 3
    assert "price" in result.line
    assert "on" in result.line
    assert penstock.files() == set()


def test_warnings_are_no_failure(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """NULL is written, said once on the way and counted at the end; the code is 0."""
    result = penstock(
        "cp", postgres.uri, "out.ndjson", "-q", LOST, "--on-type-loss", "warn", "--summary", "summary.json"
    )
    assert result.code == 0, result.stderr
    assert [row["price"] for row in rows_in(penstock.folder / "out.ndjson")] == [None, 1.5, None]
    warning, summary = result.stderr.splitlines()
    assert warning.startswith("penstock: WARNING: column 'price': values become NULL: ")
    assert "column 'price': 2 values became NULL: " in summary
    [loss] = json.loads((penstock.folder / "summary.json").read_text())["losses"]
    assert (loss["column"], loss["count"]) == ("price", 2)


def test_progress_as_json_has_the_losses(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """In its last line; the warning is an object as well."""
    flags = ["--on-type-loss", "warn", "--progress", "json"]
    result = penstock("cp", postgres.uri, "out.ndjson", "-q", LOST, *flags)
    assert result.code == 0, result.stderr
    said = [json.loads(line) for line in result.stderr.splitlines()]
    events = [event for event in said if event["event"] != "progress"]  # where it took longer than a moment
    assert [event["event"] for event in events] == ["log", "done"]
    assert events[0]["level"] == "WARNING"
    assert events[-1]["losses"][0]["count"] == 2


def test_columns_that_could_lose_are_text(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """Every value as the database writes it, nothing lost; other columns keep their type."""
    result = penstock("cp", postgres.uri, "out.ndjson", "-q", LOST, "--on-type-loss", "text")
    assert result.code == 0, result.stderr
    assert len(result.stderr.splitlines()) == 1
    rows = rows_in(penstock.folder / "out.ndjson")
    assert rows == [{"price": "NaN", "id": 1}, {"price": "1.50", "id": 2}, {"price": "NaN", "id": 3}]


def test_a_report_tells_what_was_lost(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """For programs: column, reason, count."""
    report = library.copy(postgres.uri, tmp_path / "out.ndjson", query=LOST, on_type_loss="warn")
    [loss] = report.losses
    assert (loss.column, loss.count) == ("price", 2)
    assert loss.reason
    assert str(loss) in str(report)


def test_bytes_that_pass_untouched_lose_nothing(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """CSV holds what the database writes, whatever the flag says."""
    result = penstock("cp", postgres.uri, "out.csv", "-q", LOST, "--on-type-loss", "warn")
    assert result.code == 0, result.stderr
    assert (penstock.folder / "out.csv").read_text() == "price,id\nNaN,1\n1.50,2\nNaN,3\n"


def test_a_word_that_is_none_is_refused(penstock: Penstock) -> None:
    """With the words there are."""
    result = penstock("cp", "in.csv", "out.csv", "--on-type-loss", "ignore")
    assert result.code == 2
    assert "error, warn, text" in result.line.replace("'", "")
    with pytest.raises(library.ConfigurationError, match="on_type_loss"):
        library.plan("in.csv", "out.csv", on_type_loss="ignore")


def test_lines_of_json_do_what_the_flag_says(penstock: Penstock) -> None:
    """An error that names the line; NULL that is counted; text."""
    (penstock.folder / "in.ndjson").write_text('{"a": 1}\n{"a": "x"}\n')
    result = penstock("cp", "in.ndjson", "out.csv")
    assert result.code == 3
    assert "line 2: 'a' is a string, where it was a number before" in result.line
    result = penstock("cp", "in.ndjson", "warned.csv", "--on-type-loss", "warn")
    assert result.code == 0, result.stderr
    assert (penstock.folder / "warned.csv").read_text() == "a\n1\n\n"
    assert "column 'a': 1 value became NULL: string that does not fit int64" in result.stderr
    result = penstock("cp", "in.ndjson", "text.csv", "--on-type-loss", "text")
    assert result.code == 0, result.stderr
    assert (penstock.folder / "text.csv").read_text() == 'a\n"1"\n"x"\n'
