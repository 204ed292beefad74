"""Decide what a copy writes at its destination: bytes or rows, one file or several, in which format.

Called by :mod:`penstock.api`, which knows the source; opens nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import cast

from penstock import connectors, formats
from penstock.connectors import IfExists, SinkRequest, SourceRequest
from penstock.copy_options import CopyOptions
from penstock.engines.parts.files import PartFiles
from penstock.engines.parts.sink import SplitSink
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Format, Removable, RemovableSink, Sink, Source, TableSink
from penstock.flow.memory import MemorySplit
from penstock.flow.part_names import PartNames
from penstock.flow.plan import AnySink
from penstock.flow.units import format_bytes, parse_size

__all__ = ["Address", "Target", "target_of"]

Address = str | os.PathLike[str]

_DEFAULT_FORMAT = "csv"
_SMALLEST_FILE_BYTES = 64 << 10  # in smaller files, headers and footers would be most of the content
_SEVERAL_FILES = ("max_file_size", "partitions")
_NOTHING_ASKED = CopyOptions()


@dataclass(frozen=True)
class Target:
    """A destination, and what is written there.

    Attributes:
        sink: the object that will write; has opened nothing yet.
        format: the format of the bytes; None where the sink takes rows.
        compression: the compression of the bytes; None for none.
    """

    sink: AnySink
    format: Format | None = None
    compression: str | None = None


def target_of(
    destination: Address | Sink | TableSink,
    source: Source,
    options: CopyOptions,
    memory: MemorySplit,
    *,
    origin: Source | None = None,
) -> Target:
    """Make the sink for ``destination`` and choose what is written there. Opens nothing.

    Args:
        destination: as for :func:`penstock.copy`.
        source: the source of the copy, with its steps if there are any.
        options: the options of the copy.
        memory: how the memory of the copy is divided.
        origin: the source before any steps.

    Raises:
        ConfigurationError: the options make no sense for this destination.
    """
    if isinstance(destination, Sink | TableSink):
        _refuse(options, destination.display_name, "the destination is an object, not files", *_SEVERAL_FILES)
        if isinstance(destination, TableSink):
            return Target(destination)
        return Target(destination, *_choose_target("", source, options))
    if not isinstance(destination, str | os.PathLike):
        raise ConfigurationError(
            f"nothing can be written to an object of type {type(destination).__name__}: give an address, a path, or a sink"
        )
    address = os.fspath(destination)
    if connectors.takes_tables(address):
        return Target(_open_table(address, options, origin))
    format_, compression = _choose_target(address, source, options)
    open_sink = _open_several if _wants_several_files(options) else _open_sink
    return Target(open_sink(address, format_, compression, options, memory), format_, compression)


def _wants_several_files(options: CopyOptions) -> bool:
    return any(getattr(options, name) != getattr(_NOTHING_ASKED, name) for name in _SEVERAL_FILES)


def _open_sink(
    address: str, target: Format, compression: str | None, options: CopyOptions, memory: MemorySplit
) -> Sink | TableSink:
    request = SinkRequest(
        uri=address,
        formats=formats,
        options=options.destination_options or {},
        format_name=target.name,
        dialect=target.dialect,
        media_type=target.media_type,
        compression=None if compression is None else formats.split_compression(compression)[0],
        if_exists=options.if_exists,
        part_room=memory.part_bytes,
        part_size=memory.part_size,
        concurrency=memory.concurrency,
        method=options.method,
    )
    sink = connectors.open_sink(request)  # first, so that an address nobody can write to is the error reported
    if options.to_table is not None:
        raise ConfigurationError(f"{connectors.redact(address)}: to_table is for databases")
    return sink


def _open_several(
    address: str, target: Format, compression: str | None, options: CopyOptions, memory: MemorySplit
) -> AnySink:
    if options.max_file_size is None:
        return _part_files(address, target, compression, options, memory)
    if options.partitions > 1:
        raise ConfigurationError(
            f"{connectors.redact(address)}: partitions and max_file_size can not be used together: each partition is one "
            "file; for smaller files, ask for more partitions"
        )
    max_part_bytes = parse_size(options.max_file_size, name="max_file_size")
    if max_part_bytes < _SMALLEST_FILE_BYTES:
        raise ConfigurationError(f"max_file_size must be at least {format_bytes(_SMALLEST_FILE_BYTES)}")
    files = _part_files(address, target, compression, options, memory)
    return SplitSink(files, max_part_bytes=max_part_bytes)


def _part_files(
    address: str, target: Format, compression: str | None, options: CopyOptions, memory: MemorySplit
) -> PartFiles:
    make = partial(_open_sink, target=target, compression=compression, memory=memory)
    if not isinstance(make(address, options=options), Removable):
        because = (
            "what is written there can not be taken back, so it can not be several files; write to a file or store"
        )
        _refuse(options, connectors.redact(address), because, *_SEVERAL_FILES)
    names = PartNames.of(address, suffixes=sum(told is not None for told in formats.infer(address)))

    def open_sink(part: str, if_exists: IfExists) -> RemovableSink:
        wanted = replace(options, if_exists=if_exists)
        opened = _open_manifest(part, wanted) if part == names.manifest else make(part, options=wanted)
        return cast(RemovableSink, opened)  # the sink of the whole was removable, so is that of each part

    def read(part: str) -> bytes:
        request = SourceRequest(uri=part, formats=formats, format="ndjson", compression="none")
        request = replace(request, options=_options_of_both(request, options.destination_options or {}))
        with connectors.open_source(request).open_bytes("ndjson") as chunks:  # "ndjson" gives the raw bytes, unparsed
            return b"".join(chunks)

    return PartFiles(names, open_sink, read, options.if_exists, target.name, compression)


def _options_of_both(request: SourceRequest, options: Mapping[str, object]) -> dict[str, object]:
    """Return the destination options that its source knows too: those that say where it is, not how it stores."""
    known = {}
    for name, value in options.items():
        with suppress(ConfigurationError):
            connectors.open_source(replace(request, options={name: value}))
            known[name] = value
    return known


def _open_manifest(address: str, options: CopyOptions) -> Sink | TableSink:
    request = SinkRequest(
        uri=address,
        formats=formats,
        options=options.destination_options or {},
        format_name="json",
        media_type="application/json",
        if_exists=options.if_exists,
    )
    return connectors.open_sink(request)


def _open_table(address: str, options: CopyOptions, origin: Source | None) -> Sink | TableSink:
    shown = connectors.redact(address)
    bytes_only = ("format", "compression", "format_options", "method", *_SEVERAL_FILES)
    _refuse(options, shown, "a database takes rows, not bytes", *bytes_only)
    table = options.to_table or options.table
    if table is None:
        raise ConfigurationError(f"{shown}: say which table to load (--to-table)")
    request = SinkRequest(
        uri=address,
        formats=formats,
        options=options.destination_options or {},
        table=table,
        if_exists=options.if_exists,
        source=origin,
    )
    return connectors.open_sink(request)


def _refuse(options: CopyOptions, shown: str, because: str, *names: str) -> None:
    for name in names:
        if getattr(options, name) not in (getattr(_NOTHING_ASKED, name), "none"):
            raise ConfigurationError(f"{shown}: {name} can not be used here: {because}")


def _choose_target(address: str, source: Source, options: CopyOptions) -> tuple[Format, str | None]:
    """Choose format and compression: as asked for, else by the destination's name, else (the format) as the source."""
    named_format, named_compression = formats.infer(address)
    name = options.format or named_format or _only(source.byte_formats) or _default_for(address)
    compression = options.compression or named_compression
    target = formats.format_by_name(name, options.format_options or {})
    if compression is None or compression == "none":
        return target, None
    formats.split_compression(compression)
    if target.compresses_itself:
        raise ConfigurationError(
            f"{target.name} compresses its insides itself: choose how with --format-option codec=..., not {compression}"
        )
    return target, compression


def _only(dialects: frozenset[str]) -> str | None:
    return next(iter(dialects)).partition("(")[0] if len(dialects) == 1 else None


def _default_for(address: str) -> str:
    """Return CSV; refuse a name whose suffix is unknown, as ``out.xlsx`` must not hold CSV."""
    name = address.rpartition("/")[2]
    if formats.infer(address)[1] is not None:
        name = name.rpartition(".")[0]
    if PurePath(name).suffix and not address.startswith(("http://", "https://")):
        known = ", ".join(formats.format_names())
        raise ConfigurationError(f"the name {name!r} does not tell the format; choose one with --format: {known}")
    return _DEFAULT_FORMAT
