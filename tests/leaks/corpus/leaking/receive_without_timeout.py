"""A thread reads from a connection whose other side accepted it and never says a word."""

import socket
import threading

from tests.leaks.corpus import Expected, until_parked

# Not proven: the peer may yet speak.
LEAKS = [
    Expected(kind="thread", name="receiver", function="receive_greeting", blocked_on="recv"),
    Expected(kind="socket", fix="close"),
]

listener = socket.create_server(("127.0.0.1", 0))


def receive_greeting() -> None:
    with socket.create_connection(listener.getsockname()) as connection:
        connection.recv(100)


def program() -> None:
    receiver = threading.Thread(target=receive_greeting, name="receiver", daemon=True)
    receiver.start()
    until_parked(receiver)
