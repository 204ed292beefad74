"""A test starts a ``socketserver`` in a thread and ends without ``shutdown``: thread and port stay."""

import socketserver
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", name="server", function="serve_forever"),
    Expected(kind="socket"),
]


class Echo(socketserver.StreamRequestHandler):
    """Sends back one line."""

    def handle(self) -> None:
        """Answer one connection."""
        self.wfile.write(self.rfile.readline())


def program() -> None:
    server = threading.Thread(target=socketserver.TCPServer(("127.0.0.1", 0), Echo).serve_forever, name="server")
    server.start()
    until_parked(server)
