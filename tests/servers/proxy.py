"""A TCP proxy that cuts or stalls a connection after so many bytes: the network at its worst, without root.

    with Proxy(server.port, down=Trouble("cut", after_bytes=1 << 20)) as proxy:
        ...  # a client of proxy.port reads one mebibyte of what the server sends, then its connection is reset

"down" is what the server sends, "up" what the client sends. Each connection is forwarded by a thread of its own, which
waits in one ``select`` and needs no timeouts; nothing is left when the block ends.

``freeze`` makes a network of it that has gone silent: connections stay, new ones are taken, no byte comes through.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import struct
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

__all__ = ["Proxy", "Trouble"]

_PIECE_BYTES = 64 << 10
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close() sends RST


@dataclass(frozen=True)
class Trouble:
    """What befalls one direction of every connection.

    Attributes:
        kind: "cut" resets the connection on both sides; "stall" forwards nothing more in this direction, and keeps it open.
        after_bytes: how many bytes pass before.
    """

    kind: Literal["cut", "stall"]
    after_bytes: int


class Proxy:
    """Forwards connections to a port of the loopback while its ``with`` block runs; to one of several in turn.

    Attributes:
        port: to connect to.
        connections: how many were accepted.
        troubled: how many connections have met their trouble.
    """

    def __init__(self, *target_ports: int, up: Trouble | None = None, down: Trouble | None = None) -> None:
        self.connections = 0
        self.troubled = 0
        self._target_ports = itertools.cycle(target_ports)
        self._is_frozen = False
        self._up, self._down = up, down
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stop, self._stopped = socket.socketpair()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def freeze(self) -> None:
        """From now on keep connections, take new ones, and pass nothing on. A piece on its way may still pass."""
        self._is_frozen = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.close()  # which every thread sees as the end of its stream
        self._accepting.join()
        for end in list(self._open):  # one of the threads may be sending to somebody who does not read
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._stopped.close()
        self._listener.close()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while self._stopped not in [key.fileobj for key, _ in selector.select()]:
                client = self._listener.accept()[0]
                self.connections += 1
                arguments = (client, next(self._target_ports))
                thread = threading.Thread(target=self._forward, args=arguments, name="proxied connection", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _forward(self, client: socket.socket, port: int) -> None:
        with client, contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            try:
                server = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            except OSError:
                return  # nobody there: the client sees its connection closed
            stack.callback(self._open.difference_update, (client, server))
            self._open.update((client, server))
            up = _Direction(client, server, self._up)
            down = _Direction(server, client, self._down)
            selector.register(client, selectors.EVENT_READ, up)
            selector.register(server, selectors.EVENT_READ, down)
            selector.register(self._stopped, selectors.EVENT_READ)
            while selector.get_map().keys() - {self._stopped.fileno()}:
                ready = [key.data for key, _ in selector.select()]
                if None in ready or not self._advance(selector, ready):
                    return

    def _advance(self, selector: selectors.BaseSelector, ready: list[_Direction]) -> bool:
        """Move a piece in each direction that has one; False when the connection is over."""
        for direction in ready:
            if self._is_frozen:
                selector.unregister(direction.source)  # it would be ready for ever
                continue
            try:
                outcome = direction.advance()
            except OSError:
                return False
            if outcome != "moved":
                selector.unregister(direction.source)
            if outcome == "stall":
                self.troubled += 1
            if outcome == "cut":
                self.troubled += 1
                for end in (direction.source, direction.target):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                return False
        return True


class _Direction:
    def __init__(self, source: socket.socket, target: socket.socket, trouble: Trouble | None) -> None:
        self.source, self.target = source, target
        self._trouble = trouble
        self._left = None if trouble is None else trouble.after_bytes

    def advance(self) -> Literal["moved", "end", "cut", "stall"]:
        """Move one piece; blocks while the other side does not take it."""
        piece = self.source.recv(_PIECE_BYTES if self._left is None else max(1, min(_PIECE_BYTES, self._left)))
        if not piece:
            self.target.shutdown(socket.SHUT_WR)
            return "end"
        if self._left is not None and self._trouble is not None:
            if self._left <= 0:
                return self._trouble.kind
            self._left -= len(piece)
        self.target.sendall(piece)
        return "moved"
