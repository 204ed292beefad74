"""HTTP and HTTPS: read the body of a GET, write the body of one POST or PUT.

The sink sends one request with a chunked body. If the data fails half-way, or at a cancel, the body is cut: the
connection is reset without the terminating chunk, so no server can take the beginning for the whole. If the server
answers before the body has ended (413, say), reading the source stops at once, and the answer is the error.
"""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast, final
from urllib.parse import urljoin, urlsplit

from penstock.connectors._http_connection import Connection, Endpoint, connected, excerpt
from penstock.connectors._http_watch import AnswerWatch
from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.connectors._stored import StoredSource
from penstock.errors import ConfigurationError, ConnectorError, SinkError, SourceError
from penstock.flow.contracts import Receipt

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["HttpSink", "sink", "source"]

_CHUNK_BYTES = 256 << 10
_MOST_REDIRECTS = 5
_METHODS = ("POST", "PUT")
_USER_AGENT = "penstock"
_EARLY_ANSWER_SECONDS = 5.0


def source(request: SourceRequest) -> StoredSource:
    """Make a source that reads the body of a GET."""
    endpoint = Endpoint.of(request.uri)
    return StoredSource(request, urlsplit(request.uri).path, lambda: _reading(endpoint))


def sink(request: SinkRequest) -> HttpSink:
    """Make a sink that sends one request."""
    method = (request.method or "POST").upper()
    if method not in _METHODS:
        raise ConfigurationError(f"{request.shown}: method is {method!r}; it may be {' or '.join(_METHODS)}")
    if request.if_exists == "skip":
        raise ConfigurationError(
            f"{request.shown}: over HTTP nobody can tell whether it exists, so nothing can be skipped"
        )
    return HttpSink(
        Endpoint.of(request.uri), method=method, media_type=request.media_type, compression=request.compression
    )


# --- reading ----------------------------------------------------------------------------------------------------


@contextmanager
def _reading(endpoint: Endpoint, redirects_left: int = _MOST_REDIRECTS) -> Iterator[ByteReader]:
    with connected(endpoint, SourceError) as connection:
        connection.send_head("GET", {"Accept-Encoding": "identity", "User-Agent": _USER_AGENT})
        response = connection.answer()
        elsewhere = _redirected(endpoint, response)
        if elsewhere is None:
            _check_answer(connection, response)
            yield cast(BinaryIO, _Body(connection, response))
            return
    if not redirects_left:
        raise SourceError("redirected too often", where=endpoint.where)
    with _reading(elsewhere, redirects_left - 1) as stream:
        yield stream


def _redirected(endpoint: Endpoint, response: http.client.HTTPResponse) -> Endpoint | None:
    location = response.getheader("Location")
    if response.status not in {301, 302, 303, 307, 308} or location is None:
        return None
    elsewhere = Endpoint.of(urljoin(f"{endpoint.scheme}://{endpoint.host}:{endpoint.port}{endpoint.target}", location))
    if endpoint.scheme == "https" and elsewhere.scheme != "https":
        raise SourceError(f"redirected to {elsewhere.where}, which is not encrypted", where=endpoint.where)
    return elsewhere  # without the authorization, which was for the first server


def _check_answer(connection: Connection, response: http.client.HTTPResponse) -> None:
    if response.status != http.client.OK:
        raise _refused(connection, response, SourceError, "")
    encoding = response.getheader("Content-Encoding", "identity")
    if encoding != "identity":
        raise SourceError(f"the answer is {encoding}-encoded, which was not asked for", where=connection.endpoint.where)
    if response.length is None and not response.chunked:
        raise SourceError(
            "the answer has neither a length nor chunks, so a cut would look like its end",
            where=connection.endpoint.where,
            hint="fetch it to a file first",
        )


class _Body:
    """The body of an answer, which ends only where the server said it would."""

    def __init__(self, connection: Connection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response

    def read(self, size: int = -1, /) -> bytes:
        data = self._connection.read(self._response, size)
        if not data and size and self._response.length:
            raise SourceError(
                f"the server closed the connection {self._response.length} bytes before the end",
                where=self._connection.endpoint.where,
                transient=True,
            )
        return data


# --- writing ----------------------------------------------------------------------------------------------------


@final
class HttpSink:
    """Sends one request. Use through :func:`penstock.connectors.open_sink`."""

    def __init__(self, endpoint: Endpoint, *, method: str, media_type: str, compression: str | None) -> None:
        self.display_name = endpoint.where
        self._endpoint = endpoint
        self._method = method
        self._headers = {
            "User-Agent": _USER_AGENT,
            "Content-Type": media_type,
            "Transfer-Encoding": "chunked",
            "Idempotency-Key": str(uuid.uuid4()),
        }
        if compression is not None:
            self._headers["Content-Encoding"] = compression

    def check(self) -> bool:
        """Connect and disconnect; True when that works. No request is sent: there is none that means "would you".

        Raises:
            SinkError: unknown host, refused connection, certificate not trusted.
        """
        with connected(self._endpoint, SinkError):
            return True

    def store(self, stream: ByteReader) -> Receipt:
        """Send ``stream`` to its end and wait for the answer.

        Blocks while the server does not take more, and until it answers; a cancel interrupts both. When anything
        fails, the body is cut. An answer before the end is noticed at once, also while ``stream`` has nothing to
        give (if it has ``read1``, as pipes do).

        Raises:
            SinkError: the server is gone, answered before the end, or with anything but success.
        """
        with connected(self._endpoint, SinkError) as connection:
            connection.send_head(self._method, self._headers)
            sent = self._send_body(connection, stream)
            response = connection.answer()
            if not 200 <= response.status < 300:
                raise _refused(connection, response, SinkError, f" to all {sent} bytes")
            return self._receipt(sent, response, excerpt(connection, response))

    def _send_body(self, connection: Connection, stream: ByteReader) -> int:
        sent = 0
        with AnswerWatch(connection) as watch:
            while chunk := watch.read(stream, _CHUNK_BYTES):
                connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                if connection.is_answered:
                    break
                sent += len(chunk)
        if connection.is_answered:
            raise self._answered_early(connection, sent)
        connection.send(b"0\r\n\r\n")
        return sent

    def _answered_early(self, connection: Connection, sent: int) -> ConnectorError:
        """Read why the server does not take the rest; it may have closed without a word."""
        connection.socket.settimeout(_EARLY_ANSWER_SECONDS)
        try:
            response = connection.answer()
        except SinkError as exc:
            if not exc.transient:
                return exc  # what it said is not HTTP
            return SinkError(
                f"the server closed the connection after {sent} bytes", where=self.display_name, transient=True
            )
        return _refused(connection, response, SinkError, f" after {sent} bytes, before the end of the data")

    def _receipt(self, sent: int, response: http.client.HTTPResponse, answer: str) -> Receipt:
        details = {
            "status": response.status,
            "idempotency_key": self._headers["Idempotency-Key"],
            "answer": answer,
        }
        return Receipt(location=self.display_name, bytes_stored=sent, details=details)


def _refused(
    connection: Connection, response: http.client.HTTPResponse, error: type[ConnectorError], when: str
) -> ConnectorError:
    status = response.status
    said = excerpt(connection, response)
    location = response.getheader("Location")
    hint = f"it is now at {location}" if location and 300 <= status < 400 else _hint(status)
    message = f"the server answered {status} {response.reason}{when}" + (f": {said}" if said else "")
    return error(message, where=connection.endpoint.where, hint=hint, transient=status in {408, 429} or status >= 500)


def _hint(status: int) -> str:
    if status >= 500:
        return "the server failed; try again later"
    return _HINTS.get(status, "")


_HINTS = {
    400: "it does not take this data; are format and address right?",
    401: "user name and password go into the address: https://user:password@host/",
    403: "these credentials may not do this",
    404: "is the path right?",
    405: "it may want another method: POST or PUT",
    408: "the data came too slowly for it",
    409: "it has this already",
    411: "it does not take a body of unknown length",
    413: "it limits the size of a body",
    415: "it does not take this format; try another",
    429: "it wants fewer requests; try again later",
}
