"""An HTTP server in a process of its own, for programs whose own process must hold nothing but the client's side.

It answers every request with a body too large for the buffers on the way, and ends with the process that started it.
"""

from __future__ import annotations

import subprocess
import sys

from tests.servers.http import HttpServer, Reply

__all__ = ["LARGE_BYTES", "start_http_service"]

LARGE_BYTES = 32 * 1024 * 1024

_services: list[subprocess.Popen[str]] = []


def start_http_service(body_bytes: int = LARGE_BYTES) -> str:
    """Start a server that answers with ``body_bytes`` bytes; return its URL once it listens.

    Call it from ``prepare()``: what it leaves open belongs to this module and was there before.
    """
    command = [sys.executable, "-m", "tests.leaks.corpus.http_service", str(body_bytes)]
    service = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    _services.append(service)
    assert service.stdout is not None
    return service.stdout.readline().strip()


def _serve(body_bytes: int) -> None:
    with HttpServer() as server:
        server.reply("*", Reply(body=body_bytes))
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()  # ends with the process at the other side of the pipe, however that ends


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
