"""Interpret HTTP responses: follow redirects, and turn refusals into understandable errors."""

from __future__ import annotations

from penstock.connectors._uri import redact
from penstock.connectors.http._client import Answer, Client
from penstock.connectors.http._endpoint import Endpoint
from penstock.errors import ConfigurationError, ConnectorError, SourceError

__all__ = ["check_whole", "get", "is_success", "media_type", "refusal"]

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def get(client: Client, endpoint: Endpoint, headers: dict[str, str]) -> Answer:
    """Send a GET to ``endpoint`` and follow redirects. Headers private to a server are sent to no other.

    Raises:
        SourceError: as from :meth:`Client.ask`; or redirects go in a circle, or lead from https to http.
    """
    for _ in range(_MOST_REDIRECTS + 1):
        answer = client.ask(endpoint, "GET", headers)
        elsewhere = _redirected(answer)
        if elsewhere is None:
            return answer
        endpoint = elsewhere
    raise SourceError("redirected too often", where=endpoint.where)


def _redirected(answer: Answer) -> Endpoint | None:
    location = answer.header("Location")
    if answer.status not in _REDIRECTS or location is None:
        return None
    try:
        elsewhere = answer.endpoint.resolved(location)
    except ConfigurationError as exc:
        raise SourceError(f"redirected to what is no HTTP address: {exc}", where=answer.endpoint.where) from None
    if answer.endpoint.scheme == "https" and elsewhere.scheme != "https":
        raise SourceError(f"redirected to {elsewhere.where}, which is not encrypted", where=answer.endpoint.where)
    return elsewhere


def is_success(answer: Answer) -> bool:
    """Whether the status is one of 2xx."""
    return 200 <= answer.status < 300


def check_whole(answer: Answer) -> None:
    """Refuse a response whose body, if cut off, could not be told from a complete one.

    Raises:
        SourceError: it has neither a length nor chunks.
    """
    if not answer.body_has_end:
        raise SourceError(
            "the answer has neither a length nor chunks, so if it were cut off it would look complete",
            where=answer.endpoint.where,
            hint="fetch it to a file first",
        )


def media_type(answer: Answer) -> str:
    """Return the media type of the body in lower case, without parameters; ``""`` when the server does not say."""
    return (answer.header("Content-Type") or "").partition(";")[0].strip().lower()


def refusal(answer: Answer, error: type[ConnectorError], when: str = "") -> ConnectorError:
    """Return the error that says what the server answered, in its own words, and what to do about it.

    Args:
        answer: anything but a success, or one that came too early.
        error: what kind of error it is to be.
        when: said after the status: ``" to all 5 bytes"``.
    """
    status = answer.status
    said = answer.excerpt()
    location = answer.header("Location")
    hint = f"it is now at {redact(location)}" if location and 300 <= status < 400 else _hint(status)
    message = f"the server answered {status} {answer.reason}{when}" + (f": {said}" if said else "")
    return error(message, where=answer.endpoint.where, hint=hint, transient=status in {408, 429} or status >= 500)


def _hint(status: int) -> str:
    if status >= 500:
        return "the server failed; try again later"
    return _HINTS.get(status, "")


_HINTS = {
    400: "it does not take this data; are format and address right?",
    401: "user name and password go into the address: https://user:password@host/; a token: token_env=VARIABLE",
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
