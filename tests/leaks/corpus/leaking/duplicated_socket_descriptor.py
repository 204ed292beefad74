"""A socket's descriptor is duplicated for a C library and the socket closed; the copy keeps the connection open."""

import os
import socket

from tests.leaks.corpus import Expected

# A socket that no Python object owns may as well be a C library's, in good order: it need not be reported.
LEAKS = [Expected(kind="socket", fix="close", optional=True)]

listener = socket.create_server(("127.0.0.1", 0))


def program() -> None:
    with socket.create_connection(listener.getsockname()) as connection:
        os.dup(connection.fileno())
