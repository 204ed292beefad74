"""HTTP/1.1 as bytes: read a request's head and body from a socket, and know exactly how the body ended."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["CutOff", "Head", "Malformed", "RequestReader", "chunked", "generated_blocks"]

BLOCK_BYTES = 64 * 1024
PATTERN = bytes(range(256)) * (BLOCK_BYTES // 256)


class CutOff(Exception):
    """The connection ended inside a request."""


class Malformed(Exception):
    """What arrived is not HTTP/1.1."""


@dataclass(frozen=True)
class Head:
    """Request line and headers; names of headers in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]


class RequestReader:
    """Reads the requests of one connection, one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = io.BufferedReader(socket.SocketIO(connection, "rb"), BLOCK_BYTES)

    def head(self) -> Head | None:
        """The next request's head, or None when the client has closed the connection between requests.

        Raises:
            CutOff: it closed inside the head.
            Malformed: the head is no HTTP.
        """
        with contextlib.suppress(ConnectionError):
            if not self._file.peek(1):
                return None
            line = self._line()
            try:
                method, target, _version = line.split(" ")
                headers = dict(self._headers())
            except ValueError as exc:
                raise Malformed(line) from exc
            return Head(method, target, headers)
        return None

    def body(self, headers: Mapping[str, str]) -> Iterator[bytes]:
        """The body in pieces as they arrive; ends only when the body has really ended.

        Raises:
            CutOff: the connection ended before ``Content-Length`` bytes, or before the terminating chunk.
            Malformed: a chunk is not as announced.
        """
        try:
            if headers.get("transfer-encoding", "").lower() == "chunked":
                yield from self._chunks()
            else:
                yield from self._exactly(int(headers.get("content-length", "0")))
        except ConnectionError as exc:
            raise CutOff(str(exc)) from exc

    def rest(self) -> Iterator[bytes]:
        """Whatever else arrives until the client closes, unparsed."""
        with contextlib.suppress(ConnectionError):
            while piece := self._file.read1(BLOCK_BYTES):
                yield piece

    def _headers(self) -> Iterator[tuple[str, str]]:
        while line := self._line():
            name, value = line.split(":", 1)
            yield name.strip().lower(), value.strip()

    def _chunks(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._exactly(size)
            if self._line():
                raise Malformed("a chunk is longer than announced")
        while self._line():
            pass  # trailers

    def _chunk_size(self) -> int:
        line = self._line()
        try:
            return int(line.partition(";")[0], 16)
        except ValueError as exc:
            raise Malformed(f"chunk size {line!r}") from exc

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._file.read1(min(size, BLOCK_BYTES))
            if not piece:
                raise CutOff(f"{size} bytes short")
            size -= len(piece)
            yield piece

    def _line(self) -> str:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise CutOff("inside a line")
        return line.decode("latin-1").rstrip("\r\n")


def chunked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks in chunked transfer encoding, with the terminating chunk."""
    for block in blocks:
        yield b"%x\r\n%b\r\n" % (len(block), block)
    yield b"0\r\n\r\n"


def generated_blocks(size_bytes: int) -> Iterator[bytes]:
    """``size_bytes`` bytes of a known pattern, in blocks."""
    whole, rest = divmod(size_bytes, BLOCK_BYTES)
    for _ in range(whole):
        yield PATTERN
    if rest:
        yield PATTERN[:rest]
