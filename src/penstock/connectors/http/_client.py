"""Send requests one after another, over one connection whenever the server and the previous response allow it.

A connection can carry another request only when the body of the last answer has been read to its end. So whatever a
caller leaves of a body is read here, within bounds; a longer rest is cut off, as a new connection is cheaper.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from types import TracebackType
from typing import Self, final

from penstock.connectors.http._connection import Connection, excerpt, open_connection
from penstock.connectors.http._endpoint import Endpoint
from penstock.core.cancel import check_cancelled
from penstock.errors import ConnectorError

__all__ = ["Answer", "Client"]

_DRAINED_BYTES = 256 << 10
_DRAINED_SECONDS = 1.0


@final
class Answer:
    """The answer to one request. Its body is read here, and ends only where the server said it would.

    Attributes:
        endpoint: what was asked for.
        status: as a number.
        reason: the same in the server's words.
        size_bytes: how long the body is, as sent; None where the server does not say.
    """

    def __init__(self, connection: Connection, response: http.client.HTTPResponse, error: type[ConnectorError]) -> None:
        self.endpoint = connection.endpoint
        self.status = response.status
        self.reason = response.reason
        self.size_bytes = response.length
        self._connection = connection
        self._response = response
        self._error = error

    def header(self, name: str) -> str | None:
        """Return a header; several of one name are joined by commas. None when there is none."""
        return self._response.getheader(name)

    @property
    def body_has_end(self) -> bool:
        """Whether the end of the body is marked, so that a cut can be told from it."""
        return self._response.length is not None or bool(self._response.chunked)

    @property
    def body_bytes(self) -> int | None:
        """How much of the body is still to come, in bytes as sent; None where the server did not say."""
        return self._response.length

    def read(self, size: int = -1, /) -> bytes:
        """Block until ``size`` bytes of the body, or its end; a cancel interrupts it.

        Raises:
            ConnectorError: the server is gone before the end.
        """
        data = self._connection.read(self._response, size)
        if len(data) < size and self._response.length:  # also where some has come: a page is read at once
            check_cancelled()  # that would be why: a cancel shuts the socket down
            raise self._error(
                f"the server closed the connection {self._response.length} bytes before the end",
                where=self.endpoint.where,
                transient=True,
            )
        return data

    def excerpt(self) -> str:
        """Return the first words of the body, on one line."""
        return excerpt(self._connection, self._response)


@final
class Client:
    """Asks one server after another, mostly the same. For one thread at a time. Use as a context manager, or close.

    Attributes:
        has_connected: whether any connection was made: the address is right, then.
        was_kept: whether the last request went over a connection that had carried one before. The server may have
            closed such a one at any moment, which says nothing about how it is.
    """

    def __init__(self, error: type[ConnectorError]) -> None:
        self.has_connected = False
        self.was_kept = False
        self._error = error
        self._connection: Connection | None = None
        self._answer: Answer | None = None

    def connection_to(self, endpoint: Endpoint) -> Connection:
        """Return the kept connection, if it is there and still good for ``endpoint``, else a new one. It stays ours.

        Raises:
            ConnectorError: it cannot be made.
        """
        self._settle()
        kept = self._connection
        if kept is None or not kept.endpoint.is_same_server(endpoint) or not kept.is_ready or kept.look_for_answer():
            self.close()
            kept = self._connection = open_connection(endpoint, self._error)
            self.has_connected = True
        kept.endpoint = endpoint
        self.was_kept = kept.requests > 0
        return kept

    def ask(self, endpoint: Endpoint, method: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a request and wait for the head of the answer, which can be read until the next request.

        Blocks; a cancel interrupts it. A server that answers before it has all of ``body`` is heard at once.

        Raises:
            ConnectorError: the server cannot be reached, or does not answer.
        """
        connection = self.connection_to(endpoint)
        try:
            connection.send_head(method, headers)
            connection.send(body)
            return self.answer()
        except BaseException:
            connection.abort()
            raise

    def answer(self) -> Answer:
        """Wait for the head of the answer to what was sent over the connection.

        Raises:
            ConnectorError: the server does not answer, or not in HTTP.
        """
        assert self._connection is not None
        self._answer = Answer(self._connection, self._connection.answer(), self._error)
        return self._answer

    @property
    def is_cut(self) -> bool:
        """Whether the server answered the last request before it had all of it."""
        return self._connection is not None and self._connection.is_answered

    def _settle(self) -> None:
        """Read what is left of the last answer, so that its connection can carry the next request."""
        answer, self._answer = self._answer, None
        connection = self._connection
        if answer is None or connection is None or connection.is_ready:
            return
        if (answer.body_bytes or 0) > _DRAINED_BYTES or connection.is_answered:
            connection.close()
            return
        try:
            connection.socket.settimeout(_DRAINED_SECONDS)
            answer.read(_DRAINED_BYTES)
            answer.read(1)
            connection.socket.settimeout(None)
        except ConnectorError:
            connection.close()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        connection, self._connection = self._connection, None
        self._answer = None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if kind is not None and self._connection is not None:
            self._connection.abort()
        self.close()
