"""The connection under the HTTP sink: it sends, and listens while it does."""

from __future__ import annotations

import socket

from penstock.connectors.http._connection import connected
from penstock.connectors.http._endpoint import Endpoint
from penstock.errors import SinkError
from tests.core.threads import start

MEBIBYTE = 1 << 20


def test_sending_goes_on_listening_after_it_has_waited_for_room() -> None:
    """A server that reads a little, stops, and then answers is heard in the middle of one large send."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = Endpoint.of(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        with connected(endpoint, SinkError) as connection:
            server, _ = listener.accept()
            with server:
                sending = start(connection.send, b"x" * (64 * MEBIBYTE))
                sending.wait_parked()  # no room
                taken = 0
                while taken < 8 * MEBIBYTE:
                    taken += len(server.recv(MEBIBYTE))
                sending.wait_parked()  # there was some; now there is none again
                server.sendall(b"HTTP/1.1 413 Content Too Large\r\n\r\n")
                sending.result()
                assert connection.is_answered
