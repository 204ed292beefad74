"""A server thread waits in ``accept``, and nobody can tell it to stop."""

import socket
import threading

from tests.leaks.corpus import Expected, until_parked

# Not proven: a client may yet connect.
LEAKS = [
    Expected(kind="thread", name="server", function="serve", blocked_on="accept"),
    Expected(kind="socket"),
]


def serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        while True:
            connection, _ = listener.accept()
            connection.close()


def program() -> None:
    server = threading.Thread(target=serve, name="server", daemon=True)
    server.start()
    until_parked(server)
