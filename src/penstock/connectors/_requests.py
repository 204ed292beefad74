"""``SourceRequest`` and ``SinkRequest``: everything a connector is asked for, as one value instead of ten arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from penstock.connectors._uri import redact, scheme_of
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Formats, Sink, Source, TableSink
from penstock.flow.losses import ON_TYPE_LOSS, Losses, OnTypeLoss
from penstock.flow.suggest import did_you_mean

__all__ = ["DEFAULT_BATCH_BYTES", "IF_EXISTS", "Connector", "IfExists", "SinkRequest", "SourceRequest"]

DEFAULT_BATCH_BYTES = 2 << 20

IfExists = Literal["fail", "overwrite", "skip", "append"]
IF_EXISTS: tuple[IfExists, ...] = ("fail", "overwrite", "skip", "append")


@dataclass(frozen=True, kw_only=True)
class _Request:
    uri: str = field(repr=False)  # it may hold a password; ``shown`` is for messages
    formats: Formats = field(repr=False)
    options: Mapping[str, object] = field(default_factory=dict, repr=False)  # a header may hold a token

    def __post_init__(self) -> None:
        if "\0" in self.uri:  # the operating system, and every library written in C, takes it for the end
            raise ConfigurationError(
                f"{self.shown!r}: there is a NUL character in it, which no path or address can have"
            )

    @property
    def shown(self) -> str:
        """The address without secrets."""
        return redact(self.uri)

    def check_options(self, known: Collection[str] = ()) -> None:
        """Refuse options that this connector does not have.

        Args:
            known: the names of the options it has.

        Raises:
            ConfigurationError: another option was given.
        """
        for name in self.options:
            if name not in known:
                there_are = (
                    f"it has {', '.join(sorted(known))}" if known else f"{scheme_of(self.uri) or 'a path'} has none"
                )
                hint = did_you_mean(name, known, otherwise=there_are)
                raise ConfigurationError(f"{self.shown}: unknown option {name!r}: {hint}")


@dataclass(frozen=True, kw_only=True)
class SourceRequest(_Request):
    """A request to read.

    Attributes:
        uri: a path, ``-`` for standard input, or an address with a known scheme.
        formats: the module ``penstock.formats``, for sources of stored bytes.
        options: the options of this kind of source.
        query: the query to run, for databases.
        table: the table to read, instead of a query; may have a schema in front: ``public.events``.
        columns: names of the columns to read, in this order; None for all.
        where: a condition that rows must meet, in SQL (for MongoDB, a filter). It is put into the statement as it is.
        limit: the most rows to read; None for all.
        format: the format of stored bytes; None to take it from the name.
        format_options: the options of that format.
        compression: the compression of stored bytes; ``"none"`` for none, None to take it from the name.
        batch_bytes: the size in bytes that Arrow batches should have, about.
        max_row_bytes: the longest row allowed where a row is held whole; None for any.
        on_type_loss: what to do with values that the type of their column cannot hold.
        losses: counts the values that became NULL.
    """

    query: str | None = None
    table: str | None = None
    columns: Sequence[str] | None = None
    where: str | None = None
    limit: int | None = None
    format: str | None = None
    format_options: Mapping[str, object] = field(default_factory=dict)
    compression: str | None = None
    batch_bytes: int = DEFAULT_BATCH_BYTES
    max_row_bytes: int | None = None
    on_type_loss: OnTypeLoss = "error"
    losses: Losses = field(default_factory=Losses)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.query is not None and self.table is not None:
            raise ConfigurationError("give a query or a table, not both")
        if isinstance(self.columns, str) or (self.columns is not None and not self.columns):
            raise ConfigurationError(
                f"columns is {self.columns!r}; it takes a list of at least one name, or None for all"
            )
        if self.limit is not None and self.limit < 0:
            raise ConfigurationError(f"limit must not be below zero: {self.limit}")
        if self.on_type_loss not in ON_TYPE_LOSS:
            known = ", ".join(map(repr, ON_TYPE_LOSS))
            raise ConfigurationError(f"on_type_loss is {self.on_type_loss!r}; it may be {known}")

    def refuse(self, *names: str, because: str) -> None:
        """Refuse options that mean nothing to this source.

        Raises:
            ConfigurationError: one of ``names`` was given.
        """
        for name in names:
            if getattr(self, name) not in (None, {}):
                raise ConfigurationError(f"{self.shown}: {name} can not be used here: {because}")


@dataclass(frozen=True, kw_only=True)
class SinkRequest(_Request):
    """A request to write.

    Attributes:
        uri: a path, ``-`` for standard output, or an address with a known scheme.
        formats: the module ``penstock.formats``, for databases that are loaded with encoded rows.
        options: the options of this kind of sink.
        format_name: the format of the bytes; ``""`` for a table.
        dialect: the format with the options that shape the bytes, ``"csv(delimiter=';')"``; ``""`` if unknown.
        media_type: the content type of that format, for sinks that store one.
        compression: how the bytes are compressed already; None for not at all.
        table: the table to load; may have a schema in front. Only for databases.
        if_exists: what to do if the destination exists: ``"fail"``, ``"overwrite"``, ``"skip"`` the copy, or
            ``"append"`` to a table.
        part_room: bytes of memory for each part of a multipart upload; None for ``part_size``, or the sink's default.
        part_size: bytes in each part, at most ``part_room``; None for the sink's default.
        concurrency: how many parts are sent at once; None for the sink's default.
        method: over HTTP, ``"POST"`` (the default) or ``"PUT"``.
        source: the source a table will be loaded from, before any steps, as both may be in one file; None if unknown.
    """

    format_name: str = ""
    dialect: str = ""
    media_type: str = ""
    compression: str | None = None
    table: str | None = None
    if_exists: IfExists = "fail"
    part_room: int | None = None
    part_size: int | None = None
    concurrency: int | None = None
    method: str | None = None
    source: Source | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if "\0" in (self.table or ""):
            raise ConfigurationError(f"{self.shown}: there is a NUL character in the name of the table, {self.table!r}")
        if self.if_exists not in IF_EXISTS:
            raise ConfigurationError(f"if_exists is {self.if_exists!r}; it may be {', '.join(map(repr, IF_EXISTS))}")

    def refuse_method(self) -> None:
        """Refuse ``method`` at a sink that is not HTTP.

        Raises:
            ConfigurationError: it was given.
        """
        if self.method is not None:
            raise ConfigurationError(f"{self.shown}: method is for http(s) destinations, not {scheme_of(self.uri)!r}")


class Connector(Protocol):
    """The functions of a connector module, which has one of them or both. Neither connects to anything.

    A module whose ``sink`` makes a :class:`~penstock.flow.contracts.TableSink` sets ``TAKES_TABLES = True``.
    """

    def source(self, request: SourceRequest) -> Source:
        """Make the source that ``request`` asks for.

        Raises:
            ConfigurationError: it makes no sense for this system.
        """
        ...

    def sink(self, request: SinkRequest) -> Sink | TableSink:
        """Make the sink that ``request`` asks for.

        Raises:
            ConfigurationError: it makes no sense for this system.
        """
        ...
