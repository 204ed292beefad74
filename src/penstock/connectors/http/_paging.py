"""The ways to find the address of the next page. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, final
from urllib.parse import quote, unquote_plus

from penstock.connectors._requests import SourceRequest
from penstock.connectors.http._endpoint import Endpoint
from penstock.connectors.http._json_slices import NotFound, value_at
from penstock.connectors.http._options import text_option
from penstock.errors import ConfigurationError

__all__ = ["PAGING_OPTIONS", "Page", "Paging", "field_path", "paging_of"]

PAGING_OPTIONS = ("next", "cursor", "page", "offset")

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s;,]*))?)*)")
_PARAMETER = re.compile(r";\s*([^\s=;,]+)\s*(?:=\s*(\"(?:[^\"\\]|\\.)*\"|[^\s;,]*))?")
_QUOTES = "\"'"  # one that is not closed, and single ones, are wrong, and meant all the same
_MOST_DIGITS = 18


@dataclass(frozen=True)
class Page:
    """One page as it came.

    Attributes:
        endpoint: where it came from, after redirects.
        text: its body.
        link: its ``Link`` header.
        records: how many there were on it.
        is_lines: whether it is NDJSON: nothing but records.
        repeats: whether it has records, and they are those of the page before, letter by letter.
    """

    endpoint: Endpoint
    text: bytes
    link: str
    records: int
    is_lines: bool = False
    repeats: bool = False


class Paging(Protocol):
    """One way to find the next page."""

    def first(self, endpoint: Endpoint) -> Endpoint:
        """Return the first page of what the user wants to read."""
        ...

    def after(self, asked: Endpoint, page: Page) -> Endpoint | None:
        """Return the page after ``page``, which ``asked`` led to; None when it was the last.

        Raises:
            ConfigurationError: what the server gives as its address is none.
        """
        ...


def paging_of(request: SourceRequest) -> Paging | None:
    """Return how to find the next page according to the options; None if they do not mention pages.

    Raises:
        ConfigurationError: they name two ways, or one that makes no sense.
    """
    given = [name for name in PAGING_OPTIONS if request.options.get(name) is not None]
    if not given:
        return None
    if len(given) > 1:
        raise ConfigurationError(
            f"{request.shown}: give only one of {', '.join(given)}: each is a way to find the next page"
        )
    option = text_option(request, given[0]) or ""
    made = _MAKERS[given[0]](option)
    if made is None:
        raise ConfigurationError(f"{request.shown}: {given[0]}={option!r}: {_FORMS[given[0]]}")
    return made


def field_path(text: str) -> tuple[str, ...]:
    """Return the steps of ``meta.next_url``, from the outside in."""
    return tuple(text.split("."))


@final
class _NextInLink:
    """The ``Link`` header with ``rel="next"`` (RFC 8288)."""

    def first(self, endpoint: Endpoint) -> Endpoint:
        return endpoint

    def after(self, asked: Endpoint, page: Page) -> Endpoint | None:
        for target, parameters in _LINK.findall(page.link):
            if "next" in _relations(parameters):
                return page.endpoint.resolved(target)
        if "next" in _LINK.sub("", page.link).lower():  # not shown: there may be a token in it
            raise ConfigurationError("its Link header can not be understood")
        return None


@final
@dataclass(frozen=True)
class _NextInField:
    """An address in a field of the page, absolute or relative to it."""

    path: tuple[str, ...]

    def first(self, endpoint: Endpoint) -> Endpoint:
        return endpoint

    def after(self, asked: Endpoint, page: Page) -> Endpoint | None:
        value = _value(page, self.path)
        return None if value is None else page.endpoint.resolved(value)


@final
@dataclass(frozen=True)
class _Cursor:
    """A field of the page that goes into a parameter of the next address."""

    parameter: str
    path: tuple[str, ...]

    def first(self, endpoint: Endpoint) -> Endpoint:
        return endpoint

    def after(self, asked: Endpoint, page: Page) -> Endpoint | None:
        value = _value(page, self.path)
        return None if value is None else _with_parameter(asked, self.parameter, value)


@final
@dataclass(frozen=True)
class _Counted:
    """A parameter that counts pages from 1, or records from 0, until a page has no records."""

    parameter: str
    counts_records: bool

    def first(self, endpoint: Endpoint) -> Endpoint:
        return _with_parameter(endpoint, self.parameter, str(self._number(endpoint)))

    def after(self, asked: Endpoint, page: Page) -> Endpoint | None:
        if not page.records:
            return None
        if page.repeats:  # nothing that the server says would ever end this
            raise ConfigurationError(
                f"it has the same records as the page before; does the server know the parameter {self.parameter!r}?"
            )
        step = page.records if self.counts_records else 1
        return _with_parameter(asked, self.parameter, str(self._number(asked) + step))

    def _number(self, endpoint: Endpoint) -> int:
        value = _parameter(endpoint, self.parameter)
        if value is None:
            return 0 if self.counts_records else 1
        if not value.isdecimal() or len(value) > _MOST_DIGITS:
            raise ConfigurationError(f"{endpoint.where}: the parameter {self.parameter!r} must be a number to begin at")
        return int(value)


def _value(page: Page, path: tuple[str, ...]) -> str | None:
    """Return the text or number at ``path``; None where there is nothing, or nothing in it."""
    if page.is_lines:
        raise ConfigurationError(f"it is NDJSON, with records and no field {'.'.join(path)!r} around them")
    try:
        start, end = value_at(page.text, path)
    except NotFound:
        return None
    try:
        value = json.loads(page.text[start:end], parse_float=str, parse_int=str)
        str(value).encode()
    except ValueError as exc:  # half of a character is also one
        raise ConfigurationError(f"the field {'.'.join(path)!r} can not be read: {exc}") from exc
    if isinstance(value, (dict, list)):
        raise ConfigurationError(f"the field {'.'.join(path)!r} holds neither text nor a number")
    if value is True:
        return "true"
    return str(value) if value not in (None, "", False) else None


def _relations(parameters: str) -> list[str]:
    """Return what a link says it is; of several such parameters the first counts."""
    values = (value for name, value in _PARAMETER.findall(parameters) if name.lower() == "rel")
    return next(values, "").strip(_QUOTES).lower().split()


def _parameter(endpoint: Endpoint, name: str) -> str | None:
    pairs = (pair.partition("=") for pair in endpoint.target.partition("?")[2].split("&"))
    return next((unquote_plus(value) for key, _, value in pairs if unquote_plus(key) == name), None)


def _with_parameter(endpoint: Endpoint, name: str, value: str) -> Endpoint:
    """Return ``endpoint`` with this parameter in its query; the others stay letter by letter."""
    path, _, query = endpoint.target.partition("?")
    others = [pair for pair in query.split("&") if pair and unquote_plus(pair.partition("=")[0]) != name]
    pairs = "&".join([*others, f"{quote(name, safe='')}={quote(value, safe='')}"])
    return endpoint.with_target(f"{path}?{pairs}")


def _next_of(option: str) -> Paging | None:
    if option == "link":
        return _NextInLink()
    kind, _, path = option.partition(":")
    return _NextInField(field_path(path)) if kind == "field" and path else None


def _cursor_of(option: str) -> Paging | None:
    parameter, _, path = option.partition(":")
    return _Cursor(parameter, field_path(path)) if parameter and path else None


_MAKERS: dict[str, Callable[[str], Paging | None]] = {
    "next": _next_of,
    "cursor": _cursor_of,
    "page": lambda option: _Counted(option, counts_records=False),
    "offset": lambda option: _Counted(option, counts_records=True),
}

_FORMS = {
    "next": "write next=link for the Link header, or next=field:meta.next_url for a field of the page",
    "cursor": "write cursor=PARAMETER:field.path: which field of a page goes into which parameter of the next",
    "page": "write page=PARAMETER",
    "offset": "write offset=PARAMETER",
}
