"""One request and its reply: what a test may ask for, what the books say, and the doing of it."""

from __future__ import annotations

import enum
import hashlib
import select
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, Protocol

from tests.servers._http_wire import CutOff, Malformed, RequestReader, chunked, generated_blocks

__all__ = ["Books", "Ending", "Reply", "Request", "serve"]

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close() sends RST
CLIENT_CLOSED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


class Ending(enum.Enum):
    """How a request's body ended, as seen on the wire."""

    ARRIVING = "it has not ended yet"
    COMPLETE = "all of Content-Length, or the terminating chunk, arrived"
    CUT = "the connection ended before the body did"
    UNREAD = "we answered before its end and did not care for the rest"
    MALFORMED = "it was not HTTP"


@dataclass
class Request:
    """One request. ``body_bytes`` grows while it arrives; the rest is settled once it is among ``finished()``."""

    connection: int
    method: str
    target: str
    headers: Mapping[str, str]
    ending: Ending = Ending.ARRIVING
    body_bytes: int = 0
    #: Raw bytes that came in after an early answer.
    late_bytes: int = 0
    #: Whether the whole reply was sent.
    answered: bool = False
    finished: bool = False
    keep_bytes: int = field(default=0, repr=False)
    _kept: bytearray = field(default_factory=bytearray, repr=False)
    _hash: Any = field(default_factory=hashlib.sha256, repr=False)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def sha256(self) -> str:
        """Hex digest of the body received so far, kept or not."""
        digest: str = self._hash.hexdigest()
        return digest

    @property
    def body(self) -> bytes:
        """The body received so far.

        Raises:
            ValueError: it is larger than the server was told to keep.
        """
        if len(self._kept) < self.body_bytes:
            raise ValueError(
                f"only {len(self._kept)} of {self.body_bytes} bytes were kept: raise keep_bytes, or use sha256"
            )
        return bytes(self._kept)

    def add(self, piece: bytes) -> None:
        """Enter a piece of the body into the books."""
        self.body_bytes += len(piece)
        self._hash.update(piece)
        self._kept += piece[: max(0, self.keep_bytes - len(self._kept))]


@dataclass(frozen=True)
class Reply:
    """How to treat one request.

    Args:
        status: HTTP status.
        body: the body, or a number: so many bytes of a known pattern.
        headers: further headers.
        chunked: send the body in chunks instead of with its length.
        close: close the connection after the reply, and say so.
        hang_up: read the request, and reset the connection without an answer.
        cut_after: break off after so many bytes of the body, and reset the connection.
        after_bytes: answer once so many bytes of the request's body were read; None: when it has ended.
        then: what happens to the rest of the request after an early answer: "drain" reads and counts it,
            "stall" leaves it unread until the client closes, "reset" resets the connection.
        hold: wait for ``server.release()`` before reading the "body", or before giving the "answer".
        bytes_per_second: read the request's body no faster than this.
    """

    status: int = 200
    body: bytes | int = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    close: bool = False
    hang_up: bool = False
    cut_after: int | None = None
    after_bytes: int | None = None
    then: Literal["drain", "stall", "reset"] = "drain"
    hold: Literal["body", "answer"] | None = None
    bytes_per_second: float | None = None


class Books(Protocol):
    """What an exchange needs of its server."""

    def open(self, request: Request) -> Reply:
        """Enter a request whose head has arrived; say how to treat it."""

    def changed(self) -> None:
        """A request's entry has changed: wake whoever waits for that."""

    def wait_for_release(self) -> None:
        """Block until ``release()`` or the end of the server."""

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the server."""


def serve(connection: socket.socket, number: int, books: Books, keep_bytes: int) -> None:
    """Serve one connection until either side closes it."""
    reader = RequestReader(connection)
    try:
        while head := reader.head():
            request = Request(number, head.method, head.target, head.headers, keep_bytes=keep_bytes)
            if not _Exchange(connection, reader, books, request).run():
                return
    except (CutOff, Malformed):
        return  # inside a head: there is no request to enter into the books


class _Exchange:
    """The life of one request on an open connection."""

    def __init__(self, connection: socket.socket, reader: RequestReader, books: Books, request: Request) -> None:
        self.connection = connection
        self.reader = reader
        self.books = books
        self.request = request
        self.reply = books.open(request)

    def run(self) -> bool:
        """Do it all; return whether the connection may carry another request."""
        if self.reply.hold == "body":
            self.books.wait_for_release()
        try:
            self._receive_body()
            if self.request.ending in (Ending.COMPLETE, Ending.UNREAD):
                if self.reply.hold == "answer":
                    self.books.wait_for_release()
                self._answer()
                self._end_early_request()
        except OSError:
            pass  # the client has gone, or the server is stopping: `answered` says how far we came
        finally:
            self.request.finished = True
            self.books.changed()
        if self.request.ending is Ending.UNREAD and self.reply.then == "stall":
            self._wait_for_client_to_close()
        return self.request.answered and not self._closes()

    def _closes(self) -> bool:
        return (
            self.reply.close
            or self.reply.hang_up
            or self.reply.cut_after is not None
            or self.request.ending is Ending.UNREAD
        )

    # --- the request --------------------------------------------------------------------------------------------

    def _receive_body(self) -> None:
        limit = self.reply.after_bytes
        if limit == 0:
            self.request.ending = Ending.UNREAD
            return
        if self.request.headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            for piece in self.reader.body(self.request.headers):
                wanted = len(piece) if limit is None else limit - self.request.body_bytes
                self._enter(piece[:wanted])
                if limit is not None and self.request.body_bytes == limit:
                    self.request.late_bytes = len(piece) - wanted
                    self.request.ending = Ending.UNREAD
                    return
            self.request.ending = Ending.COMPLETE
        except CutOff:
            self.request.ending = Ending.CUT
        except Malformed:
            self.request.ending = Ending.MALFORMED
        finally:
            self.books.changed()

    def _enter(self, piece: bytes) -> None:
        self.request.add(piece)
        self.books.changed()
        if self.reply.bytes_per_second:
            self.books.pause(len(piece) / self.reply.bytes_per_second)

    def _end_early_request(self) -> None:
        """Leave a request that was answered before its end."""
        if self.request.ending is not Ending.UNREAD:
            return
        if self.reply.then == "reset":
            self._reset()
        elif self.reply.then == "drain":
            self.connection.shutdown(socket.SHUT_WR)
            for piece in self.reader.rest():
                self.request.late_bytes += len(piece)
                self.books.changed()

    def _wait_for_client_to_close(self) -> None:
        poll = select.poll()
        poll.register(self.connection, CLIENT_CLOSED)
        poll.poll()

    # --- the reply ----------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        if self.reply.hang_up:
            self._reset()
            return
        self.connection.sendall(self._head())
        if self.request.method != "HEAD":
            if self.reply.cut_after is not None:
                self._send_and_break_off(self.reply.cut_after)
                return
            for block in self._encoded():
                self.connection.sendall(block)
        self.request.answered = True

    def _head(self) -> bytes:
        reply = self.reply
        headers = {**reply.headers}
        if reply.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(reply.body if isinstance(reply.body, int) else len(reply.body))
        if self._closes():
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}", *map(": ".join, headers.items())]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")

    def _encoded(self) -> Iterator[bytes]:
        body = self.reply.body
        blocks = generated_blocks(body) if isinstance(body, int) else iter([body] if body else [])
        return chunked(blocks) if self.reply.chunked else blocks

    def _send_and_break_off(self, size_bytes: int) -> None:
        for block in self._encoded():
            self.connection.sendall(block[:size_bytes])
            size_bytes -= min(size_bytes, len(block))
            if not size_bytes:
                break
        self._reset()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
