"""Take secrets out of whatever is about to be shown. The last line of defence: messages should hold none anyway."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

__all__ = ["Redactor"]

_MASK = "***"
_SHORTEST = 4  # shorter ones occur in ordinary words; they are masked where they stand in an address only
_ENVIRONMENT = ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MYSQL_PWD")
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|signature|sig$|credential|api_?key|access_?key|auth", re.IGNORECASE)
_USERINFO = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/]*@", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?P<before>\b(?:password|passwd|pwd|secret|token)=)[^\s&'\"]+", re.IGNORECASE)


@final
class Redactor:
    """Replaces the secrets of one command by ``***``.

    Args:
        addresses: the command's arguments; passwords and tokens in those that are URIs are secrets.
        environment: variables such as ``PGPASSWORD`` are secrets; None for this process's own.
    """

    def __init__(self, addresses: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        found = {environment.get(name, "") for name in _ENVIRONMENT}
        for address in addresses:
            found.update(_secrets_in(address))
        written = {form for secret in found for form in (secret, unquote(secret), quote(secret, safe=""))}
        # Longest first: one secret may be the beginning of another.
        self._secrets = sorted((secret for secret in written if len(secret) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return ``text`` without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        text = _USERINFO.sub(rf"\g<before>:{_MASK}@", text)
        return _ASSIGNMENT.sub(rf"\g<before>{_MASK}", text)


def _secrets_in(address: str) -> Iterator[str]:
    """Yield what an address has where passwords stand, also when they were not escaped as they should be."""
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
    for name, value in parse_qsl(parts.query):
        if _SECRET_NAME.search(name):
            yield value
