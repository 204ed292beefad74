"""A parsed HTTP address, with the headers (such as credentials) that only its own server may receive. Pure."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from penstock.connectors._uri import redact
from penstock.errors import ConfigurationError

__all__ = ["Endpoint", "basic_authorization"]

_USUAL_PORTS = {"http": 80, "https": 443}
_NOT_PRINTABLE = re.compile(r"[\s\x00-\x1f\x7f]+")
_LEFT_AS_IT_IS = "%/:=&?~#+!$,;'@()*[]"  # as browsers do: a server may name an address with spaces or letters like é

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Endpoint:
    """An HTTP address taken apart. ``where`` is how messages show it.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        host: name or number, without brackets.
        port: also where it is the usual one.
        where: the address as messages show it, without secrets.
        target: path and query, as the request line has them.
        private_headers: for this server and no other: credentials, and whatever else the user gave.
    """

    scheme: str
    host: str
    port: int
    where: str
    target: str = field(repr=False)  # its query may hold a token
    private_headers: Headers = field(default=(), repr=False)

    @classmethod
    def of(cls, uri: str) -> Endpoint:
        """Take ``uri`` apart; a user name and password in it become basic authorization.

        Raises:
            ConfigurationError: it is not well-formed.
        """
        where = redact(uri)
        problem = "not a well-formed address; write characters like @ : / # in a password as %40 %3A %2F %23"
        try:
            parts = urlsplit(uri)
            scheme, host = parts.scheme.lower(), parts.hostname or ""
            private = _private_headers(parts)
            port = _USUAL_PORTS[scheme] if parts.port is None else parts.port
            endpoint = cls(scheme, host, port, where, _target(parts), private)
            endpoint.host_header.encode("ascii")
        except (ValueError, KeyError):  # also what idna refuses; not chained, as it may repeat the password
            raise ConfigurationError(f"{where}: {problem}") from None
        if not host or scheme not in _USUAL_PORTS:
            raise ConfigurationError(f"{where}: {problem}")
        if not endpoint.target.isascii() or _NOT_PRINTABLE.search(endpoint.target):
            raise ConfigurationError(f"{where}: spaces and letters beyond ASCII must be percent-encoded")
        return endpoint

    def with_headers(self, headers: Headers) -> Endpoint:
        """Return it with more headers of its own."""
        return replace(self, private_headers=(*self.private_headers, *headers))

    def with_target(self, target: str) -> Endpoint:
        """Return another address of the same server."""
        return replace(self, target=target, where=redact(f"{self._origin}{target}"))

    def resolved(self, reference: str) -> Endpoint:
        """Return the address that ``reference``, which this server gave us, means here.

        What is private to this server stays with it: another scheme, host or port gets no credentials of ours.

        Raises:
            ConfigurationError: that is no HTTP address.
        """
        try:
            there = quote(urljoin(f"{self._origin}{self.target}", reference.strip()), safe=_LEFT_AS_IT_IS)
        except ValueError:  # brackets that are no IPv6 address
            # Neither shown nor chained: there may be a password in it.
            raise ConfigurationError("the address it gives is not well-formed") from None
        elsewhere = Endpoint.of(there)
        return replace(elsewhere, private_headers=self.private_headers) if self.is_same_server(elsewhere) else elsewhere

    def is_same_server(self, other: Endpoint) -> bool:
        """Whether scheme, host and port are the same."""
        return (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)

    @property
    def url(self) -> str:
        """The address without credentials, but with all of its query: never to be shown."""
        return f"{self._origin}{self.target}"

    @property
    def _origin(self) -> str:
        return f"{self.scheme}://{self.host_header}"

    @property
    def host_header(self) -> str:
        """Host and, where it is not the usual one, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host.encode("idna").decode("ascii")
        return host if self.port == _USUAL_PORTS.get(self.scheme) else f"{host}:{self.port}"


def basic_authorization(user: str, password: str) -> str:
    """Return the value of an Authorization header for user name and password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _private_headers(parts: SplitResult) -> Headers:
    if parts.username is None:
        return ()
    return (("Authorization", basic_authorization(unquote(parts.username), unquote(parts.password or ""))),)
