"""Read the HTTP options in ``--source-option`` and ``--destination-option``. Values of headers are never shown."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.errors import ConfigurationError

__all__ = ["check_names", "flag", "private_headers", "text_option", "whole_number"]

Request = SourceRequest | SinkRequest

_HEADER = "header"
_TOKEN_VARIABLE = "token_env"  # noqa: S105 - the name of an option
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset(
    (
        *("accept-encoding", "connection", "content-encoding", "content-length", "expect", "host", "idempotency-key"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)


def check_names(request: Request, known: Collection[str]) -> None:
    """Refuse options that are neither in ``known`` nor about headers.

    Raises:
        ConfigurationError: there is one.
    """
    others = {name: value for name, value in request.options.items() if not name.startswith(f"{_HEADER}.")}
    replace(request, options=others).check_options([*known, _HEADER, _TOKEN_VARIABLE])


def private_headers(request: Request) -> tuple[tuple[str, str], ...]:
    """Return the headers the user wants sent, to the server of the address and to no other.

    ``header.X-Name=value``, or ``header=X-Name: value``; from Python ``header`` may also be a mapping.
    ``token_env=VARIABLE`` is ``Authorization: Bearer`` and what that environment variable holds.

    Raises:
        ConfigurationError: a name or value cannot be sent, or the variable is not set.
    """
    given = [*_headers_of(request, request.options.get(_HEADER))]
    given += [
        (name.partition(".")[2], _text(request, name, value))
        for name, value in request.options.items()
        if name.startswith(f"{_HEADER}.")
    ]
    variable = request.options.get(_TOKEN_VARIABLE)
    if variable is not None:
        given.append(("Authorization", f"Bearer {_token(request, str(variable))}"))
    for name, value in given:
        _check_header(request, name, value)
    return tuple((name, value.strip()) for name, value in given)


def _headers_of(request: Request, option: object) -> list[tuple[str, str]]:
    if option is None:
        return []
    if isinstance(option, Mapping):
        return [(str(name), _text(request, f"{_HEADER}.{name}", value)) for name, value in option.items()]
    name, colon, value = str(option).partition(":")
    if not colon:
        raise ConfigurationError(f"{request.shown}: the option 'header' is 'Name: value', or header.Name=value")
    return [(name.strip(), value)]


def _text(request: Request, name: str, value: object) -> str:
    if value is None:  # of a variable that is not set, as often as not: "None" would be sent as the token
        raise ConfigurationError(f"{request.shown}: the option {name!r} has no value")
    return str(value)


def _token(request: Request, variable: str) -> str:
    token = os.environ.get(variable, "")
    if not token:
        raise ConfigurationError(f"{request.shown}: the environment variable {variable!r} of token_env is not set")
    return token


def _check_header(request: Request, name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{request.shown}: {name!r} can not be the name of a header")
    if name.lower() in _OURS:
        raise ConfigurationError(f"{request.shown}: the header {name!r} is for penstock to set")
    if not _VALUE.fullmatch(value):
        raise ConfigurationError(f"{request.shown}: the value of the header {name!r} holds characters HTTP forbids")


def whole_number(request: Request, name: str, default: int) -> int:
    """Return the option ``name`` as a number of zero or more.

    Raises:
        ConfigurationError: it is none.
    """
    given = request.options.get(name, default)
    if not re.fullmatch(r"\d{1,6}", str(given)):
        raise ConfigurationError(f"{request.shown}: the option {name!r} is {given!r}; it must be a whole number")
    return int(str(given))


def text_option(request: Request, name: str, allowed: Collection[str] = ()) -> str | None:
    """Return the option ``name``; None where it was not given.

    Raises:
        ConfigurationError: it is empty, or not in ``allowed``.
    """
    given = request.options.get(name)
    if given is None:
        return None
    if not str(given) or (allowed and given not in allowed):
        may_be = f"it may be {', '.join(allowed)}" if allowed else "it may not be empty"
        raise ConfigurationError(f"{request.shown}: the option {name!r} is {given!r}; {may_be}")
    return str(given)


def flag(request: Request, name: str) -> bool:
    """Return the option ``name``, ``true`` or ``false``; False where it was not given.

    Raises:
        ConfigurationError: it is neither.
    """
    given = str(request.options.get(name, "false")).lower()
    if given not in {"true", "false"}:
        raise ConfigurationError(f"{request.shown}: the option {name!r} is {given!r}; it may be true or false")
    return given == "true"
