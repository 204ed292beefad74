"""Signals, deadlines and readers that leave: the right code, soon, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import ENDLESS, SILENT, STUCK_SOURCE, Penstock, finish, read_some
from tests.servers.http import Ending, HttpServer, Reply
from tests.servers.postgres import PostgresDatabase
from tests.servers.s3 import S3Server

SOON_SECONDS = 2.0  # a second is what is promised; the other is for machines that do other things as well
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_a_copy_to_a_file(shop: Penstock, number: signal.Signals, code: int) -> None:
    """The code of the signal within a second, one line, no file, no temporary file."""
    process = shop.start("cp", "sqlite:///shop.db", "out.csv", "-q", ENDLESS)
    shop.wait_until(shop.files)
    sent = time.monotonic()
    process.send_signal(number)
    result = finish(process)
    assert time.monotonic() - sent < SOON_SECONDS
    assert result.code == code
    assert result.line == f"penstock: stopped by {number.name} before the copy was complete"
    assert shop.files() == set()


def test_a_signal_interrupts_a_query_that_gives_nothing(shop: Penstock) -> None:
    """The database is told to stop; no row has to come first."""
    process = shop.start("cp", "sqlite:///shop.db", "out.csv", "-q", SILENT)
    shop.wait_until(shop.files)
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == 143
    assert time.monotonic() - sent < SOON_SECONDS


def test_a_signal_stops_waiting_for_standard_input(penstock: Penstock) -> None:
    """A source that has nothing to say is left."""
    process = penstock.start("cp", "-", "out.csv", "--source-format", "csv", stdin=subprocess.PIPE)
    penstock.wait_until(penstock.files)
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert time.monotonic() - sent < SOON_SECONDS
    finish(process)
    assert penstock.files() == set()


def test_a_signal_stops_a_copy_nobody_reads(shop: Penstock) -> None:
    """Standard output is full and stays full: the write to it is left too."""
    process = shop.start("cp", "sqlite:///shop.db", "-", "-q", ENDLESS)
    read_some(process.stdout)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert time.monotonic() - sent < SOON_SECONDS
    finish(process)


def test_a_signal_cuts_an_http_body(shop: Penstock, http_server: HttpServer) -> None:
    """The server sees a body without an end."""
    process = shop.start("cp", "sqlite:///shop.db", f"{http_server.url}/in", "-q", ENDLESS)
    http_server.wait_until(lambda: any(request.body_bytes > 0 for request in http_server.requests))
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == 143
    [request] = http_server.finished(1)
    assert request.ending is not Ending.COMPLETE


def test_a_signal_aborts_an_upload(shop: Penstock, s3_server: S3Server, bucket: str) -> None:
    """No object, no open upload."""
    flags = ["-q", ENDLESS, "--part-size", "5MiB"]
    process = shop.start("cp", "sqlite:///shop.db", f"s3://{bucket}/out.csv", *flags, **s3_server.environment)
    shop.wait_until(lambda: s3_server.uploads(bucket))
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == 143
    assert s3_server.objects(bucket) == {}
    assert s3_server.uploads(bucket) == []


def test_a_signal_cancels_the_query_at_the_server(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """The session ends; the query does not run on."""
    process = penstock.start("cp", postgres.uri, "out.csv", "-q", "select pg_sleep(600)")
    penstock.wait_until(lambda: any("pg_sleep" in query for _state, query in postgres.sessions()))
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 130
    assert time.monotonic() - sent < SOON_SECONDS
    penstock.wait_until(lambda: postgres.sessions() == [])
    assert penstock.files() == set()


STUCK = STUCK_SOURCE + "sys.exit(main())"


def test_a_second_signal_leaves_at_once(penstock: Penstock) -> None:
    """Who does not stop is named after two seconds, with -v with its stack; the second signal does not wait for him."""
    process = penstock.start("cp", "stuck://here", "out.csv", "-v", program=["-c", STUCK])
    penstock.wait_until(penstock.files)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    while b"'penstock source' was cancelled 2 s ago" not in process.stderr.readline():
        pass
    while b"in open_bytes" not in process.stderr.readline():
        pass
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert time.monotonic() - sent < SOON_SECONDS
    assert result.code == 130
    assert result.stderr.endswith("penstock: stopped at once; something may be left behind\n")


def test_who_does_not_stop_is_named_in_one_line(penstock: Penstock) -> None:
    """Nobody who only wants to leave has to read a stack."""
    process = penstock.start("cp", "stuck://here", "out.csv", program=["-c", STUCK])
    penstock.wait_until(penstock.files)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    told = process.stderr.readline().decode()
    assert told == "penstock: WARNING: thread 'penstock source' was cancelled 2 s ago and has not ended\n"
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    assert result.code == 143
    assert result.line == "penstock: stopped at once; something may be left behind"


def test_an_ignored_signal_stays_ignored(shop: Penstock) -> None:
    """Under nohup a lost terminal changes nothing."""
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child inherits what is ignored
    try:
        process = shop.start("cp", "sqlite:///shop.db", "out.csv", "-q", f"{ENDLESS} limit 2000000")
    finally:
        signal.signal(signal.SIGHUP, old)
    shop.wait_until(shop.files)
    process.send_signal(signal.SIGHUP)
    assert finish(process).code == 0
    assert shop.files() == {"out.csv"}


def test_a_reader_that_leaves_ends_it_quietly(shop: Penstock) -> None:
    """`| head -1` gets its line, and nobody complains."""
    process = shop.start("cp", "sqlite:///shop.db", "-", "-q", ENDLESS)
    assert process.stdout is not None
    assert process.stdout.readline() == b"i,words\n"
    process.stdout.close()
    assert process.wait(20) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_reader_of_the_help_that_leaves_ends_it_quietly(penstock: Penstock) -> None:
    """Nor here; whether the help was written before that is a matter of buffers."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "--help"],
        env=penstock.environment,
        stdout=write_end,
        stderr=subprocess.PIPE,
    )
    os.close(write_end)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode in (0, 141)
    assert stderr == b""


def test_a_deadline(shop: Penstock) -> None:
    """Code 5, one line that says how long was allowed; no file."""
    result = shop("cp", "sqlite:///shop.db", "out.csv", "-q", ENDLESS, "--timeout", "500ms")
    assert result.code == 5
    assert "not finished within 500 ms" in result.line
    assert shop.files() == set()


def test_a_source_that_stalls(shop: Penstock) -> None:
    """Code 5, and who waits on whom; -v shows where every stage is."""
    flags = ["-q", SILENT, "--stall-timeout", "500ms"]
    result = shop("cp", "sqlite:///shop.db", "out.csv", *flags)
    assert result.code == 5
    assert "no byte moved for 500 ms" in result.line
    assert "the source does not answer" in result.line
    verbose = shop("cp", "sqlite:///shop.db", "out.csv", *flags, "-v")
    assert "the source is at:" in verbose.stderr
    assert shop.files() == set()


def test_a_sink_that_stalls(shop: Penstock, http_server: HttpServer) -> None:
    """A server that stops reading is found out."""
    http_server.reply("*", Reply(hold="body"))
    result = shop("cp", "sqlite:///shop.db", f"{http_server.url}/in", "-q", ENDLESS, "--stall-timeout", "2s")
    assert result.code == 5
    assert "the sink does not answer" in result.line
    http_server.release()


def test_being_stopped_is_in_the_summary(shop: Penstock) -> None:
    """With the signal's name."""
    process = shop.start("cp", "sqlite:///shop.db", "out.csv", "-q", ENDLESS, "--summary", "s.json")
    shop.wait_until(shop.files)
    process.send_signal(signal.SIGTERM)
    finish(process)
    summary = json.loads((shop.folder / "s.json").read_text())
    assert (summary["status"], summary["exit_code"], summary["signal"]) == ("stopped", 143, "SIGTERM")
