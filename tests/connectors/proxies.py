"""A proxy that opens tunnels, all to one port of this machine, whatever host they are asked for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TunnelProxy:
    """What was asked for, head by head.

    Args:
        inner_port: where every tunnel leads.
        answer: what it says to everybody.
    """

    def __init__(self, inner_port: int, answer: bytes) -> None:
        self.heads: list[str] = []
        self._inner_port = inner_port
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._opened: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """Close everything, and wait for every thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for opened in self._opened:
            _shut_down(opened)
        for thread in self._threads:
            thread.join()
        for opened in [self._listener, *self._opened]:
            opened.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                outer, _ = self._listener.accept()
                inner = socket.create_connection(("127.0.0.1", self._inner_port))
                self._opened += [outer, inner]
                thread = threading.Thread(target=self._serve, args=(outer, inner), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, outer: socket.socket, inner: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            received = outer.recv(4096)
            if not received:
                return
            head += received
        self.heads.append(head.decode())
        outer.sendall(self._answer)
        if b" 200 " in self._answer:
            back = threading.Thread(target=_pump, args=(inner, outer), daemon=True)
            back.start()
            _pump(outer, inner)
            back.join()


@contextmanager
def tunnelling(inner_port: int, answer: bytes = b"HTTP/1.1 200 Connected\r\n\r\n") -> Iterator[TunnelProxy]:
    """Run a proxy while the block does."""
    proxy = TunnelProxy(inner_port, answer)
    try:
        yield proxy
    finally:
        proxy.stop()


def _pump(giving: socket.socket, taking: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either end has gone; then the other goes, too
        while data := giving.recv(65536):
            taking.sendall(data)
    for end in (giving, taking):
        _shut_down(end)


def _shut_down(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has happened already
        end.shutdown(socket.SHUT_RDWR)
