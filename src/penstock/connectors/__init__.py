"""Where data comes from and goes to: one module per system, both directions in it.

The scheme of an address chooses the module, which is imported then and not before. :mod:`penstock.connectors.sqlite`
is the one to copy when adding a source, :mod:`penstock.connectors.files` when adding a sink. A connector knows no
format and no engine: it satisfies :mod:`penstock.flow.contracts`, and the caller lends it the formats.

Rules a connector keeps:

- Making a source or a sink touches nothing. ``check``, ``open_*`` and ``store`` do.
- Foreign errors become ``SourceError`` or ``SinkError`` at one seam, with ``__cause__``, an address and a hint. The
  seam never spans a ``yield``, nor the reading of the stream: what others raise there is theirs.
- A foreign call that may block is under ``on_cancel``, or has a time limit.
- No secret in any message: addresses are shown through :func:`redact`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import cast

from penstock.connectors._requests import (
    DEFAULT_BATCH_BYTES,
    IF_EXISTS,
    Connector,
    IfExists,
    SinkRequest,
    SourceRequest,
)
from penstock.connectors._uri import redact, scheme_of
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Formats, Sink, Source
from penstock.flow.suggest import did_you_mean

__all__ = [
    "Connector",
    "SinkRequest",
    "SourceRequest",
    "known_schemes",
    "open_sink",
    "open_source",
    "redact",
    "register_connector",
    "scheme_of",
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
    "s3": "penstock.connectors.s3",
}


def register_connector(scheme: str, module: str) -> None:
    """Make addresses of ``scheme`` known.

    Args:
        scheme: lower case, without ``://``. An earlier connector of that scheme is replaced.
        module: name of a module with the functions of :class:`Connector`, imported on first use.
    """
    _MODULES[scheme] = module


def known_schemes() -> tuple[str, ...]:
    """Return the schemes there is a connector for, as people write them."""
    return tuple(scheme for scheme in _MODULES if scheme not in {"", "-"})


def open_source(
    uri: str,
    *,
    formats: Formats,
    query: str | None = None,
    table: str | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    limit: int | None = None,
    format: str | None = None,  # noqa: A002 - the name of the option
    compression: str | None = None,
    batch_bytes: int = DEFAULT_BATCH_BYTES,
) -> Source:
    """Make the source at ``uri``. Touches nothing yet.

    Args:
        uri: a path, ``-`` for standard input, or an address with a known scheme.
        formats: the module ``penstock.formats``, for sources of stored bytes.
        query: SQL, for databases.
        table: table to read, instead of a query; may have a schema in front: ``public.events``.
        columns: columns of it, in this order; None for all.
        where: SQL condition on its rows. It is put into the statement as it is.
        limit: at most so many rows.
        format: of stored bytes; None to take it from the name.
        compression: of stored bytes; ``"none"`` for none; None to take it from the name.
        batch_bytes: about how large Arrow batches should be.

    Raises:
        ConfigurationError: unknown scheme, or options that make no sense for it.
    """
    request = SourceRequest(uri, formats, query, table, columns, where, limit, format, compression, batch_bytes)
    if query is not None and table is not None:
        raise ConfigurationError("give a query or a table, not both")
    if limit is not None and limit < 0:
        raise ConfigurationError(f"limit must not be below zero: {limit}")
    return _connector(uri, "source").source(request)


def open_sink(
    uri: str,
    *,
    format_name: str,
    media_type: str,
    compression: str | None = None,
    if_exists: IfExists = "fail",
    part_size: int | None = None,
    concurrency: int | None = None,
    method: str | None = None,
) -> Sink:
    """Make the sink at ``uri``. Touches nothing yet.

    Args:
        uri: a path, ``-`` for standard output, or an address with a known scheme.
        format_name: what the bytes mean.
        media_type: content type of that format, where there is a place for it.
        compression: how the bytes are already compressed; None for not at all.
        if_exists: what to do about a destination that is there: ``"fail"``, ``"overwrite"``, ``"skip"`` the copy.
        part_size: bytes in each part of an upload in parts; None for the sink's default.
        concurrency: parts sent at once; None for the sink's default.
        method: ``"POST"`` (default) or ``"PUT"``, over HTTP.

    Raises:
        ConfigurationError: unknown scheme, or options that make no sense for it.
    """
    if if_exists not in IF_EXISTS:
        raise ConfigurationError(f"if_exists is {if_exists!r}; it may be {', '.join(map(repr, IF_EXISTS))}")
    request = SinkRequest(uri, format_name, media_type, compression, if_exists, part_size, concurrency, method)
    return _connector(uri, "sink").sink(request)


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
