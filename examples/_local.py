"""What the examples talk to and measure with: servers on this machine, and the memory of this process.

Nothing here is penstock. The HTTP server is the standard library's, the object store is OpenStack Swift behind its S3
interface (``tests/servers``), and both are gone when their block ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KIB_PER_MIB = 1024


class LocalServer(ThreadingHTTPServer):
    """An HTTP server on a port of its own that counts its connections, one thread for each."""

    daemon_threads = False  # closing the server waits for them
    connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients may leave; anything else is a fault of ours
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """What the examples' handlers are made from: keeps connections open between requests, logs nothing."""

    protocol_version = "HTTP/1.1"
    timeout = 10  # seconds an idle connection is kept
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.get()

    def do_POST(self) -> None:
        self.post()

    def get(self) -> None:
        raise NotImplementedError

    def post(self) -> None:
        raise NotImplementedError

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[LocalServer]:
    """Run a server with this handler while the block does."""
    with LocalServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="server")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def s3_bucket() -> Iterator[str]:
    """A bucket: the one $PENSTOCK_EXAMPLE_BUCKET names, at the store the AWS_* variables name; or a private store."""
    if bucket := os.environ.get("PENSTOCK_EXAMPLE_BUCKET"):
        yield bucket
        return
    sys.path.insert(0, str(ROOT))
    from tests.servers.s3 import run_s3

    with run_s3() as store:
        os.environ.update(store.environment)
        yield store.create_bucket("examples")


def resident_mib() -> float:
    """How much memory this process holds now, as the operating system counts it."""
    return _resident_kib() / KIB_PER_MIB


def _resident_kib() -> int:
    with contextlib.suppress(FileNotFoundError):  # not Linux: ask ps
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    asked = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, check=True)
    return int(asked.stdout)
