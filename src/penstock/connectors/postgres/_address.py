"""From an address of PostgreSQL to what libpq connects with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from penstock._extras import need
from penstock.connectors.postgres._tls import verified_elsewhere
from penstock.errors import ConfigurationError

__all__ = ["Address", "parsed_address"]

_CONNECT_SECONDS = 10.0
_ESCAPING = "write characters like @ : / # % in a password as %40 %3A %2F %23 %25"


@dataclass(frozen=True)
class Address:
    """Where to connect to.

    Attributes:
        conninfo: libpq's connection string; holds the password.
        connect_seconds: how long to try.
    """

    conninfo: str = field(repr=False)
    connect_seconds: float


def parsed_address(uri: str, shown: str) -> Address:
    """Return what libpq understands ``uri`` as; a server elsewhere is verified unless somebody says otherwise.

    Connects to nothing.

    Args:
        uri: ``postgresql://...``.
        shown: the same without secrets, for messages.

    Raises:
        ConfigurationError: libpq does not understand the address.
    """
    psycopg = need("psycopg", extra="postgres", why="talk to PostgreSQL")
    need("psycopg.conninfo", extra="postgres", why="talk to PostgreSQL")
    _scheme, _, rest = uri.partition("://")
    try:
        parameters: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(f"postgresql://{rest}")
    except psycopg.Error:
        # Not chained: libpq's message repeats what may be the password.
        raise ConfigurationError(f"{shown}: not a well-formed PostgreSQL address; {_ESCAPING}") from None
    ports = str(parameters.get("port", "")).replace(",", "")  # one for each host, or none
    if ports and not ports.isdecimal():
        raise ConfigurationError(f"{shown}: the port is not a number; {_ESCAPING}")  # what is there may be a password
    if "PGAPPNAME" in os.environ:
        parameters.setdefault("application_name", os.environ["PGAPPNAME"])
    given = {
        "application_name": "penstock",
        **parameters,
        **verified_elsewhere(parameters),
        "client_encoding": "UTF8",
    }
    return Address(psycopg.conninfo.make_conninfo(**given), _connect_seconds(parameters, shown))


def _connect_seconds(parameters: dict[str, Any], shown: str) -> float:
    given = parameters.get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT") or _CONNECT_SECONDS
    try:
        seconds = float(given)
    except ValueError:
        raise ConfigurationError(f"{shown}: connect_timeout is not a number of seconds") from None
    return seconds if seconds > 0 else _CONNECT_SECONDS  # libpq: zero, negative: wait for ever. Nothing here does.
