"""Three services under one deadline of half a second. One hangs: the other two answers are kept, its request is gone.

Gone means: not left running in a thread. `on_cancel` names what interrupts the blocked call, here a shutdown of its
socket; the hanging server tells that its client has hung up, and no thread is left in this process.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import closing
from typing import Any

from _local import Handler, serving

import penstock

DEADLINE_SECONDS = 0.5

hang_ups, told = penstock.channel(max_buffer_size=1)  # the server says here when its client has left


class Services(Handler):
    def get(self) -> None:
        if self.path == "/reviews":
            left = self.connection.recv(1) == b""  # never answers; returns when the client closes the connection
            hang_ups.send((left, time.monotonic()))
            self.close_connection = True
        else:
            self.answer(json.dumps({"service": self.path[1:], "ok": True}).encode())


def fetch(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    with closing(connection):
        connection.connect()
        with penstock.on_cancel(lambda: connection.sock.shutdown(socket.SHUT_RDWR)):
            connection.request("GET", path)
            return json.load(connection.getresponse())


def main() -> None:
    with serving(Services) as server:
        started = time.monotonic()
        answers = penstock.gather(
            prices=lambda: fetch(server.server_port, "/prices"),
            stock=lambda: fetch(server.server_port, "/stock"),
            reviews=lambda: fetch(server.server_port, "/reviews"),
            timeout=DEADLINE_SECONDS,
            on_timeout="partial",
        )
        seconds = time.monotonic() - started
        ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("gather")]
        with penstock.fail_after(5):
            hung_up, hung_up_at = told.receive()

    print(f"after {seconds:.2f} s: {answers!r}")
    print(f"kept:      {answers['prices']}, {answers['stock']}")
    print(f"cancelled: {answers.pending}, whose server saw the connection close after {hung_up_at - started:.2f} s")
    print(f"threads left: {len(ours)}")
    assert sorted(answers.done) == ["prices", "stock"]
    assert answers.pending == ["reviews"]
    assert seconds < DEADLINE_SECONDS + 0.5
    assert hung_up
    assert ours == []
    hang_ups.close()
    told.close()


if __name__ == "__main__":
    main()
