"""Parse addresses, and show them without their secrets. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from penstock.errors import ConfigurationError

__all__ = ["local_path", "query_parameters", "redact", "scheme_of"]

_HIDDEN = "***"
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9.-]*)(?:\+[\w.-]+)?://")
_AUTHORITY = re.compile(r"(://)([^/?#]*)")
_NO_PORT = re.compile(r"(?<=[^:\[]):(?!\d*(?:,|$))[^:,\[\]]+(?=,|$)")  # what is in place of a port may be a password
_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|signature|credential|api[_-]?key|access[_-]?key|auth|^key$|^sig$", re.IGNORECASE
)
_PARAMETER = re.compile(r"([?&;])([^=&;#]+)=([^&;#]*)")


def scheme_of(uri: str) -> str:
    """Return the scheme in lower case: ``"postgresql"`` of ``postgresql+psycopg://...``; ``"-"``; ``""`` of a path."""
    if uri == "-":
        return "-"
    match = _SCHEME.match(uri)
    return match[1].lower() if match else ""


def redact(uri: str) -> str:
    """Return ``uri`` for messages: without a password, or a query parameter that looks like a secret.

    User names stay, except over HTTP, where a user name alone is often a token. If the address is not well-formed, with
    an unescaped ``/`` in the password, say, too much is hidden rather than too little.
    """
    if not _SCHEME.match(uri):
        return uri
    hidden = _hide_user_information(uri)
    return _PARAMETER.sub(lambda found: _hide_parameter(*found.groups()), hidden)


def _hide_user_information(uri: str) -> str:
    match = _AUTHORITY.search(uri)
    if match is None:
        return uri
    start, end = match.span(2)
    if ":" in match[2] and "@" not in match[2]:
        end = len(uri)  # "bob:1/2@db" is either host and port and a path, or a password with a slash in it
    user_information, at, rest = uri[start:end].rpartition("@")
    if not at:
        return f"{uri[: match.start(2)]}{_NO_PORT.sub(f':{_HIDDEN}', match[2])}{uri[match.end(2) :]}"
    user, colon, _password = user_information.partition(":")
    if scheme_of(uri) in {"http", "https"}:
        user, colon = _HIDDEN, ""
    shown = f"{user}:{_HIDDEN}" if colon else user
    return f"{uri[:start]}{shown}@{rest}{uri[end:]}"


def _hide_parameter(separator: str, name: str, value: str) -> str:
    return f"{separator}{name}={_HIDDEN if _SECRET_NAME.search(name) else value}"


def query_parameters(query: str, *, known: frozenset[str], where: str) -> dict[str, str]:
    """Return the parameters after the ``?`` of an address.

    Raises:
        ConfigurationError: one of them is not in ``known``.
    """
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(parameters.keys() - known)
    if unknown:
        allowed = f"known are {', '.join(sorted(known))}" if known else "there are none"
        raise ConfigurationError(f"{where}: unknown parameter {unknown[0]!r} in the address; {allowed}")
    return parameters


def local_path(uri: str, scheme: str) -> str:
    """Return the path in ``scheme:///relative`` or ``scheme:////absolute``, as SQLAlchemy reads it.

    Raises:
        ConfigurationError: there is a host where the path should be, or no path.
    """
    rest = uri.partition("://")[2]
    host, slash, path = rest.partition("/")
    if host or not slash or not path:
        example = f"{scheme}:///relative/path or {scheme}:////absolute/path"
        raise ConfigurationError(f"{uri!r} has no path: write {example}")
    return path
