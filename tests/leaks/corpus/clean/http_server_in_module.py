"""A module holds an HTTP server, which a daemon thread serves as long as the process lives."""

import http.server
import threading

from tests.leaks.corpus import until_parked

servers: list[http.server.ThreadingHTTPServer] = []


def program() -> None:
    servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler))
    thread = threading.Thread(target=servers[0].serve_forever, name="http", daemon=True)
    thread.start()
    until_parked(thread)
