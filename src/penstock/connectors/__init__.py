"""Connectors: where data comes from and goes to. One package or module per system, with both directions in it.

The scheme of an address chooses the module, which is imported only then. To add a source, start from
:mod:`penstock.connectors.sqlite`; to add a sink, from :mod:`penstock.connectors.files`. A connector knows no format and
no engine: it implements :mod:`penstock.flow.contracts`, and the caller passes it the formats.

Rules for connectors:

- Making a source or a sink connects to nothing. ``check``, ``open_*``, ``store`` and ``load`` do.
- Errors of other libraries become ``SourceError`` or ``SinkError`` in one place, with ``__cause__``, an address and a
  hint. That place never spans a ``yield``, nor the reading of the stream, as errors raised there belong to others.
- A call of another library that may block is under ``on_cancel``, or has a time limit.
- No message contains a secret: addresses are shown through :func:`redact`.
"""

from __future__ import annotations

import importlib
from typing import cast

from penstock.connectors._requests import Connector, IfExists, SinkRequest, SourceRequest
from penstock.connectors._uri import redact, scheme_of
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Sink, Source, TableSink
from penstock.flow.suggest import did_you_mean

__all__ = [
    "Connector",
    "IfExists",
    "SinkRequest",
    "SourceRequest",
    "known_schemes",
    "open_sink",
    "open_source",
    "redact",
    "register_connector",
    "scheme_of",
    "takes_tables",
]

_MODULES: dict[str, str] = {
    "": "penstock.connectors.files",
    "file": "penstock.connectors.files",
    "-": "penstock.connectors.stdio",
    "sqlite": "penstock.connectors.sqlite",
    "postgresql": "penstock.connectors.postgres",
    "postgres": "penstock.connectors.postgres",
    "http": "penstock.connectors.http",
    "https": "penstock.connectors.http",
    "mysql": "penstock.connectors.mysql",
    "mariadb": "penstock.connectors.mysql",
    "mongodb": "penstock.connectors.mongodb",
    "mongodb+srv": "penstock.connectors.mongodb",
    "duckdb": "penstock.connectors.duckdb",
    "s3": "penstock.connectors.objects",
    "gs": "penstock.connectors.objects",
    "az": "penstock.connectors.objects",
}


def register_connector(scheme: str, module: str) -> None:
    """Register a connector for addresses of ``scheme``.

    Args:
        scheme: the scheme in lower case, without ``://``. An earlier connector for it is replaced.
        module: the name of a module with the functions of :class:`Connector`, which is imported on first use.
    """
    _MODULES[scheme] = module


def known_schemes() -> tuple[str, ...]:
    """Return the schemes that have a connector, as people write them."""
    return tuple(scheme for scheme in _MODULES if scheme not in {"", "-"})


def takes_tables(uri: str) -> bool:
    """Whether the destination at ``uri`` is a table of a database, which takes rows instead of bytes.

    Raises:
        ConfigurationError: unknown scheme.
    """
    return getattr(importlib.import_module(_module_name(uri)), "TAKES_TABLES", False)


def open_source(request: SourceRequest) -> Source:
    """Make the source for ``request.uri``. Connects to nothing yet.

    Raises:
        ConfigurationError: unknown scheme, or options that make no sense for it.
    """
    return _connector(request.uri, "source").source(request)


def open_sink(request: SinkRequest) -> Sink | TableSink:
    """Make the sink for ``request.uri``. Connects to nothing yet.

    Raises:
        ConfigurationError: unknown scheme, or options that make no sense for it.
    """
    if request.if_exists == "append" and not takes_tables(request.uri):
        raise ConfigurationError(f"{request.shown}: if_exists='append' is for tables of a database")
    return _connector(request.uri, "sink").sink(request)


def _connector(uri: str, direction: str) -> Connector:
    module = importlib.import_module(_module_name(uri))
    if not hasattr(module, direction):
        verb = "read" if direction == "source" else "written to"
        raise ConfigurationError(f"{redact(uri)}: {scheme_of(uri)} can not be {verb}")
    return cast(Connector, module)


def _module_name(uri: str) -> str:
    scheme = scheme_of(uri)
    module = _MODULES.get(scheme)
    if module is None:
        known = known_schemes()
        hint = did_you_mean(scheme, known, otherwise=f"known are {', '.join(known)}, a path, and -")
        raise ConfigurationError(f"unknown scheme {scheme!r} in {redact(uri)}: {hint}")
    before_colon = uri.partition(":")[0].lower()
    if not scheme and before_colon in known_schemes():
        raise ConfigurationError(f"{redact(uri)}: write {before_colon}://...")
    return module
