"""The sink that sends many requests (``request_size``), each with as many whole records as fit into a size.

For servers that limit the size of a body, or require its length. What a server has accepted over HTTP cannot be taken
back, so *everything or nothing* holds for each request here, and not for all of them: if the data fails half-way, the
requests before that remain, and the error says how many there were. Each request has a key (``Idempotency-Key``), which
stays the same if it is sent again, so that a server can tell a repetition from new data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from penstock.connectors.http._answers import is_success, refusal
from penstock.connectors.http._request_bodies import CUTTERS
from penstock.connectors.http._retries import TryAgain, lost_connections_again, retry_after_seconds, with_retries
from penstock.connectors.http._sink import Sending
from penstock.core.cancel import check_cancelled
from penstock.errors import SinkError
from penstock.flow.contracts import Receipt
from penstock.flow.units import format_count

if TYPE_CHECKING:
    from penstock.connectors.http._client import Answer
    from penstock.connectors.http._endpoint import Endpoint
    from penstock.flow.contracts import ByteReader

__all__ = ["HttpBatchSink"]


@final
class HttpBatchSink(Sending):
    """Sends many requests over one connection. Use through :func:`penstock.connectors.open_sink`.

    Args:
        endpoint: where to.
        method: ``"POST"`` or ``"PUT"``.
        media_type: of each body.
        format_name: one of those whose streams can be cut between records.
        request_bytes: about how large a body may be; a record that is larger goes alone.
        retries: how often a request is sent again when its connection is lost, or the server is busy or fails.
    """

    def __init__(
        self, endpoint: Endpoint, *, method: str, media_type: str, format_name: str, request_bytes: int, retries: int
    ) -> None:
        super().__init__(endpoint, method=method, media_type=media_type)
        self._bodies = CUTTERS[format_name]
        self._request_bytes = request_bytes
        self._retries = retries
        self._accepted = 0
        self._accepted_bytes = 0

    def store(self, stream: ByteReader) -> Receipt:
        """Send ``stream`` to its end, request by request, each after the answer to the one before.

        Blocks; a cancel interrupts it, also while it waits to try again. Without a record nothing is sent.

        Raises:
            SinkError: a request was refused, or failed too often. The message says how many were accepted before; what
                ``stream`` raises has a note that says so.
        """
        try:
            with self._client:
                for body in self._bodies(stream, self._request_bytes):
                    self._send(body)
        except BaseException as exc:
            if self._accepted:
                exc.add_note(f"{self.display_name}: {self._so_far()}")
            raise
        details = {"requests": self._accepted, "idempotency_key": f"{self._key}-*"}
        return Receipt(location=self.display_name, bytes_stored=self._accepted_bytes, details=details)

    def _send(self, body: bytes) -> None:
        check_cancelled()
        number = self._accepted + 1
        headers = {
            **self._headers,
            "Content-Length": str(len(body)),
            "Idempotency-Key": f"{self._key}-{number}",
        }
        try:
            with_retries(self._retries, lambda: self._try(headers, body))
        except SinkError as exc:
            exc.args = (f"request {number}: {exc.args[0]} ({self._so_far()})",)
            raise
        self._accepted = number
        self._accepted_bytes += len(body)

    def _try(self, headers: dict[str, str], body: bytes) -> Answer:
        client = self._client
        answer = lost_connections_again(client, lambda: client.ask(self._endpoint, self._method, headers, body))
        if is_success(answer):
            if client.is_cut:
                raise refusal(answer, SinkError, f" before the end of {len(body)} bytes")
            return answer
        error = refusal(answer, SinkError, f" to {len(body)} bytes")
        if answer.status == 429 or answer.status >= 500:
            raise TryAgain(error, after_seconds=retry_after_seconds(answer))
        raise error

    def _so_far(self) -> str:
        if self._accepted == 0:
            return "nothing was accepted before"
        if self._accepted == 1:
            return "the request before was accepted, and stays"
        return f"the {format_count(self._accepted)} requests before were accepted, and stay"
