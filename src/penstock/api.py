"""``penstock.copy`` and ``penstock.plan``: find the source, the sink and the format, and hand them to an engine.

The only layer in which connectors, formats and engines meet. It decides nothing itself: what to read and write is
settled by the connectors and :mod:`penstock.destinations`, how by :mod:`penstock.flow.plan`.
"""

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

    Blocks until the destination is published and every thread the copy started has ended. Cancelling the surrounding
    :class:`~penstock.CancelScope` stops the copy and leaves nothing at the destination, unless it was published
    already. (Bytes sent to standard output cannot be taken back.)

    Args:
        source: a URI (``postgresql://``, ``sqlite:///file.db``, ``s3://bucket/key.csv.gz``, ``https://...``), a path,
            ``"-"`` for standard input, or a :class:`penstock.flow.contracts.Source` of your own. Or data in this
            process: an iterable of dicts, of tuples (with ``columns``) or of bytes (with ``source_format``), an open
            binary file, or Arrow data from any library; see :mod:`penstock.connectors.iterables`.
        destination: a URI, a path, ``"-"`` for standard output, or a :class:`penstock.flow.contracts.Sink` or
            ``TableSink`` of your own. Such an object decides for itself what to do about existing data.
        query: the query to run, where the source is a database: SQL; for MongoDB a filter or pipeline.
        table: the table to read, instead of a query.
        columns: names of the columns to read, in this order; None for all. For tuples, the names of their fields.
        where: an SQL condition that rows of ``table`` must meet. It is put into the statement as it is.
        limit: the most rows to read; 0 copies the columns alone, None all rows.
        source_format: the format of a stored or streamed source, where its name does not tell.
        source_compression: its compression (``"gzip"``, ``"zstd"`` or ``"none"``), where its name does not tell.
        source_format_options: options of that format, such as ``{"delimiter": ";"}``; see docs/formats.md.
        source_options: options of this kind of source; see docs/connectors.md.
        on_type_loss: what to do with a value that the type of its column cannot hold. ``"error"`` fails the copy,
            ``"warn"`` writes NULL and logs a warning, ``"text"`` turns every column that could hold such values into
            text.
        format: the format to write. None chooses by the destination's name, else the source's own format, else CSV.
        compression: ``"gzip"``, ``"zstd"`` (either may have a level: ``"zstd:9"``) or ``"none"``. None chooses by the
            destination's name.
        format_options: options of the format to write, such as ``{"delimiter": ";"}``.
        to_table: the table to load, where the destination is a database. None means the name given as ``table``.
        if_exists: what to do if the destination exists: ``"fail"``, ``"overwrite"`` or ``"skip"``; for a table also
            ``"append"``.
        destination_options: options of this kind of destination; see docs/connectors.md.
        max_memory: bytes that may be in flight (read but not yet stored), as a number or ``"128MiB"``; at least
            16 MiB. :mod:`penstock.flow.memory` explains how they are divided.
        part_size: size in bytes of the first parts of a multipart upload. None means 8 MiB for S3, where later parts
            grow, and as much as fits into ``max_memory`` elsewhere.
        concurrency: how many parts are uploaded at once. None means as many as fit, at most 4.
        max_file_size: split the data into files of about this many bytes, as stored: ``name.00001.csv.gz``,
            ``name.00002.csv.gz``, ... Each is complete in itself; ``name.manifest.json``, written last, lists them.
            None writes one file.
        partitions: read up to this many ranges of a PostgreSQL or MySQL table at once and write each to a file of its
            own, named and listed as with ``max_file_size``. Each range has its own connection, and all see the same
            snapshot. ``max_memory`` covers them all and must allow 16 MiB for each.
        partition_by: the column of integers, dates or timestamps whose values divide the ranges; PostgreSQL can then
            divide views and queries too. None divides by where rows lie on disk (PostgreSQL) or by the first column of
            the primary key (MySQL).
        engine: what runs the copy; only ``"local"``, threads of this process, exists.
        bwlimit: bytes per second that the destination may take, as a number or ``"10MiB/s"``; None for no limit.
        method: the HTTP method of the request, ``"POST"`` or ``"PUT"``; None for POST.
        timeout: seconds for the whole copy, or text such as ``"5m"``; None for no limit.
        stall_timeout: seconds without a byte moving between stages, or text such as ``"30s"``; None waits for ever.
        progress: ``"auto"``, ``"bar"``, ``"log"`` or ``"json"`` to show progress on standard error, or a function
            called with a :class:`~penstock.engines.outcome.Snapshot` every 0.2 s and once at the end, in the calling
            thread. None shows nothing.

    Returns:
        What was copied and how it went. If ``if_exists="skip"`` applied, its ``skipped`` is True.

    Raises:
        ConfigurationError: the request makes no sense as written, or needs a package that is not installed
            (``MissingExtra``).
        SourceError: the source failed.
        SinkError: the destination failed; ``AlreadyExists`` if it exists and ``if_exists="fail"``.
        BudgetExceeded: a single row or value is too large for ``max_memory``.
        DeadlineExceeded: ``timeout`` ran out; ``StallError`` if ``stall_timeout`` did.
        Cancelled: the surrounding scope was cancelled.
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
    """Decide what :func:`copy` would do, without connecting to anything. ``print(plan(...))`` shows the decision.

    :func:`preview` goes further: it asks the source and the destination.

    Args:
        source: as for :func:`copy`.
        destination: as for :func:`copy`.
        options: the options of the copy as one value; None if they are given as keywords instead.
        steps: what happens to the rows on the way; see :mod:`penstock.flows`.
        keywords: the keyword arguments of :func:`copy`, except ``progress``.

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
    """Run a plan made by :func:`plan`; blocks and raises as :func:`copy` does. A plan can be run once."""
    display = showing(progress or "none") if progress is None or isinstance(progress, str) else nullcontext(progress)
    with display as observe:
        outcome = engine_named(planned.engine).run(planned, compress=formats.compress, observe=observe)
    return Report.of(planned, outcome)


def shown(source: Address | Source | Data) -> str:
    """Return the name of a source for messages, without the secrets of an address."""
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
