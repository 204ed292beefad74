"""An HTTP server whose responses begin and do not go on: for what must not wait for them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.core.threads import PATIENCE, start

__all__ = ["a_server_that_stalls"]


class _HalfABody(http.server.BaseHTTPRequestHandler):
    """Sends one byte of ten and then nothing more until the test is over."""

    over: threading.Event

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"x")
        self.wfile.flush()
        self.over.wait(PATIENCE)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def a_server_that_stalls() -> Iterator[str]:
    """Run one; gives its URL."""

    class Handler(_HalfABody):
        over = threading.Event()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = start(server.serve_forever, 0.01)
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            Handler.over.set()
            server.shutdown()
            serving.result()
