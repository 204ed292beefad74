"""What a connector is asked for: one object for reading, one for writing, instead of ten arguments each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from penstock.connectors._uri import redact, scheme_of
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Formats, Sink, Source

__all__ = ["DEFAULT_BATCH_BYTES", "IF_EXISTS", "Connector", "IfExists", "SinkRequest", "SourceRequest"]

DEFAULT_BATCH_BYTES = 2 << 20

IfExists = Literal["fail", "overwrite", "skip"]
IF_EXISTS: tuple[IfExists, ...] = ("fail", "overwrite", "skip")


@dataclass(frozen=True)
class SourceRequest:
    """A wish to read. The fields are the arguments of :func:`penstock.connectors.open_source`."""

    uri: str
    formats: Formats
    query: str | None = None
    table: str | None = None
    columns: Sequence[str] | None = None
    where: str | None = None
    limit: int | None = None
    format: str | None = None
    compression: str | None = None
    batch_bytes: int = DEFAULT_BATCH_BYTES

    @property
    def shown(self) -> str:
        """The address without secrets."""
        return redact(self.uri)

    def refuse(self, *names: str, because: str) -> None:
        """Refuse options that mean nothing to this source.

        Raises:
            ConfigurationError: one of ``names`` was given.
        """
        for name in names:
            if getattr(self, name) is not None:
                raise ConfigurationError(f"{self.shown}: {name} can not be used here: {because}")


@dataclass(frozen=True)
class SinkRequest:
    """A wish to write. The fields are the arguments of :func:`penstock.connectors.open_sink`."""

    uri: str
    format_name: str
    media_type: str
    compression: str | None = None
    if_exists: IfExists = "fail"
    part_size: int | None = None
    concurrency: int | None = None
    method: str | None = None

    @property
    def shown(self) -> str:
        """The address without secrets."""
        return redact(self.uri)

    def refuse_method(self) -> None:
        """Refuse ``method`` at a sink that is not HTTP.

        Raises:
            ConfigurationError: it was given.
        """
        if self.method is not None:
            raise ConfigurationError(f"{self.shown}: method is for http(s) destinations, not {scheme_of(self.uri)!r}")


class Connector(Protocol):
    """What a connector module looks like: one of these functions, or both. Neither touches what it connects to."""

    def source(self, request: SourceRequest) -> Source:
        """Make the source that ``request`` asks for.

        Raises:
            ConfigurationError: it makes no sense for this system.
        """
        ...

    def sink(self, request: SinkRequest) -> Sink:
        """Make the sink that ``request`` asks for.

        Raises:
            ConfigurationError: it makes no sense for this system.
        """
        ...
