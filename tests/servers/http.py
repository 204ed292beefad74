"""An HTTP/1.1 server that keeps exact books: connections accepted, bytes received, and how each body ended.

It answers 200 to everything unless told otherwise::

    with HttpServer() as server:
        server.reply("/ingest", Reply(503), Reply(200))        # one refusal, then success for ever
        server.reply("/large", Reply(413, after_bytes=1000))   # answers early, without reading the rest
        ...
        [request] = server.finished(1)
        assert request.ending is Ending.COMPLETE               # the terminating chunk was seen

Plain sockets in threads, because facts of the wire are what it is for: frameworks hide whether a body ended or was
cut. Standard library only. For the test, nothing is a race: whoever wants to know waits with :meth:`HttpServer.finished`
or :meth:`HttpServer.wait_until`.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.servers._http_exchange import Ending, Reply, Request, serve

__all__ = ["Ending", "HttpServer", "Reply", "Request"]

WAIT_SECONDS = 10.0
ANY_PATH = "*"

Replier = Reply | Callable[[Request], Reply]


class HttpServer:
    """A server on a port of its own, running while its ``with`` block does.

    Args:
        keep_bytes: how much of each request's body to keep; hash and count cover all of it.
        receive_buffer_bytes: the kernel's receive buffer, where backpressure should be felt early.
    """

    def __init__(self, *, keep_bytes: int = 16 * 1024 * 1024, receive_buffer_bytes: int | None = None) -> None:
        self.connections = 0
        self.requests: list[Request] = []
        self._keep_bytes = keep_bytes
        self._replies: dict[str, list[Replier]] = {ANY_PATH: [Reply()]}
        self._open: dict[socket.socket, threading.Thread] = {}
        self._change = threading.Condition()
        self._release = threading.Event()
        self._stopping = threading.Event()
        self._listener = socket.socket()
        if receive_buffer_bytes is not None:  # accepted connections inherit it
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(512)
        self.port: int = self._listener.getsockname()[1]
        self._wake_accepting, self._woken = socket.socketpair()
        self._accepting = threading.Thread(target=self._accept, name=f"http-server-{self.port}", daemon=True)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``; add a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections neither side has closed yet."""
        return len(self._open)

    # --- what to do ---------------------------------------------------------------------------------------------

    def reply(self, path: str, *replies: Replier) -> None:
        """Treat the next requests of ``path`` ("*": any other path) so, one reply each; the last one stays.

        A function gets the request when its head has arrived, in the connection's thread.
        """
        with self._change:
            self._replies[path] = list(replies)

    def release(self) -> None:
        """Let every request that is held go on, now and in future."""
        self._release.set()

    # --- what happened ------------------------------------------------------------------------------------------

    def finished(self, count: int, timeout: float = WAIT_SECONDS) -> list[Request]:
        """Block until at least ``count`` requests have finished, well or badly; return all that have.

        Raises:
            TimeoutError: they did not within ``timeout`` seconds; the message is what the books say.
        """
        self.wait_until(lambda: sum(request.finished for request in self.requests) >= count, timeout)
        return [request for request in self.requests if request.finished]

    def wait_until(self, condition: Callable[[], bool], timeout: float = WAIT_SECONDS) -> None:
        """Block until ``condition()`` holds; it is asked again after every change in the books.

        Raises:
            TimeoutError: it did not within ``timeout`` seconds; the message is what the books say.
        """
        with self._change:
            if not self._change.wait_for(condition, timeout):
                raise TimeoutError(f"{self.connections} connections ({self.open_connections} open), {self.requests}")

    # --- running ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Close every connection and wait for every thread. Idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._release.set()
        self._wake_accepting.close()
        self._accepting.join()
        with self._change:
            remaining = dict(self._open)
            for connection in remaining:
                with contextlib.suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in remaining.values():
            thread.join()

    def _accept(self) -> None:
        with self._listener, self._woken, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while self._woken not in [key.fileobj for key, _events in selector.select()]:
                self._start_serving(self._listener.accept()[0])

    def _start_serving(self, connection: socket.socket) -> None:
        # Head and body of a reply are sent apart; without this, the second would wait for the client's delayed ACK.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._change:
            self.connections += 1
            name = f"http-server-{self.port}-{self.connections}"
            thread = threading.Thread(target=self._serve, args=(connection, self.connections), name=name, daemon=True)
            self._open[connection] = thread
            self._change.notify_all()
        thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            serve(connection, number, self, self._keep_bytes)
        finally:
            # Out of the books before it is closed: stop() must not meet a socket whose number is somebody else's.
            with self._change:
                del self._open[connection]
                connection.close()
                self._change.notify_all()

    # --- Books, for the exchanges -------------------------------------------------------------------------------

    def open(self, request: Request) -> Reply:
        """Enter a request whose head has arrived; say how to treat it."""
        with self._change:
            self.requests.append(request)
            replies = self._replies.get(request.path) or self._replies[ANY_PATH]
            replier = replies.pop(0) if len(replies) > 1 else replies[0]
            self._change.notify_all()
        return replier if isinstance(replier, Reply) else replier(request)

    def changed(self) -> None:
        """A request's entry has changed: wake whoever waits for that."""
        with self._change:
            self._change.notify_all()

    def wait_for_release(self) -> None:
        """Block until :meth:`release` or :meth:`stop`."""
        self._release.wait()

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond :meth:`stop`."""
        self._stopping.wait(seconds)
