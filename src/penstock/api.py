"""The front door's moving of data: introduces connectors, formats and an engine to each other, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import PurePath

from penstock import connectors, formats
from penstock.connectors import IfExists, SinkRequest, SourceRequest
from penstock.engines import local
from penstock.engines.outcome import Observer
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Format, Sink, Source, TableSink
from penstock.flow.losses import Losses, OnTypeLoss
from penstock.flow.memory import MemorySplit, split_memory
from penstock.flow.plan import Plan, make_plan
from penstock.flow.suggest import did_you_mean
from penstock.flow.units import parse_duration, parse_size
from penstock.progress import showing
from penstock.report import Report

__all__ = ["CopyOptions", "copy", "plan", "run"]

Address = str | os.PathLike[str]

_DEFAULT_FORMAT = "csv"


def copy(
    source: Address | Source,
    destination: Address | Sink | TableSink,
    *,
    query: str | None = None,
    table: str | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    limit: int | None = None,
    source_format: str | None = None,
    source_compression: str | None = None,
    source_format_options: Mapping[str, object] | None = None,
    source_options: Mapping[str, object] | None = None,
    on_type_loss: OnTypeLoss = "error",
    format: str | None = None,  # noqa: A002 - the word that people look for
    compression: str | None = None,
    format_options: Mapping[str, object] | None = None,
    to_table: str | None = None,
    if_exists: IfExists = "fail",
    destination_options: Mapping[str, object] | None = None,
    max_memory: int | str = "128MiB",
    part_size: int | str | None = None,
    concurrency: int | None = None,
    method: str | None = None,
    timeout: float | str | None = None,
    stall_timeout: float | str | None = None,
    progress: str | Observer | None = None,
) -> Report:
    """Copy one table, query or file to one destination, which appears complete or not at all.

    Blocks until the destination is published and everything that was started has ended. A cancel of the surrounding
    :class:`~penstock.CancelScope` stops the copy and removes every trace of it.

    Args:
        source: a URI (``postgresql://``, ``sqlite:///file.db``, ``s3://bucket/key.csv.gz``, ``https://...``), a path,
            ``"-"`` for standard input, or an object that is a :class:`penstock.flow.contracts.Source`.
        destination: a URI, a path, ``"-"`` for standard output, or a :class:`penstock.flow.contracts.Sink` (or
            ``TableSink``), which then knows itself where it writes and what it does with what is there.
        query: SQL to run at a database.
        table: table to read, instead of a query.
        columns: columns of ``table``, in this order; None for all.
        where: condition on the rows of ``table``, as SQL.
        limit: at most so many rows.
        source_format: what a file, body or standard input holds, where its name does not tell.
        source_compression: how it is compressed, where its name does not tell.
        source_format_options: what only that format knows: ``{"delimiter": ";"}``.
        source_options: what only this kind of source knows; see docs/connectors.md.
        on_type_loss: what to do about a value that the type of its column cannot hold: ``"error"``; ``"warn"``, and it
            becomes NULL; ``"text"``, and columns that could hold such values are text.
        format: what to write; None: as the destination's name says, else as the source has it, else CSV.
        compression: ``"gzip"``, ``"zstd"``, ``"none"``; None: as the destination's name says.
        format_options: what only that format knows: ``{"delimiter": ";"}``.
        to_table: table to load, where the destination is a database; None: named as ``table``.
        if_exists: ``"fail"``, ``"overwrite"`` or ``"skip"``; to a table also ``"append"``.
        destination_options: what only this kind of destination knows; see docs/connectors.md.
        max_memory: bytes that may be in flight, as a number or ``"128MiB"``; at least 16 MiB. See
            :mod:`penstock.flow.memory` for what they are spent on.
        part_size: bytes of one part of a multipart upload; None: as large as fits into ``max_memory``.
        concurrency: parts sent at once; None: up to 4.
        method: HTTP method to send with; None for POST.
        timeout: seconds for the whole copy (or ``"5m"``); None for no limit.
        stall_timeout: seconds without any byte moving (or ``"30s"``); None waits for ever.
        progress: ``"auto"``, ``"bar"``, ``"log"``, ``"json"``, drawn on standard error; or a function that is given a
            :class:`~penstock.engines.outcome.Snapshot` every 0.2 s; None shows nothing.

    Raises:
        ConfigurationError: the request makes no sense as written.
        SourceError: the source failed. Nothing appears at the destination.
        SinkError: the destination failed; ``AlreadyExists`` if it is there and ``if_exists="fail"``.
        DeadlineExceeded: ``timeout`` ran out; ``StallError`` if ``stall_timeout`` did.
    """
    options = CopyOptions(
        query=query,
        table=table,
        columns=columns,
        where=where,
        limit=limit,
        source_format=source_format,
        source_compression=source_compression,
        source_format_options=source_format_options,
        source_options=source_options,
        on_type_loss=on_type_loss,
        format=format,
        compression=compression,
        format_options=format_options,
        to_table=to_table,
        if_exists=if_exists,
        destination_options=destination_options,
        max_memory=max_memory,
        part_size=part_size,
        concurrency=concurrency,
        method=method,
        timeout=timeout,
        stall_timeout=stall_timeout,
    )
    return run(plan(source, destination, options), progress=progress)


@dataclass(frozen=True, kw_only=True)
class CopyOptions:
    """The keyword arguments of :func:`copy` that say what to do, with the same meanings and defaults."""

    query: str | None = None
    table: str | None = None
    columns: Sequence[str] | None = None
    where: str | None = None
    limit: int | None = None
    source_format: str | None = None
    source_compression: str | None = None
    source_format_options: Mapping[str, object] | None = None
    source_options: Mapping[str, object] | None = None
    on_type_loss: OnTypeLoss = "error"
    format: str | None = None
    compression: str | None = None
    format_options: Mapping[str, object] | None = None
    to_table: str | None = None
    if_exists: IfExists = "fail"
    destination_options: Mapping[str, object] | None = None
    max_memory: int | str = "128MiB"
    part_size: int | str | None = None
    concurrency: int | None = None
    method: str | None = None
    timeout: float | str | None = None
    stall_timeout: float | str | None = None


def plan(source: Address | Source, destination: Address | Sink | TableSink, options: CopyOptions | None = None) -> Plan:
    """Decide what :func:`copy` would do, and touch nothing. ``print(plan(...))`` shows it.

    Raises:
        ConfigurationError: the request makes no sense as written.
    """
    options = options or CopyOptions()
    memory = _split(options)
    losses = Losses()
    opened = source if isinstance(source, Source) else _open_source(os.fspath(source), options, memory, losses)
    if isinstance(destination, Sink):
        target, compression = _choose_target("", opened, options)
        sink: Sink | TableSink = destination
    elif isinstance(destination, TableSink) or connectors.takes_tables(os.fspath(destination)):
        target, compression = None, None
        sink = destination if isinstance(destination, TableSink) else _open_table(os.fspath(destination), options)
    else:
        address = os.fspath(destination)
        target, compression = _choose_target(address, opened, options)
        sink = _open_sink(address, target, compression, options, memory)
    return make_plan(
        opened,
        sink,
        target_format=target,
        compression=compression,
        memory=memory,
        losses=losses,
        timeout=None if options.timeout is None else parse_duration(options.timeout, name="timeout"),
        stall_timeout=None
        if options.stall_timeout is None
        else parse_duration(options.stall_timeout, name="stall_timeout"),
    )


def run(planned: Plan, *, progress: str | Observer | None = None) -> Report:
    """Run what :func:`plan` has decided; blocks and raises as :func:`copy` does. A plan runs once."""
    display = showing(progress or "none") if progress is None or isinstance(progress, str) else nullcontext(progress)
    with display as observe:
        outcome = local.run(planned, compress=formats.compress, observe=observe)
    return Report.of(planned, outcome)


def _split(options: CopyOptions) -> MemorySplit:
    part_size = None if options.part_size is None else parse_size(options.part_size, name="part_size")
    max_memory = parse_size(options.max_memory, name="max_memory")
    return split_memory(max_memory, part_size=part_size, concurrency=options.concurrency)


def _open_source(address: str, options: CopyOptions, memory: MemorySplit, losses: Losses) -> Source:
    request = SourceRequest(
        uri=address,
        formats=formats,
        options=options.source_options or {},
        query=options.query,
        table=options.table,
        columns=options.columns,
        where=options.where,
        limit=options.limit,
        format=options.source_format,
        format_options=options.source_format_options or {},
        compression=options.source_compression,
        batch_bytes=memory.batch_bytes,
        on_type_loss=options.on_type_loss,
        losses=losses,
    )
    return connectors.open_source(request)


def _open_sink(
    address: str, target: Format, compression: str | None, options: CopyOptions, memory: MemorySplit
) -> Sink | TableSink:
    if options.to_table is not None:
        raise ConfigurationError(f"{connectors.redact(address)}: to_table is for databases")
    request = SinkRequest(
        uri=address,
        formats=formats,
        options=options.destination_options or {},
        format_name=target.name,
        media_type=target.media_type,
        compression=compression,
        if_exists=options.if_exists,
        part_size=memory.part_bytes,
        concurrency=memory.concurrency,
        method=options.method,
    )
    return connectors.open_sink(request)


def _open_table(address: str, options: CopyOptions) -> Sink | TableSink:
    shown = connectors.redact(address)
    for name in ("format", "compression", "format_options", "method"):
        if getattr(options, name) not in (None, "none"):
            raise ConfigurationError(f"{shown}: {name} can not be used here: a database takes rows, not bytes")
    table = options.to_table or options.table
    if table is None:
        raise ConfigurationError(f"{shown}: say which table to load (--to-table)")
    request = SinkRequest(
        uri=address,
        formats=formats,
        options=options.destination_options or {},
        table=table,
        if_exists=options.if_exists,
    )
    return connectors.open_sink(request)


def _choose_target(address: str, source: Source, options: CopyOptions) -> tuple[Format, str | None]:
    """Choose format and compression of the destination: as asked for, else as its name says, else as the source."""
    named_format, named_compression = formats.infer(address)
    name = options.format or named_format or _only(source.byte_formats) or _default_for(address)
    compression = options.compression or named_compression
    if compression in (None, "none"):
        return formats.format_by_name(name, options.format_options or {}), None
    known = formats.compression_names()
    if compression not in known:
        hint = did_you_mean(compression, known, otherwise=f"known are {', '.join(known)} and none")
        raise ConfigurationError(f"unknown compression {compression!r}: {hint}")
    return formats.format_by_name(name, options.format_options or {}), compression


def _only(names: frozenset[str]) -> str | None:
    return next(iter(names)) if len(names) == 1 else None


def _default_for(address: str) -> str:
    """Return CSV, unless a file's suffix says that something else was meant: `out.parquet` must not hold CSV."""
    name = address.rpartition("/")[2]
    if formats.infer(address)[1] is not None:
        name = name.rpartition(".")[0]
    if PurePath(name).suffix and not address.startswith(("http://", "https://")):
        known = ", ".join(formats.format_names())
        raise ConfigurationError(f"the name {name!r} does not tell the format; choose one with --format: {known}")
    return _DEFAULT_FORMAT
