"""Every example runs without a warning, holds what it asserts, and prints what examples/README.md says it prints."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.s3 import S3Server

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
README = (EXAMPLES / "README.md").read_text()
FILES = sorted(EXAMPLES.glob("[0-9]*.py"))

#: Smaller than what people are shown, where the full size shows nothing more.
ARGUMENTS = {"09_a_large_array_released": ["--items", "40000000"]}

#: What each must say, figures included where they are the point.
KEY_LINES = {
    "01_events_over_a_pipe": ["the producer's own object: True", "DeadlineExceeded after 2.", "threads left: 0"],
    "02_records_to_stdout": ['{"record": 1, "celsius": 20.1}\n{"record": 2,', "10 records; never more than"],
    "03_records_to_an_http_post": ["5 records in 5 chunks", "connections: 1"],
    "04_table_to_s3": ["1,000,000 rows", "5 times the rows, "],
    "05_a_pool_of_100": ["1,000 jobs of 100 ms on 100 workers", "workers now: 100", "threads left: 0"],
    "06_abandoned_workers": ["channel: total 332,833,500, threads left: none", "threads left after 3 calls: 12"],
    "07_ten_calls_one_connection": ["closed:  10 connections", "drained: 1 connection"],
    "08_three_services_one_deadline": ["2 done, 0 failed, 1 pending", "cancelled: ['reviews']", "threads left: 0"],
    "09_a_large_array_released": ["used 40,000,000 of them", "the array is gone"],
    "11_a_sink_of_your_own": [
        "Inbox:        the inbox: the stream failed after 0 bytes, and something was published",
        "CarefulInbox: keeps every promise",
        "a copy whose source fails: the sensor was unplugged; delivered: False",
    ],
    "10_rows_from_a_loop": ["row 150001: 'celsius' is 'warm'", "1,000 rows of 10 pages; connections: 1"],
    "12_rows_on_their_way": ["1,000 paid orders", "in map(with_name), row 1,500", "appeared: False", "threads left: 0"],
}

#: The one example whose output is data, so that it talks on standard error.
TALKS_ON_STDERR = "02_records_to_stdout"


def run(file: Path, **variables: str) -> str:
    """Run an example as its readers do, but with warnings as errors; return what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PENSTOCK_EXAMPLE"))}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", file, *ARGUMENTS.get(file.stem, [])],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if file.stem == TALKS_ON_STDERR:
        return done.stdout + done.stderr
    assert done.stderr == ""  # a warning in a finalizer does not change the exit code
    return done.stdout


def without_figures(text: str) -> str:
    """Numbers differ from run to run, and so does how much room they take."""
    return re.sub(r"[ #]*#[ #]*", " # ", re.sub(r"\d[\d.,]*", "#", text))


def section(file: Path) -> str:
    """What the README says of an example, between its heading and the next."""
    match = re.search(rf"^## \[{file.name}\]\({file.name}\)\n\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert match, f"examples/README.md has no section about {file.name}"
    return match[1].strip()


def check(file: Path, output: str) -> None:
    docstring = ast.get_docstring(ast.parse(file.read_text()))
    assert [line for line in KEY_LINES[file.stem] if line not in output] == []
    assert without_figures(section(file)) == without_figures(f"{docstring}\n\n```text\n{output}```")


@pytest.mark.parametrize("file", [file for file in FILES if "_s3" not in file.stem], ids=lambda file: file.stem)
def test_example(file: Path) -> None:
    """It holds what it asserts, warns of nothing, and the README shows what it prints."""
    check(file, run(file))


def test_example_at_a_private_store(s3_server: S3Server) -> None:
    """The table goes to S3 with no configuration at all; the fixture says why, where there can be no such store."""
    file = EXAMPLES / "04_table_to_s3.py"
    check(file, run(file))


def test_example_at_your_own_store(s3_server: S3Server, bucket: str) -> None:
    """The table goes to the bucket that the environment names."""
    file = EXAMPLES / "04_table_to_s3.py"
    check(file, run(file, PENSTOCK_EXAMPLE_BUCKET=bucket, **s3_server.environment))
    assert sorted(s3_server.objects(bucket)) == [
        "penstock-example/1000000-events.csv",
        "penstock-example/200000-events.csv",
    ]
    assert s3_server.uploads(bucket) == []


def test_the_readme_lists_every_example() -> None:
    """In order, and nothing else."""
    assert re.findall(r"^## \[(.*?)\]", README, re.MULTILINE) == [file.name for file in FILES]


def test_a_readme_that_is_out_of_date_is_found() -> None:
    """Other figures are no difference; another word, or a line more, is."""
    assert without_figures("1,000 rows in 2.5 s") == without_figures("   999 rows in 13 s")
    assert without_figures("10 connections") != without_figures("10 chunks")
    assert without_figures("1 row\n") != without_figures("1 row\n2 rows\n")
