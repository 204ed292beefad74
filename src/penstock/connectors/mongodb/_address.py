"""Parse MongoDB addresses: ``mongodb://user:password@host:port,host:port/database?options``. Looks up no names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from penstock._extras import need
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.connectors._requests import SourceRequest

__all__ = ["Address"]

_ESCAPING = "write characters like @ : / ? # % in a user name or password as %40 %3A %2F %3F %23 %25"

# Where the address says nothing. pymongo's own would wait half a minute for a server that is not there.
_DEFAULTS: dict[str, Any] = {
    "appname": "penstock",
    "serverSelectionTimeoutMS": 10_000,
    "connectTimeoutMS": 10_000,
}


@dataclass(frozen=True)
class Address:
    """Where to read.

    Attributes:
        uri: as it was given, with the password.
        database: the one in it.
        defaults: options of the client that it does not give.
    """

    uri: str = field(repr=False)
    database: str
    defaults: dict[str, Any]

    @classmethod
    def of(cls, request: SourceRequest) -> Address:
        """Return the address of a request.

        Raises:
            ConfigurationError: it is not well-formed, has an unknown option, or names no database.
        """
        shown = request.shown
        scheme, _, rest = request.uri.partition("://")
        before, _, query = rest.partition("?")
        database = unquote(before.partition("/")[2])
        given = {name.lower() for name, _value in parse_qsl(query, keep_blank_values=True)}
        _check(request.uri, given, shown)
        if not database or "." in database or "/" in database:
            raise ConfigurationError(
                f"{shown}: name one database after the host: {scheme}://host/DATABASE; the collection is given with -t"
            )
        return cls(
            request.uri, database, {name: value for name, value in _DEFAULTS.items() if name.lower() not in given}
        )


def _check(uri: str, given: set[str], shown: str) -> None:
    """Have pymongo judge the address; with +srv only its options, since the rest is for a name server to say."""
    errors = need("pymongo.errors", extra="mongo", why="read MongoDB")
    parser = need("pymongo.uri_parser", extra="mongo", why="read MongoDB")
    try:
        if uri.startswith("mongodb://"):
            parser.parse_uri(uri, warn=False)
        elif options := uri.partition("?")[2]:
            parser.split_options(options, warn=False)
    except errors.PyMongoError as exc:
        # Not chained: pymongo's message may repeat what is the password. What it says of options holds none.
        said = f"{exc}; " if str(exc).startswith("Unknown option") else ""
        raise ConfigurationError(f"{shown}: not a well-formed MongoDB address: {said}{_ESCAPING}") from None
    except ValueError as exc:
        raise ConfigurationError(
            f"{shown}: {_named_in(str(exc).lower(), given)} of the address can not have this value; {_ESCAPING}"
        ) from None
    except OSError as exc:
        raise ConfigurationError(
            f"{shown}: the file {exc.filename!r} that the address names can not be read: {exc.strerror}"
        ) from exc


def _named_in(said: str, given: set[str]) -> str:
    """Return what pymongo means: it names most options, of some only the value, which is not to be shown."""
    name = next((name for name in given if name in said), None)
    if name is not None:
        return f"the option {name!r}"
    return "the port" if re.search(r"\bport\b", said) else "an option"
