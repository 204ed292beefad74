"""`penstock plan`, and `cp --dry-run`: everything is told, nothing is written."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import socket
from pathlib import Path

import pytest

from penstock.cli import main
from tests.cli.conftest import Penstock, finish
from tests.servers.http import HttpServer
from tests.servers.postgres import PostgresDatabase
from tests.servers.s3 import S3Server


@pytest.fixture
def orders(penstock: Penstock) -> Penstock:
    """The command in a folder with a CSV file."""
    (penstock.folder / "orders.csv").write_text("id,name\n1,one\n")
    return penstock


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("command", [["plan"], ["cp", "--dry-run"]], ids=["plan", "cp --dry-run"])
def test_a_plan_is_told_on_standard_output(orders: Penstock, command: list[str]) -> None:
    """With all flags of cp; nothing is written, not even a summary."""
    before = contents(orders.folder)
    flags = ["--progress", "log", "--summary", "s.json", "--stall-timeout", "30s"]
    result = orders(*command, "orders.csv", "out.ndjson.gz", *flags)
    assert result.code == 0, result.stderr
    assert result.stderr == ""
    lines = result.stdout.decode().splitlines()
    assert lines[:4] == [
        "from:        orders.csv",
        "to:          out.ndjson.gz",
        "destination: free",
        "path:        source (Arrow batches) -> encoder (ndjson) -> compressor (gzip) -> sink",
    ]
    assert "time:        no limit, fails after 30.0 s without a byte" in lines
    assert lines[-1].split() == ["name", "string", "string", "string"]
    assert contents(orders.folder) == before


def test_a_plan_told_into_memory(orders: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever calls the command from Python may take what it says as text, which has no encoding."""
    monkeypatch.chdir(orders.folder)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["plan", "orders.csv", "\u00e4.ndjson"]) == 0
    assert "to:          \u00e4.ndjson\n" in said.getvalue()


def test_a_plan_as_json(orders: Penstock) -> None:
    """For programs."""
    result = orders("plan", "--json", "orders.csv", "out.csv", "--max-file-size", "1MiB")
    assert result.code == 0
    plan = json.loads(result.stdout)
    assert (plan["would"], plan["format"], plan["estimated_files"]) == ("run", "csv", 1)
    assert [column["name"] for column in plan["columns"]] == ["id", "name"]


def test_a_destination_in_the_way_is_in_the_plan(orders: Penstock) -> None:
    """The plan is printed all the same; the code is that of cp, and so is the message."""
    (orders.folder / "out.csv").write_text("mine")
    result = orders("plan", "orders.csv", "out.csv")
    assert result.code == 4
    assert b"is there already, so this copy would fail" in result.stdout
    assert result.line == orders("cp", "orders.csv", "out.csv").line
    skipped = orders("plan", "orders.csv", "out.csv", "--if-exists", "skip")
    assert (skipped.code, skipped.stderr) == (0, "")
    assert b"would be skipped" in skipped.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["order.csv", "out.csv"], 3, "did you mean 'orders.csv'?"),
        (["orders.csv", "out.csv", "--format", "cvs"], 2, "did you mean 'csv'?"),
        (["orders.csv", "missing/out.csv"], 4, "there is no folder 'missing'"),
        (["orders.csv", "-", "--max-file-size", "1M"], 2, "can not be taken back"),
        (["orders.csv", "out.csv", "--bwlimit", "fast"], 2, "bwlimit 'fast' is not a rate"),
    ],
)
def test_what_would_fail_says_so_in_one_line(orders: Penstock, arguments: list[str], code: int, said: str) -> None:
    """With the code that cp has for it."""
    for command in ("plan", "cp"):
        result = orders(command, *arguments)
        assert result.code == code
        assert said in result.line


def test_a_postgres_that_is_not_there(penstock: Penstock) -> None:
    """Code 3; nothing is printed on standard output, and no password anywhere."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"postgresql://bob:hunter2@127.0.0.1:{nobody.getsockname()[1]}/shop"
        result = penstock("plan", address, "out.csv", "-t", "orders", "-vv")
    assert (result.code, result.stdout) == (3, b"")
    assert "hunter2" not in result.stderr


def test_a_postgres_table(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """Its columns by both names, and where its bytes pass untouched."""
    postgres.execute("create table orders (id bigint, price numeric(12,2), at timestamptz)")
    result = penstock("plan", "--json", postgres.uri, "out.ndjson", "-t", "orders")
    assert result.code == 0, result.stderr
    plan = json.loads(result.stdout)
    assert [column["name"] for column in plan["columns"]] == ["id", "price", "at"]
    assert [column["form"] for column in plan["columns"]][:2] == ["number", "number, all digits"]
    assert plan["consistency"]
    assert postgres.password.encode() not in result.stdout
    assert postgres.sessions() == []
    passed = json.loads(penstock("plan", "--json", postgres.uri, "out.csv", "-t", "orders").stdout)
    assert passed["passes_through"]
    assert passed["columns"][0]["form"] == "as the source writes it"


def test_a_bucket_is_looked_at(orders: Penstock, s3_server: S3Server, bucket: str) -> None:
    """Nothing is put there."""
    result = orders("plan", "orders.csv", f"s3://{bucket}/out.csv", **s3_server.environment)
    assert result.code == 0, result.stderr
    assert s3_server.objects(bucket) == {}
    missing = orders("plan", "orders.csv", "s3://no-such-bucket/out.csv", **s3_server.environment)
    assert missing.code == 4
    assert "no-such-bucket" in missing.line


def test_nothing_is_posted(orders: Penstock, http_server: HttpServer) -> None:
    """The server is asked whether it is there, and no more."""
    assert orders("plan", "orders.csv", f"{http_server.url}/in").code == 0
    assert http_server.requests == []


@pytest.mark.parametrize(("flags", "code"), [(["--timeout", "300ms"], 5), ([], 143)])
def test_a_source_that_does_not_answer(penstock: Penstock, flags: list[str], code: int) -> None:
    """A deadline ends it, and so does a signal."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://bob@127.0.0.1:{silent.getsockname()[1]}/shop?connect_timeout=60"
        process = penstock.start("plan", address, "out.csv", "-t", "orders", *flags)
        silent.settimeout(20)
        with silent.accept()[0]:
            if not flags:
                process.send_signal(signal.SIGTERM)
            result = finish(process)
    assert (result.code, result.stdout) == (code, b"")
