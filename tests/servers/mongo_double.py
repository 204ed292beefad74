"""A double of MongoDB in a process of its own, for what no server that can be had here does: see ``mongo_double_server``."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson

from tests.servers import Unavailable
from tests.servers._mongo_wire import HEADER, OP_MSG
from tests.servers._process import end_process

__all__ = ["MongoDouble", "run_mongo_double"]

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20


@dataclass(frozen=True)
class MongoDouble:
    """A running double. Its clock stands still unless it is told to move."""

    port: int
    pid: int
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def new_database(self) -> str:
        """Return the URI of an empty database with a name of its own."""
        return f"mongodb://127.0.0.1:{self.port}/test_{next(self._numbers)}"

    def command(self, command: Mapping[str, Any], database: str = "admin") -> dict[str, Any]:
        """Run a command on a connection of its own."""
        message = b"\0\0\0\0\0" + bson.encode({**command, "$db": database})
        with socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS) as connection:
            connection.sendall(HEADER.pack(HEADER.size + len(message), 1, 0, OP_MSG) + message)
            with connection.makefile("rb") as answers:
                length, *_ = HEADER.unpack(answers.read(HEADER.size))
                answer: dict[str, Any] = bson.decode(answers.read(length - HEADER.size)[5:])
        if not answer["ok"]:
            raise ValueError(f"{next(iter(command))}: {answer['errmsg']}")
        return answer

    def fill(self, uri: str, collection: str, document: Mapping[str, Any], count: int | None) -> None:
        """Make a collection of ``count`` copies of a document (None: without end), with their numbers as ``_id``."""
        self.command({"fill": collection, "document": document, "count": count}, uri.rpartition("/")[2])

    def fail(self, *commands: str, mode: object = "alwaysOn", **how: object) -> None:
        """Have these commands fail: ``errorCode=``, ``closeConnection=True``, or ``blockConnection=True, blockTimeMS=``."""
        self.command({"configureFailPoint": "failCommand", "mode": mode, "data": {"failCommands": commands, **how}})

    def heal(self) -> None:
        """Have nothing fail any more."""
        self.command({"configureFailPoint": "failCommand", "mode": "off"})

    def advance_clock(self, seconds: float) -> None:
        """Let time pass for cursors and sessions."""
        self.command({"advanceClock": seconds})

    def status(self) -> dict[str, Any]:
        """Return its ``serverStatus``."""
        return self.command({"serverStatus": 1})

    def open_cursors(self) -> int:
        """Return ``metrics.cursor.open.total``."""
        return int(self.status()["metrics"]["cursor"]["open"]["total"])

    def running(self) -> list[str]:
        """Return which commands run now."""
        return list(self.status()["running"])

    def count(self, command: str) -> int:
        """Return how often a command was given since the start."""
        return int(self.status()["metrics"]["commands"].get(command, {"total": 0})["total"])


@contextlib.contextmanager
def run_mongo_double() -> Iterator[MongoDouble]:
    """Run a double.

    Raises:
        Unavailable: it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.mongo_double_server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C ends the tests; the tests end the server
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline() if ready else b""
        if not line:
            raise Unavailable("the double of MongoDB does not start")
        yield MongoDouble(port=int(line), pid=process.pid)
    finally:
        process.stdin.close()  # the server ends with its input
        process.stdout.close()
        end_process(process)
