"""The sink that sends everything as the body of one request, in chunks, while the data is being made."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, final

from penstock.connectors.http._answers import is_success, refusal
from penstock.connectors.http._body import USER_AGENT
from penstock.connectors.http._client import Answer, Client
from penstock.connectors.http._watch import AnswerWatch
from penstock.errors import ConnectorError, SinkError
from penstock.flow.contracts import Receipt

if TYPE_CHECKING:
    from penstock.connectors.http._connection import Connection
    from penstock.connectors.http._endpoint import Endpoint
    from penstock.flow.contracts import ByteReader

__all__ = ["HttpSink", "Sending"]

_CHUNK_BYTES = 256 << 10
_EARLY_ANSWER_SECONDS = 5.0


class Sending:
    """The base class of sinks over HTTP: ``check`` opens the connection that ``store`` then uses.

    It stays open between the two; :meth:`close` closes it if there will be no ``store``.
    """

    def __init__(self, endpoint: Endpoint, *, method: str, media_type: str) -> None:
        self.display_name = endpoint.where
        self._endpoint = endpoint
        self._method = method
        self._key = str(uuid.uuid4())
        self._headers = {"User-Agent": USER_AGENT, "Content-Type": media_type}
        self._client = Client(SinkError)

    def check(self) -> bool:
        """Connect, and return True if that works. Sends no request, as HTTP has none that only asks for permission.

        Raises:
            SinkError: unknown host, refused connection, certificate not trusted.
        """
        self._client.connection_to(self._endpoint)
        return True

    def close(self) -> None:
        """Close the connection, if there is one. Idempotent."""
        self._client.close()


@final
class HttpSink(Sending):
    """Sends one request. Use through :func:`penstock.connectors.open_sink`."""

    def __init__(self, endpoint: Endpoint, *, method: str, media_type: str, compression: str | None) -> None:
        super().__init__(endpoint, method=method, media_type=media_type)
        self._headers |= {"Transfer-Encoding": "chunked", "Idempotency-Key": self._key}
        if compression is not None:
            self._headers["Content-Encoding"] = compression

    def store(self, stream: ByteReader) -> Receipt:
        """Send ``stream`` to its end and wait for the answer.

        Blocks while the server takes no more, and until it answers; a cancel interrupts both. If anything fails, the body
        is cut off. A response before the end is noticed at once, even while ``stream`` has no data (if it has ``read1``,
        as pipes do).

        Raises:
            SinkError: the server is gone, has answered before the end, or with anything but success.
        """
        with self._client as client:
            connection = client.connection_to(self._endpoint)
            connection.send_head(self._method, self._headers)
            sent = self._send_body(connection, stream)
            answer = client.answer()
            if not is_success(answer):
                raise refusal(answer, SinkError, f" to all {sent} bytes")
            return self._receipt(sent, answer)

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
        """Return why the server does not take the rest, if it says so before closing the connection."""
        connection.socket.settimeout(_EARLY_ANSWER_SECONDS)
        try:
            answer = self._client.answer()
        except SinkError as exc:
            if not exc.transient:
                return exc  # what it said is not HTTP
            return SinkError(
                f"the server closed the connection after {sent} bytes", where=self.display_name, transient=True
            )
        return refusal(answer, SinkError, f" after {sent} bytes, before the end of the data")

    def _receipt(self, sent: int, answer: Answer) -> Receipt:
        details = {"status": answer.status, "idempotency_key": self._key, "answer": answer.excerpt()}
        return Receipt(location=self.display_name, bytes_stored=sent, details=details)
