"""What goes wrong is told in one line: what, where, what to do. The right code, no traceback, no password, no file."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.cli import main
from tests.cli.conftest import FAILING, Penstock
from tests.servers.http import Ending, HttpServer, Reply
from tests.servers.postgres import PostgresDatabase
from tests.servers.s3 import S3Server

USAGE, SOURCE, SINK = 2, 3, 4


@pytest.fixture
def refusing() -> str:
    """Host and port of nobody: bound once, so nobody else has it, and not listening."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{nobody.getsockname()[1]}"


# -- usage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cp", "oracle://host/db", "-"], "unknown scheme 'oracle'"),
        (["cp", "sqlit:///shop.db", "-"], "did you mean 'sqlite'?"),
        (["cp", "sqlite:///shop.db", "-"], "table"),
        (["cp", "sqlite:///shop.db", "-", "-t", "a", "-q", "b"], "not allowed with argument"),
        (["cp", "sqlite:///shop.db", "out.xlsx", "-t", "orders"], "choose one with --format"),
        (["cp", "sqlite:///shop.db", "-", "-t", "orders", "--format", "cvs"], "did you mean 'csv'"),
        (["cp", "sqlite:///shop.db", "-", "-t", "orders", "--compression", "gzp"], "did you mean 'gzip'?"),
        (["cp", "sqlite:///shop.db", "-", "-t", "orders", "--max-memory", "1 parsec"], "max_memory '1 parsec'"),
        (["cp", "sqlite:///shop.db", "-", "-t", "orders", "--max-memory", "1M"], "at least 16.0 MiB"),
        (["cp", "sqlite:///shop.db", "-", "-t", "orders", "--timeout", "soon"], "timeout 'soon'"),
        (["cp", "sqlite:///shop.db", "-", "-t", "orders", "--limit", "-5"], "--limit: '-5'"),
        (["cp", "sqlite:///shop.db", "-", "-f", "missing.sql"], "missing.sql: No such file"),
        (["cp", "in.csv", "-", "-t", "orders"], "table"),
        (["cp", "-", "out.csv", "--source-format", "csv", "--no-such-flag"], "--no-such-flag"),
        (["cp", "in.csv"], "DST"),
        (["copy", "in.csv", "-"], "invalid choice: 'copy'"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(penstock: Penstock, arguments: list[str], said: str) -> None:
    """Code 2, one line that names the mistake; nothing is touched."""
    result = penstock(*arguments)
    assert result.code == USAGE
    assert said in result.line
    assert penstock.files() == set()


def test_no_command_shows_the_help(penstock: Penstock) -> None:
    """On standard error, with the code for usage."""
    result = penstock()
    assert result.code == USAGE
    assert result.stdout == b""
    assert "penstock cp" in result.stderr


def test_a_mistyped_command_line_does_not_tell_the_password(penstock: Penstock) -> None:
    """Not even one that is an argument too many."""
    result = penstock("cp", "a.csv", "b.csv", "postgresql://bob:hunter2@db/shop")
    assert result.code == USAGE
    assert "hunter2" not in result.stderr


# -- sources -------------------------------------------------------------------------------------------------------


def test_a_missing_table(shop: Penstock) -> None:
    """Says what is missing and what may have been meant."""
    result = shop("cp", "sqlite:///shop.db", "out.csv", "-t", "order")
    assert result.code == SOURCE
    assert "no such table: order" in result.line
    assert "'orders'" in result.line
    assert shop.files() == set()


def test_a_missing_database(penstock: Penstock) -> None:
    """It is not created."""
    result = penstock("cp", "sqlite:///missing.db", "out.csv", "-t", "orders")
    assert result.code == SOURCE
    assert "missing.db" in result.line
    assert penstock.files() == set()


@pytest.mark.parametrize("name", ["missing.csv", "folder.csv"])
def test_an_unreadable_file(penstock: Penstock, name: str) -> None:
    """Missing, or a folder: the name and the reason."""
    (penstock.folder / "folder.csv").mkdir()
    result = penstock("cp", name, "out.csv")
    assert result.code == SOURCE
    assert name in result.line
    assert "out.csv" not in penstock.files()


def test_a_source_that_fails_half_way(shop: Penstock) -> None:
    """Two thirds of the rows are no destination: no file, not even a temporary one."""
    result = shop("cp", "sqlite:///shop.db", "out.csv.gz", "-q", FAILING)
    assert result.code == SOURCE
    assert "integer overflow" in result.line
    assert shop.files() == set()


def test_a_source_that_fails_half_way_leaves_what_was_there(shop: Penstock) -> None:
    """Overwriting begins when the new data is complete."""
    (shop.folder / "out.csv").write_text("mine")
    assert shop("cp", "sqlite:///shop.db", "out.csv", "-q", FAILING, "--if-exists", "overwrite").code == SOURCE
    assert (shop.folder / "out.csv").read_text() == "mine"
    assert shop.files() == {"out.csv"}


def test_a_compressed_file_that_was_cut(penstock: Penstock) -> None:
    """Compressed bytes without their end are an error, not a shorter file."""
    import gzip

    (penstock.folder / "in.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)[:-500])
    result = penstock("cp", "in.csv.gz", "out.csv")
    assert result.code == SOURCE
    assert "in.csv.gz" in result.line
    assert penstock.files() == {"in.csv.gz"}


def test_a_failing_source_sends_no_end_over_http(shop: Penstock, http_server: HttpServer) -> None:
    """The body is cut without its terminating chunk, so the server knows."""
    result = shop("cp", "sqlite:///shop.db", f"{http_server.url}/in", "-q", FAILING)
    assert result.code == SOURCE
    assert "integer overflow" in result.line
    [request] = http_server.finished(1)
    assert request.ending is not Ending.COMPLETE


def test_a_failing_source_leaves_no_object_and_no_upload(shop: Penstock, s3_server: S3Server, bucket: str) -> None:
    """The upload is aborted."""
    result = shop("cp", "sqlite:///shop.db", f"s3://{bucket}/out.csv", "-q", FAILING, **s3_server.environment)
    assert result.code == SOURCE
    assert "integer overflow" in result.line
    assert s3_server.objects(bucket) == {}
    assert s3_server.uploads(bucket) == []


def test_a_postgres_that_is_not_there(penstock: Penstock, refusing: str) -> None:
    """Says where nobody answered; the password stays out of it."""
    result = penstock("cp", f"postgresql://bob:hunter2@{refusing}/shop", "out.csv", "-t", "orders")
    assert result.code == SOURCE
    assert refusing.rpartition(":")[2] in result.line
    assert "hunter2" not in result.line


@pytest.mark.parametrize("flags", [[], ["-vv"]], ids=["plain", "-vv"])
def test_a_postgres_table_that_is_not_there(penstock: Penstock, postgres: PostgresDatabase, flags: list[str]) -> None:
    """Code 3, the table's name; no password even in the traceback, and no session left."""
    result = penstock("cp", postgres.uri, "out.csv", "-t", "nothing", *flags)
    assert result.code == SOURCE
    assert "nothing" in result.stderr.splitlines()[0]
    assert postgres.password not in result.stderr
    assert ("Traceback" in result.stderr) == bool(flags)
    assert postgres.sessions() == []


def test_a_wrong_password(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """The server's refusal, and not the password it refused."""
    uri = postgres.uri.replace(postgres.password, "not-this-one")
    result = penstock("cp", uri, "out.csv", "-t", "orders")
    assert result.code == SOURCE
    assert "password" in result.line
    assert "not-this-one" not in result.stderr


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_body_that_is_refused(penstock: Penstock, http_server: HttpServer, status: int) -> None:
    """A GET that is answered with an error is no data."""
    http_server.reply("*", Reply(status, b"some page"))
    result = penstock("cp", f"{http_server.url}/orders.csv", "out.csv")
    assert result.code == SOURCE
    assert str(status) in result.line
    assert penstock.files() == set()


# -- destinations --------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(shop: Penstock) -> None:
    """Found before the source is opened."""
    result = shop("cp", "sqlite:///shop.db", "missing/out.csv", "-t", "orders")
    assert result.code == SINK
    assert "missing" in result.line


def test_a_disk_that_is_full(shop: Penstock) -> None:
    """ENOSPC is told as what it is."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    result = shop("cp", "sqlite:///shop.db", "/dev/full", "-t", "orders", "--if-exists", "overwrite")
    assert result.code == SINK
    assert "/dev/full" in result.line


@pytest.mark.parametrize("status", [403, 413, 503])
def test_an_endpoint_that_refuses(shop: Penstock, http_server: HttpServer, status: int) -> None:
    """The status, the address, code 4."""
    http_server.reply("*", Reply(status))
    result = shop("cp", "sqlite:///shop.db", f"{http_server.url}/in", "-t", "orders")
    assert result.code == SINK
    assert str(status) in result.line
    assert http_server.url in result.line


def test_an_endpoint_that_is_not_there(shop: Penstock, refusing: str) -> None:
    """Refused connection, code 4; no password in it."""
    result = shop("cp", "sqlite:///shop.db", f"http://bob:hunter2@{refusing}/in", "-t", "orders")
    assert result.code == SINK
    assert refusing in result.line
    assert "hunter2" not in result.stderr


def test_a_bucket_that_is_not_there(shop: Penstock, s3_server: S3Server) -> None:
    """Says which one."""
    result = shop("cp", "sqlite:///shop.db", "s3://no-such-bucket/out.csv", "-t", "orders", **s3_server.environment)
    assert result.code == SINK
    assert "no-such-bucket" in result.line


def test_a_wrong_key(shop: Penstock, s3_server: S3Server, bucket: str) -> None:
    """The store's refusal, and not the key it refused."""
    wrong = {**s3_server.environment, "AWS_SECRET_ACCESS_KEY": "not-this-one"}
    result = shop("cp", "sqlite:///shop.db", f"s3://{bucket}/out.csv", "-t", "orders", "-vv", **wrong)
    assert result.code == SINK
    assert "not-this-one" not in result.stderr


# -- how it is told ------------------------------------------------------------------------------------------------


def test_a_traceback_only_if_asked_for(shop: Penstock) -> None:
    """-vv shows where it failed."""
    plain = shop("cp", "sqlite:///shop.db", "-", "-t", "nothing")
    verbose = shop("cp", "sqlite:///shop.db", "-", "-t", "nothing", "-vv")
    assert "Traceback" not in plain.stderr
    assert "Traceback" in verbose.stderr
    assert plain.line in verbose.stderr.splitlines()


def test_a_failure_is_in_the_summary(shop: Penstock) -> None:
    """With its kind, message, place and hint."""
    assert shop("cp", "sqlite:///shop.db", "-", "-t", "order", "--summary", "s.json").code == SOURCE
    summary = json.loads((shop.folder / "s.json").read_text())
    assert (summary["status"], summary["exit_code"]) == ("failed", SOURCE)
    assert summary["error"]["type"] == "SourceError"
    assert "no such table" in summary["error"]["message"]
    assert "orders" in summary["error"]["hint"]


def test_a_summary_that_cannot_be_written_is_a_failure(shop: Penstock) -> None:
    """Found only at the end, the copy is there, but whoever waits for the summary must not take silence for success."""
    result = shop("cp", "sqlite:///shop.db", "out.csv", "-t", "orders", "--summary", "/dev/full", "--quiet")
    assert result.code == 1
    assert "/dev/full" in result.line
    assert shop.files() == {"out.csv"}


@pytest.mark.parametrize("file", ["missing/s.json", "-", "in.csv", "out.csv", "./out.csv", "."])
def test_a_summary_in_a_wrong_place_is_refused_before_anything_is_copied(shop: Penstock, file: str) -> None:
    """A folder, none, standard output; and above all not the source or the destination, whose data it would replace."""
    (shop.folder / "in.csv").write_text("a\n1\n")
    result = shop("cp", "in.csv", "out.csv", "--summary", file)
    assert result.code == USAGE
    assert "summary" in result.line
    assert shop.files() == {"in.csv"}
    assert (shop.folder / "in.csv").read_text() == "a\n1\n"


def test_a_nul_character_in_a_path_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No shell can pass one, a program that calls ``main`` can; in every path there is, also with a summary."""
    monkeypatch.chdir(tmp_path)
    for words in (
        ["x\0.csv", "o.csv", "--summary", "s.json"],
        ["x.csv", "o\0.csv"],
        ["x.csv", "o.csv", "--summary", "s\0"],
    ):
        assert main(["cp", *words]) == USAGE
        assert "there is a NUL character in it" in capsys.readouterr().err


# -- standard streams that are closed ------------------------------------------------------------------------------


def _in_shell(shop: Penstock, command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", f'"$0" -W error -m penstock {command}', sys.executable],
        cwd=shop.folder,
        env=shop.environment,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_closed_standard_output_is_the_sinks_failure(shop: Penstock) -> None:
    """One line, no traceback."""
    done = _in_shell(shop, "cp sqlite:///shop.db - -t orders >&-")
    assert (done.returncode, done.stderr) == (SINK, b"penstock: standard output: it is closed\n")


def test_a_closed_standard_input_is_the_sources_failure(shop: Penstock) -> None:
    """One line, and no destination."""
    done = _in_shell(shop, "cp - out.csv --source-format csv <&-")
    assert (done.returncode, done.stderr) == (SOURCE, b"penstock: standard input: it is closed\n")
    assert shop.files() == set()


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_copy_needs_no_standard_streams(shop: Penstock, closed: str) -> None:
    """As daemons have them: what would be said is not, and none of it ends up in a file that was opened instead."""
    done = _in_shell(shop, f"cp sqlite:///shop.db out.csv -q 'select 1 as a' {closed}")
    assert done.returncode == 0
    assert (shop.folder / "out.csv").read_text() == "a\n1\n"


def test_what_a_damaged_compressed_source_advises_is_a_flag_for_sources(shop: Penstock) -> None:
    """Doing what the message says reads the file as it is."""
    (shop.folder / "in.csv.gz").write_text("a\n1\n")
    refused = shop("cp", "in.csv.gz", "out.csv")
    assert refused.code == SOURCE
    assert "--source-compression none" in refused.line
    assert shop("cp", "in.csv.gz", "out.csv", "--source-compression", "none").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["cp", "a.csv", "-", "--colums", "id"],
            "penstock cp: unrecognized arguments: --colums id; did you mean '--columns'? (see penstock cp --help)",
        ),
        (
            ["plan", "a.csv", "-", "--sumary=x"],
            "penstock plan: unrecognized arguments: --sumary=x; did you mean '--summary'?",
        ),
        (["cp", "a.csv", "b.csv", "c.csv"], "penstock cp: unrecognized arguments: c.csv (see penstock cp --help)"),
        (
            ["cp", "a.csv", "b.csv", "postgresql://u:hidden@h/d"],
            "penstock cp: unrecognized arguments: postgresql://u:***@h/d",
        ),
    ],
)
def test_what_is_left_over_is_told_by_the_command_it_was_meant_for(
    shop: Penstock, arguments: list[str], message: str
) -> None:
    """With the flag that may have been meant, and without a password."""
    result = shop(*arguments)
    assert result.code == USAGE
    assert result.line.startswith(message)
