"""Remove secrets from command lines and addresses, because reports end up in logs that other people read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

__all__ = ["masked_address", "masked_command", "masked_line"]

_MASK = "***"
_LONGEST_COMMAND = 120

_PRIVATE = r"pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|auth(?:orization)?|(?:api|access|private)[_-]?key"
_PRIVATE_NAME = re.compile(rf"(?:{_PRIVATE})$", re.IGNORECASE)
_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")
_ASSIGNMENT = re.compile(
    rf"(?P<before>(?:{_PRIVATE})[\"']?\s*[=:]\s*[\"']?)(?:(?:bearer|basic)\s+)?[^\s&;,'\"]+", re.IGNORECASE
)
_USERINFO = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*):\S*@", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"(?P<before>\b(?:bearer|basic)\s+)\S+", re.IGNORECASE)


def masked_command(arguments: Iterable[str]) -> str:
    """Return a command as one would type it, on one line, with ``***`` for what looks like a secret.

    Those are the values of options such as ``--password``, ``--api-key`` and ``-token``, also after ``=``; passwords
    in addresses; ``PASSWORD=...`` and the like in any argument; what follows ``Bearer``.
    """
    text = " ".join(_MASK if each == _MASK else shlex.quote(each) for each in _masked(arguments))
    return _shortened(text)


def masked_line(command: str) -> str:
    """Return a command line for a shell, masked and shortened like the above."""
    return _shortened(" ".join(_masked(command.split())))


def masked_address(address: str) -> str:
    """Return a URL without user, password, query and fragment: scheme, host, port and path."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return _MASK
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else f"{host}{parts.path}"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_COMMAND else f"{text[: _LONGEST_COMMAND - 3]}..."


def _masked(arguments: Iterable[str]) -> Iterator[str]:
    next_is_secret = is_mysql = False
    for number, argument in enumerate(arguments):
        is_mysql = is_mysql or (number == 0 and "mysql" in argument)
        if next_is_secret and not argument.startswith("--"):
            next_is_secret = False
            yield _MASK
            continue
        if is_mysql and argument.startswith("-p"):  # the one well-known option whose value follows without a space
            argument = f"-p{_MASK}"
        next_is_secret = bool(_OPTION.fullmatch(argument) and _PRIVATE_NAME.search(argument))
        masked = _USERINFO.sub(rf"\g<before>:{_MASK}@", argument)
        masked = _ASSIGNMENT.sub(rf"\g<before>{_MASK}", masked)
        yield _AUTHORIZATION.sub(rf"\g<before>{_MASK}", masked)
