"""Find the proxy for an address in the environment variables that curl and others use."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

from penstock.connectors._uri import redact
from penstock.connectors.http._endpoint import Endpoint, basic_authorization
from penstock.errors import ConfigurationError

__all__ = ["Proxy", "proxy_for"]

_USUAL_PORT = 80


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy. ``where`` is how messages show it."""

    host: str
    port: int
    where: str
    authorization: str | None = field(default=None, repr=False)

    def stands_before(self, endpoint: Endpoint) -> Endpoint:
        """Return where to connect to reach ``endpoint``."""
        where = f"{endpoint.where} by the proxy {self.where}"
        return replace(endpoint, host=self.host, port=self.port, where=where)

    def tunnel_request(self, endpoint: Endpoint) -> bytes:
        """Return what asks for a connection to the server of ``endpoint``."""
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host.encode("idna").decode("ascii")
        lines = [f"CONNECT {host}:{endpoint.port} HTTP/1.1", f"Host: {host}:{endpoint.port}"]
        if self.authorization is not None:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


def proxy_for(endpoint: Endpoint) -> Proxy | None:
    """Return the proxy of ``HTTP_PROXY``, ``HTTPS_PROXY`` or ``ALL_PROXY``; None where ``NO_PROXY`` says so.

    This machine is always reached directly, as Go has it: a proxy elsewhere would reach its own machine.

    Raises:
        ConfigurationError: the proxy is of a kind that is not supported.
    """
    proxies = getproxies_environment()
    address = proxies.get(endpoint.scheme) or proxies.get("all")
    if not address or _is_this_machine(endpoint.host):
        return None
    if proxy_bypass_environment(f"{endpoint.host}:{endpoint.port}", proxies):
        return None
    return _parsed(address if "://" in address else f"http://{address}", endpoint)


def _parsed(address: str, endpoint: Endpoint) -> Proxy:
    shown = redact(address)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or _USUAL_PORT
    except ValueError:
        host, port = None, 0
        parts = urlsplit("http://")
    if parts.scheme != "http" or not host:
        raise ConfigurationError(
            f"{endpoint.where}: the proxy of the environment is {shown}; only http:// proxies are supported"
        )
    authorization = None
    if parts.username is not None:
        authorization = basic_authorization(unquote(parts.username), unquote(parts.password or ""))
    return Proxy(host, port, shown, authorization)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
