"""The front door's moving of data: introduces connectors, formats and an engine to each other, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from penstock import connectors, formats
from penstock.connectors import IfExists, SourceRequest
from penstock.connectors.iterables import Data, name_of, source_from
from penstock.copy_options import CopyOptions
from penstock.destinations import Address, target_of
from penstock.dry_run import preview
from penstock.engines.outcome import Observer
from penstock.engines.registry import check_engine, engine_named
from penstock.flow.contracts import Sink, Source, TableSink
from penstock.flow.losses import Losses, OnTypeLoss
from penstock.flow.memory import MemorySplit
from penstock.flow.plan import Plan, make_plan
from penstock.flow.units import parse_duration, parse_rate
from penstock.partitioning import check_partitioned, split_options
from penstock.progress import showing
from penstock.report import Report
from penstock.steps import Step, SteppedSource

__all__ = ["CopyOptions", "copy", "plan", "preview", "run", "shown"]


def copy(
    source: Address | Source | Data,
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
    max_file_size: int | str | None = None,
    partitions: int = 1,
    partition_by: str | None = None,
    engine: str = "local",
    bwlimit: float | str | None = None,
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
            ``"-"`` for standard input, or an object that is a :class:`penstock.flow.contracts.Source`. Or data of this
            process: an iterable of dicts, of tuples (with ``columns``) or of bytes (with ``source_format``), an open
            binary file, Arrow data of any library; see :mod:`penstock.connectors.iterables`.
        destination: a URI, a path, ``"-"`` for standard output, or a :class:`penstock.flow.contracts.Sink` (or
            ``TableSink``), which then knows itself where it writes and what it does with what is there.
        query: SQL to run at a database.
        table: table to read, instead of a query.
        columns: columns of ``table``, in this order; None for all. Of tuples, their names.
        where: condition on the rows of ``table``, as SQL.
        limit: at most so many rows.
        source_format: what a file, body or standard input holds, where its name does not tell.
        source_compression: how it is compressed, where its name does not tell.
        source_format_options: what only that format knows: ``{"delimiter": ";"}``; see docs/formats.md.
        source_options: what only this kind of source knows; see docs/connectors.md.
        on_type_loss: what to do about a value that the type of its column cannot hold: ``"error"``; ``"warn"``, and it
            becomes NULL; ``"text"``, and columns that could hold such values are text.
        format: what to write; None: as the destination's name says, else as the source has it, else CSV.
        compression: ``"gzip"``, ``"zstd"``, perhaps with a level (``"zstd:9"``), or ``"none"``; None: as the
            destination's name says.
        format_options: what only that format knows: ``{"delimiter": ";"}``.
        to_table: table to load, where the destination is a database; None: named as ``table``.
        if_exists: ``"fail"``, ``"overwrite"`` or ``"skip"``; to a table also ``"append"``.
        destination_options: what only this kind of destination knows; see docs/connectors.md.
        max_memory: bytes that may be in flight, as a number or ``"128MiB"``; at least 16 MiB. See
            :mod:`penstock.flow.memory` for what they are spent on.
        part_size: bytes of the first parts of a multipart upload; None: 8 MiB to S3, where later ones grow, to others as large
            as fits into ``max_memory``.
        concurrency: parts sent at once; None: up to 4.
        max_file_size: bytes of one file, as stored: the data goes into ``name.00001.csv.gz``, ``name.00002.csv.gz``, ...
            each complete in itself, and ``name.manifest.json``, written last, names them. None: one file.
        partitions: read so many ranges of a table of PostgreSQL or MySQL at once, each over a connection of its own, all of one
            snapshot, and write each to a file of its own, named and listed in a manifest as by ``max_file_size``. Fewer
            where there is not as much. ``max_memory`` is for all together, 16 MiB each at least.
        partition_by: column of integers, dates or timestamps whose values the ranges are of, in PostgreSQL also of a view or
            query; None: by the place of the rows on the disk, of MySQL by the first column of the primary key.
        engine: what runs it: ``"local"``, in threads of this process.
        bwlimit: bytes per second that the destination may take, as a number or ``"10MiB/s"``; None for no limit.
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
        max_file_size=max_file_size,
        partitions=partitions,
        partition_by=partition_by,
        engine=engine,
        bwlimit=bwlimit,
        method=method,
        timeout=timeout,
        stall_timeout=stall_timeout,
    )
    return run(plan(source, destination, options), progress=progress)


def plan(
    source: Address | Source | Data,
    destination: Address | Sink | TableSink,
    options: CopyOptions | None = None,
    /,
    *,
    steps: Sequence[Step] = (),
    **keywords: Any,
) -> Plan:
    """Decide what :func:`copy` would do, and touch nothing. ``print(plan(...))`` shows it.

    Args:
        source: as of :func:`copy`.
        destination: as of :func:`copy`.
        options: what else was asked for; None to give it as keywords.
        steps: what is done with the rows in between; see :mod:`penstock.flows`.
        keywords: those of :func:`copy`, but for ``progress``.

    Raises:
        ConfigurationError: the request makes no sense as written.
    """
    options = options or CopyOptions(**keywords)
    check_engine(options.engine)
    memory = split_options(options)
    losses = Losses()
    opened = _opened(source, options, memory, losses)
    origin = opened
    if steps:
        opened = SteppedSource(opened, steps, _source_request(shown(source), options, memory, losses))
    target = target_of(destination, opened, options, memory, origin=origin)
    check_partitioned(opened, options, has_steps=bool(steps))
    return make_plan(
        opened,
        target.sink,
        target_format=target.format,
        compression=target.compression,
        memory=memory,
        losses=losses,
        partitions=options.partitions,
        partition_by=options.partition_by,
        engine=options.engine,
        timeout=None if options.timeout is None else parse_duration(options.timeout, name="timeout"),
        stall_timeout=None
        if options.stall_timeout is None
        else parse_duration(options.stall_timeout, name="stall_timeout"),
        bwlimit=None if options.bwlimit is None else parse_rate(options.bwlimit, name="bwlimit"),
        if_exists=options.if_exists if isinstance(destination, str | os.PathLike) else "",
    )


def run(planned: Plan, *, progress: str | Observer | None = None) -> Report:
    """Run what :func:`plan` has decided; blocks and raises as :func:`copy` does. A plan runs once."""
    display = showing(progress or "none") if progress is None or isinstance(progress, str) else nullcontext(progress)
    with display as observe:
        outcome = engine_named(planned.engine).run(planned, compress=formats.compress, observe=observe)
    return Report.of(planned, outcome)


def shown(source: Address | Source | Data) -> str:
    """Return what messages call a source; of an address, without secrets."""
    if isinstance(source, (str, os.PathLike)):
        return connectors.redact(os.fspath(source))
    return source.display_name if isinstance(source, Source) else name_of(source)


def _opened(source: Address | Source | Data, options: CopyOptions, memory: MemorySplit, losses: Losses) -> Source:
    if isinstance(source, (str, os.PathLike)):
        return connectors.open_source(_source_request(os.fspath(source), options, memory, losses))
    if isinstance(source, Source):
        return source
    return source_from(source, _source_request(name_of(source), options, memory, losses))


def _source_request(shown: str, options: CopyOptions, memory: MemorySplit, losses: Losses) -> SourceRequest:
    return SourceRequest(
        uri=shown,
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
        max_row_bytes=memory.max_memory,
        on_type_loss=options.on_type_loss,
        losses=losses,
    )
