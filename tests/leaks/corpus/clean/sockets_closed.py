"""A server and its client talk and close, the server's thread ends."""

import socket
import threading


def serve(listener: socket.socket) -> None:
    with listener:
        connection, _ = listener.accept()
    with connection:
        connection.sendall(connection.recv(100))


def program() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=serve, args=(listener,))
    server.start()
    with socket.create_connection(listener.getsockname()) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
    server.join()
