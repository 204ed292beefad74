"""The demo shows what it promises, leaves nothing behind, and would notice if something were."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from demo.command import Commands
from demo.events import damaged, make_events
from demo.leftovers import Leftovers
from demo.places import HttpEndpoint, ObjectStore
from tests.servers.http import HttpServer
from tests.servers.s3 import S3Server

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "demo" / "run.py"
ROWS = "250000"

NOTHING_LEFT = (
    "Nothing left behind: no process, thread, connection, open upload, partial object, temporary file or open file."
)


def start(temporary: Path, **variables: str) -> subprocess.Popen[str]:
    """Start a small demo, warnings being errors, that puts temporary files where the test can see them."""
    kept = {name: value for name, value in os.environ.items() if name != "PENSTOCK_REQUIRE_SERVICES"}
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", DEMO, "--rows", ROWS],
        env={**kept, "TMPDIR": str(temporary), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- the whole of it --------------------------------------------------------------------------------------------


def test_the_demo(tmp_path: Path, s3_server: S3Server) -> None:
    """Three copies of the same bytes, a failure and a Ctrl-C without a trace, and a last line that says so.

    The store is the demo's own; the fixture is there to say why, where there can be none.
    """
    process = start(tmp_path)
    output, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, ""), output + errors
    assert output.count("peak memory") == 3
    assert "one chunked POST, one connection" in output
    assert re.search(r"the same [\d,]+ bytes each time, SHA-256 ", output)
    assert "database disk image is malformed" in output
    assert re.search(r"exit code 3; \d+ of \d+ parts had been sent, and the upload was aborted: 0 objects", output)
    assert "penstock: stopped by SIGINT before the copy was complete" in output
    assert re.search(r"exit code 130; \d+ of \d+ parts had been sent, and the upload was aborted: 0 objects", output)
    assert output.splitlines()[-1].startswith(NOTHING_LEFT)
    assert "\x1b" not in output  # in a log, no colours
    assert list(tmp_path.iterdir()) == []


def test_without_a_store_it_shows_the_rest_and_says_why(tmp_path: Path) -> None:
    """What this machine cannot show is no failure, but it is said."""
    process = start(tmp_path, PENSTOCK_SWIFT_PYTHON="/nowhere/python")
    output, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, ""), output + errors
    assert output.count("peak memory") == 2
    assert "that is all this machine can show: no S3 server: /nowhere/python does not exist" in output
    assert "Nothing left behind: no process, thread, connection, temporary file or open file." in output


def test_where_services_are_required_a_missing_store_is_a_failure(tmp_path: Path) -> None:
    """As in continuous integration."""
    process = start(tmp_path, PENSTOCK_SWIFT_PYTHON="/nowhere/python", PENSTOCK_REQUIRE_SERVICES="1")
    _output, errors = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "/nowhere/python does not exist" in errors


def test_the_demo_itself_can_be_stopped(tmp_path: Path) -> None:
    """Ctrl-C ends it and what it has started, and its folder is gone."""
    process = start(tmp_path, PENSTOCK_SWIFT_PYTHON="/nowhere/python")
    assert process.stdout
    while "$ penstock cp" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")
    assert list(tmp_path.iterdir()) == []


def test_too_few_rows_are_refused() -> None:
    """Rather than a chapter that shows nothing."""
    done = subprocess.run([sys.executable, DEMO, "--rows", "10"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--rows must be at least 200,000" in done.stderr


# --- each of its checks finds what is planted -------------------------------------------------------------------


@pytest.fixture
def leftovers() -> Leftovers:
    """A fresh look, with nothing found yet."""
    return Leftovers()


def test_it_finds_nothing_where_there_is_nothing(leftovers: Leftovers, tmp_path: Path) -> None:
    """Every kind that was looked for is there, and empty."""
    with HttpServer() as server:
        leftovers.look_at_commands(Commands(tmp_path, {}))
        leftovers.look_at_http(HttpEndpoint(server))
        leftovers.look_at_files(tmp_path, set())
    assert leftovers.found == {"process": [], "thread": [], "connection": [], "temporary file": []}


def test_it_finds_what_a_command_left(leftovers: Leftovers, tmp_path: Path) -> None:
    """A process in the command's group, and a thread that the command has reported of itself."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        commands = Commands(tmp_path, {}, groups=[process.pid], left_inside=["'penstock source'"])
        leftovers.look_at_commands(commands)
        process.kill()
    assert leftovers.found == {"process": [f"one of group {process.pid}"], "thread": ["'penstock source'"]}


def test_it_finds_what_is_left_in_its_own_process() -> None:
    """A thread, an open file, a child. In a process apart, as asking for children reaps those that have ended."""
    done = subprocess.run([sys.executable, "-c", UNTIDY, ROOT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "thread ['forgotten'], 1 open file, process ['a child of the demo']\n"


UNTIDY = """
import subprocess, sys, threading
sys.path.insert(0, sys.argv[1])
from demo.leftovers import Leftovers

leftovers, stop = Leftovers(), threading.Event()
thread = threading.Thread(target=stop.wait, name="forgotten")
thread.start()
with open(sys.executable, "rb"), subprocess.Popen(["sleep", "60"]) as child:
    leftovers.look_at_this_process()
    child.kill()
stop.set()
found = leftovers.found
print(f"thread {found['thread']}, {len(found['open file'])} open file, process {found['process']}")
"""


def test_it_finds_a_temporary_file(leftovers: Leftovers, tmp_path: Path) -> None:
    """Anything but the database, at any depth."""
    (tmp_path / "events.db").touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "partial.csv").touch()
    leftovers.look_at_files(tmp_path, {"events.db"})
    assert leftovers.found["temporary file"] == ["deep", "deep/partial.csv"]


def test_it_finds_a_connection(leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that a client keeps open."""
    with HttpServer() as server, closing(socket.create_connection(("127.0.0.1", server.port))):
        server.wait_until(lambda: server.open_connections == 1)
        monkeypatch.setattr("demo.leftovers.PATIENCE_SECONDS", 0.1)
        leftovers.look_at_http(HttpEndpoint(server))
    assert leftovers.found["connection"] == [f"to {server.url}"]


def test_it_finds_an_upload_and_an_object(leftovers: Leftovers, s3_server: S3Server, bucket: str) -> None:
    """An upload neither completed nor aborted; an object that should not be, or of another size."""
    store = ObjectStore(s3_server, bucket)
    s3_server._call("POST", f"/{bucket}/begun.csv", {"uploads": ""})
    s3_server._call("PUT", f"/{bucket}/stray.csv")
    s3_server._call("PUT", f"/{bucket}/short.csv")
    leftovers.look_at_store(store, {"short.csv": 10})
    assert leftovers.found["open upload"] == ["begun.csv"]
    assert leftovers.found["partial object"] == ["short.csv: 0 bytes", "stray.csv: 0 bytes"]


def test_the_damage_is_undone(tmp_path: Path) -> None:
    """The database is damaged only while the block runs."""
    database = tmp_path / "events.db"
    make_events(database, 1000)
    healthy = database.read_bytes()
    with damaged(database):
        assert database.read_bytes() != healthy
    assert database.read_bytes() == healthy
