"""Stopped while the other side has gone silent: one line says what is waited for, and at the end what may be left."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.cli.conftest import ENDLESS, Penstock, Result, finish
from tests.servers.http import HttpServer
from tests.servers.mariadb import MariaDbDatabase
from tests.servers.postgres import PostgresDatabase
from tests.servers.proxy import Proxy
from tests.servers.s3 import S3Server

STOPPED = "penstock: stopped by SIGTERM before the copy was complete"
AT_ONCE = "penstock: stopped at once; something may be left behind\n"
AGAIN = "; press Ctrl-C again to stop now"


@pytest.fixture
def store(s3_server: S3Server) -> Iterator[Proxy]:
    """What leads to the object store."""
    with Proxy(s3_server.port) as proxy:
        yield proxy


@pytest.fixture
def server(postgres: PostgresDatabase) -> Iterator[Proxy]:
    """What leads to PostgreSQL."""
    with Proxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def maria(mariadb: MariaDbDatabase) -> Iterator[Proxy]:
    """What leads to MariaDB."""
    with Proxy(mariadb.port) as proxy:
        yield proxy


def uploading(shop: Penstock, s3_server: S3Server, bucket: str, store: Proxy, *flags: str) -> subprocess.Popen[bytes]:
    """Start a copy that has begun an upload; then the store goes silent."""
    variables = {**s3_server.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.port}"}
    words = ["cp", "sqlite:///shop.db", f"s3://{bucket}/out.csv", "-q", ENDLESS, "--part-size", "5MiB", *flags]
    process = shop.start(*words, **variables)
    shop.wait_until(lambda: s3_server.uploads(bucket))
    store.freeze()
    return process


def querying(penstock: Penstock, postgres: PostgresDatabase, server: Proxy) -> subprocess.Popen[bytes]:
    """Start a copy of a query that gives nothing; then PostgreSQL goes silent."""
    process = penstock.start("cp", replace(postgres, port=server.port).uri, "out.csv", "-q", "select pg_sleep(600)")
    penstock.wait_until(lambda: any("pg_sleep" in query for _state, query in postgres.sessions()))
    server.freeze()
    return process


def stopped(process: subprocess.Popen[bytes]) -> Result:
    """Send the signal, and wait for the end."""
    process.send_signal(signal.SIGTERM)
    return finish(process)


def first_line(process: subprocess.Popen[bytes]) -> str:
    """Read one line of standard error."""
    assert process.stderr is not None
    return process.stderr.readline().decode().rstrip("\n")


def test_a_silent_store(shop: Penstock, s3_server: S3Server, bucket: str, store: Proxy) -> None:
    """What is waited for, for how long at most, and how to leave; then which upload may be left and how to remove it."""
    result = stopped(uploading(shop, s3_server, bucket, store))
    waiting, left, last = result.stderr.splitlines()
    assert result.code == 143
    assert waiting == f"penstock: waiting up to 5 s for s3://{bucket}/out.csv: aborting the upload{AGAIN}"
    assert "the store did not answer, an unfinished upload may remain there; to remove it: " in left
    [upload] = s3_server.upload_ids(bucket)
    assert left.endswith(f"aws s3api abort-multipart-upload --bucket {bucket} --key out.csv --upload-id {upload}")
    assert last == STOPPED


def test_a_silent_store_with_stacks(shop: Penstock, s3_server: S3Server, bucket: str, store: Proxy) -> None:
    """Who asks for more is shown where it waits."""
    result = stopped(uploading(shop, s3_server, bucket, store, "-v"))
    assert result.code == 143
    assert "thread 'penstock sink' was cancelled 2 s ago" in result.stderr
    assert "in _abort" in result.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_second_signal_does_not_wait_for_a_store(
    shop: Penstock, s3_server: S3Server, bucket: str, store: Proxy, number: signal.Signals, code: int
) -> None:
    """It leaves with its own code, says that something may be left, and nothing else any more."""
    process = uploading(shop, s3_server, bucket, store)
    process.send_signal(signal.SIGTERM)
    assert first_line(process).endswith(AGAIN)
    process.send_signal(number)
    result = finish(process)
    assert (result.code, result.stderr) == (code, AT_ONCE)


def test_a_deadline_with_a_silent_store(shop: Penstock, s3_server: S3Server, bucket: str, store: Proxy) -> None:
    """No signal has come, so none is spoken of; what may be left is told once."""
    result = finish(uploading(shop, s3_server, bucket, store, "--timeout", "8s"))
    waiting, late, left = result.stderr.splitlines()
    assert result.code == 5
    assert waiting == f"penstock: waiting up to 5 s for s3://{bucket}/out.csv: aborting the upload"
    assert late.startswith("penstock: not finished within 8.0 s")
    assert "an unfinished upload may remain there" in left


def test_a_silent_postgres(penstock: Penstock, postgres: PostgresDatabase, server: Proxy) -> None:
    """The query could not be cancelled, and may run on; no file is left."""
    result = stopped(querying(penstock, postgres, server))
    where = f"postgresql://127.0.0.1:{server.port}"
    assert result.code == 143
    assert result.stderr.splitlines() == [
        f"penstock: waiting up to 5 s for {where}: stopping the query{AGAIN}",
        f"penstock: WARNING: {where}: the server does not answer; a query of ours may still run there",
        STOPPED,
    ]
    assert penstock.files() == set()


def test_a_second_signal_does_not_wait_for_postgres(
    penstock: Penstock, postgres: PostgresDatabase, server: Proxy
) -> None:
    """Nor for a database."""
    process = querying(penstock, postgres, server)
    process.send_signal(signal.SIGTERM)
    assert first_line(process).endswith(AGAIN)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.code, result.stderr) == (130, AT_ONCE)


def test_a_silent_mysql(penstock: Penstock, mariadb: MariaDbDatabase, maria: Proxy) -> None:
    """As PostgreSQL."""
    process = penstock.start("cp", replace(mariadb, port=maria.port).uri, "out.csv", "-q", "select sleep(600)")
    penstock.wait_until(lambda: any("sleep" in query for _command, query in mariadb.sessions()))
    maria.freeze()
    result = stopped(process)
    where = f"mysql://127.0.0.1:{maria.port}"
    assert result.code == 143
    assert result.stderr.splitlines() == [
        f"penstock: waiting up to 5 s for {where}: stopping the query{AGAIN}",
        f"penstock: WARNING: {where}: the server does not answer; a query of ours may still run there",
        STOPPED,
    ]
    assert penstock.files() == set()


def test_a_silent_mysql_that_is_loaded(shop: Penstock, mariadb: MariaDbDatabase, maria: Proxy) -> None:
    """Both waits are told, and the table that may be left, once."""
    uri = replace(mariadb, port=maria.port).uri
    process = shop.start("cp", "sqlite:///shop.db", uri, "-q", ENDLESS, "--to-table", "orders")
    shop.wait_until(lambda: any("LOAD DATA" in query for _command, query in mariadb.sessions()))
    maria.freeze()
    result = stopped(process)
    lines = result.stderr.splitlines()
    assert result.code == 143
    assert [line.rpartition(": ")[2] for line in lines if "waiting up to" in line] == [
        f"stopping the query{AGAIN}",
        f"dropping the unfinished table{AGAIN}",
    ]
    assert sum("may have been left behind, drop it" in line for line in lines) == 1
    assert lines[-1] == STOPPED


def test_a_silent_postgres_that_is_loaded(shop: Penstock, postgres: PostgresDatabase, server: Proxy) -> None:
    """There is nothing to wait for: what is not committed goes with the connection."""
    uri = replace(postgres, port=server.port).uri
    process = shop.start("cp", "sqlite:///shop.db", uri, "-q", ENDLESS, "--to-table", "orders")
    shop.wait_until(lambda: any("COPY" in query for _state, query in postgres.sessions()))
    server.freeze()
    result = stopped(process)
    assert result.code == 143
    assert result.stderr.splitlines()[-1] == STOPPED
    assert "may" not in result.stderr


def test_a_silent_http_server(shop: Penstock, http_server: HttpServer) -> None:
    """There is nothing to wait for: the body is cut."""
    with Proxy(http_server.port) as proxy:
        process = shop.start("cp", "sqlite:///shop.db", f"http://127.0.0.1:{proxy.port}/in", "-q", ENDLESS)
        http_server.wait_until(lambda: any(request.body_bytes > 0 for request in http_server.requests))
        proxy.freeze()
        result = stopped(process)
    assert result.code == 143
    assert result.line == STOPPED
