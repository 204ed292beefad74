"""A private FerretDB: a server that speaks MongoDB's protocol, and is not ours. Its data is in SQLite.

``scripts/build-ferretdb`` builds it from source, with Go, once: 1.24, the last version that needs no PostgreSQL
extension. What it has not: decimal128, JavaScript, sessions, fail points, ``metrics.cursor``. Those are tested with
:mod:`tests.servers.mongo_double`, and, where ``PENSTOCK_MONGO_URI`` names one, with a real mongod.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import select
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import Unavailable
from tests.servers._process import end_process

__all__ = ["Cursors", "FerretServer", "run_ferretdb"]

BINARY = Path(__file__).resolve().parents[2] / ".venvs" / "ferretdb" / "ferretdb"
START_SECONDS = 20


@dataclass(frozen=True)
class Cursors:
    """How many cursors a server has opened and closed since it started."""

    opened: int
    closed: int

    @property
    def open(self) -> int:
        """How many there are now."""
        return self.opened - self.closed


@dataclass(frozen=True)
class FerretServer:
    """A running server."""

    port: int
    pid: int
    books_port: int = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def new_database(self) -> str:
        """Return the URI of an empty database with a name of its own."""
        return f"mongodb://127.0.0.1:{self.port}/test_{next(self._numbers)}"

    def cursors(self) -> Cursors:
        """Count the cursors of all clients."""
        connection = http.client.HTTPConnection("127.0.0.1", self.books_port, timeout=START_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            return Cursors(**json.loads(connection.getresponse().read()))


@contextlib.contextmanager
def run_ferretdb() -> Iterator[FerretServer]:
    """Run a private server; its data goes when the block ends.

    Raises:
        Unavailable: it is not built, or does not start.
    """
    if not BINARY.exists():
        raise Unavailable("no MongoDB server: scripts/build-ferretdb, which `make test` runs, needs Go on PATH")
    with tempfile.TemporaryDirectory(prefix="ferretdb-") as directory:
        log = Path(directory) / "log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [BINARY, directory],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C ends the tests; the tests end the server
            )
        try:
            yield _started(process, log)
        finally:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()  # the server ends with its input
            end_process(process)


def _started(process: subprocess.Popen[bytes], log: Path) -> FerretServer:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else b""
    if not line:
        raise Unavailable(f"FerretDB does not start: {log.read_text(errors='replace')[-2000:].strip()}")
    ports = json.loads(line)
    return FerretServer(port=ports["port"], pid=process.pid, books_port=ports["books"])
