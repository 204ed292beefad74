"""Remove secrets from everything that is about to be shown. The last line of defence: messages should hold none anyway."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

__all__ = ["Redactor"]

_MASK = "***"
_SHORTEST = 4  # shorter secrets occur in ordinary words, so they are masked only inside addresses
_ENVIRONMENT = (
    *("PGPASSWORD", "MYSQL_PWD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN"),
    *("AZURE_STORAGE_TOKEN", "AZURE_CLIENT_SECRET", "GOOGLE_SERVICE_ACCOUNT_KEY"),
)
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|signature|sig$|credential|api_?key|access_?key|auth", re.IGNORECASE)
_USERINFO = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/]*@", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?P<before>\b(?:password|passwd|pwd|secret|token)=)[^\s&'\"]+", re.IGNORECASE)


@final
class Redactor:
    """Replaces the secrets of one command by ``***``.

    Args:
        addresses: the command's arguments; in those that are URIs, passwords and tokens are secrets.
        options: the options of sources and destinations; passwords, tokens and headers are secrets, and so is the
            value of the environment variable that ``token_env`` names.
        environment: environment variables, of which such as ``PGPASSWORD`` are secrets; None for this process's own.
    """

    def __init__(
        self,
        addresses: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        options: Iterable[tuple[str, str]] = (),
    ) -> None:
        environment = os.environ if environment is None else environment
        found = {environment.get(name, "") for name in _ENVIRONMENT}
        for address in addresses:
            found.update(_secrets_in(address))
        for name, value in options:
            found.update(_secrets_of_option(name, value, environment))
        written = {form for secret in found for form in (secret, unquote(secret), quote(secret, safe=""))}
        # Longest first: one secret may be the beginning of another.
        self._secrets = sorted((secret for secret in written if len(secret) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return ``text`` without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        text = _USERINFO.sub(rf"\g<before>:{_MASK}@", text)
        return _ASSIGNMENT.sub(rf"\g<before>{_MASK}", text)

    def json(self, value: object, *, indent: int | None = None) -> str:
        """Return ``value`` as JSON without the secrets; values that JSON cannot hold become text.

        The secrets are removed first, because JSON escapes some characters, and a secret with such a character would
        no longer be found.
        """
        return json.dumps(self._cleaned(value), indent=indent)

    def _cleaned(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self(str(key)): self._cleaned(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._cleaned(each) for each in value]
        return self(str(value))


def _secrets_in(address: str) -> Iterator[str]:
    """Yield the parts of an address where passwords stand, even if they are not escaped as they should be."""
    _, separator, rest = address.partition("://")
    if not separator:
        return
    userinfo, at, _ = rest.rpartition("@")
    if at:
        yield userinfo.partition(":")[2]
    try:
        parts = urlsplit(address)
    except ValueError:  # not a URI that anybody can open; what stands before its last @ is masked above
        return
    yield parts.password or ""
    _, colon, port = parts.netloc.rpartition("@")[2].rpartition(":")
    if colon and not port.isdecimal() and "]" not in port:
        yield port
    for name, value in parse_qsl(parts.query):
        if _SECRET_NAME.search(name):
            yield value


def _secrets_of_option(name: str, value: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the secret parts of an option such as ``header=Authorization: Bearer ...`` or ``header.X-Key=...``."""
    if name.endswith("_env"):
        yield environment.get(value, "")
        return
    kind, _, header = name.partition(".")
    if kind == "header":
        if not header:
            header, _, value = value.partition(":")
        if header.strip().lower() not in _HARMLESS_HEADERS:
            yield value.strip()
            yield value.rpartition(" ")[2]  # without "Bearer"
    elif _SECRET_NAME.search(name):
        yield value
