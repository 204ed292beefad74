"""The front door's moving of data: introduces connectors, formats and an engine to each other, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from penstock import connectors, formats
from penstock.engines import local
from penstock.engines.outcome import Observer
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Format, Sink, Source
from penstock.flow.memory import MemorySplit, split_memory
from penstock.flow.plan import Plan, make_plan
from penstock.flow.suggest import did_you_mean
from penstock.flow.units import parse_duration, parse_size
from penstock.progress import showing
from penstock.report import Report

__all__ = ["CopyOptions", "copy", "plan", "run"]

Address = str | os.PathLike[str]
IfExists = Literal["fail", "overwrite", "skip"]

_DEFAULT_FORMAT = "csv"


def copy(
    source: Address | Source,
    destination: Address | Sink,
    *,
    query: str | None = None,
    table: str | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    limit: int | None = None,
    source_format: str | None = None,
    source_compression: str | None = None,
    format: str | None = None,  # noqa: A002 - the word that people look for
    compression: str | None = None,
    if_exists: IfExists = "fail",
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
        destination: a URI, a path, ``"-"`` for standard output, or a :class:`penstock.flow.contracts.Sink`, which
            then knows itself where it writes and what it does with what is there.
        query: SQL to run at a database.
        table: table to read, instead of a query.
        columns: columns of ``table``, in this order; None for all.
        where: condition on the rows of ``table``, as SQL.
        limit: at most so many rows.
        source_format: what a file, body or standard input holds, where its name does not tell.
        source_compression: how it is compressed, where its name does not tell.
        format: what to write; None: as the destination's name says, else as the source has it, else CSV.
        compression: ``"gzip"``, ``"zstd"``, ``"none"``; None: as the destination's name says.
        if_exists: ``"fail"``, ``"overwrite"`` or ``"skip"``.
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
        format=format,
        compression=compression,
        if_exists=if_exists,
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
    format: str | None = None
    compression: str | None = None
    if_exists: IfExists = "fail"
    max_memory: int | str = "128MiB"
    part_size: int | str | None = None
    concurrency: int | None = None
    method: str | None = None
    timeout: float | str | None = None
    stall_timeout: float | str | None = None


def plan(source: Address | Source, destination: Address | Sink, options: CopyOptions | None = None) -> Plan:
    """Decide what :func:`copy` would do, and touch nothing. ``print(plan(...))`` shows it.

    Raises:
        ConfigurationError: the request makes no sense as written.
    """
    options = options or CopyOptions()
    memory = _split(options)
    opened = source if isinstance(source, Source) else _open_source(os.fspath(source), options, memory)
    if isinstance(destination, Sink):
        target, compression = _choose_target("", opened, options)
        sink: Sink = destination
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


def _open_source(address: str, options: CopyOptions, memory: MemorySplit) -> Source:
    return connectors.open_source(
        address,
        formats=formats,
        query=options.query,
        table=options.table,
        columns=options.columns,
        where=options.where,
        limit=options.limit,
        format=options.source_format,
        compression=options.source_compression,
        batch_bytes=memory.batch_bytes,
    )


def _open_sink(
    address: str, target: Format, compression: str | None, options: CopyOptions, memory: MemorySplit
) -> Sink:
    return connectors.open_sink(
        address,
        format_name=target.name,
        media_type=target.media_type,
        compression=compression,
        if_exists=options.if_exists,
        part_size=memory.part_bytes,
        concurrency=memory.concurrency,
        method=options.method,
    )


def _choose_target(address: str, source: Source, options: CopyOptions) -> tuple[Format, str | None]:
    """Choose format and compression of the destination: as asked for, else as its name says, else as the source."""
    named_format, named_compression = formats.infer(address)
    name = options.format or named_format or _only(source.byte_formats) or _default_for(address)
    compression = options.compression or named_compression
    if compression in (None, "none"):
        return formats.format_by_name(name), None
    known = formats.compression_names()
    if compression not in known:
        hint = did_you_mean(compression, known, otherwise=f"known are {', '.join(known)} and none")
        raise ConfigurationError(f"unknown compression {compression!r}: {hint}")
    return formats.format_by_name(name), compression


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
