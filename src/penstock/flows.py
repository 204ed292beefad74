"""A flow: where data comes from and what is done with it, put together a step at a time, and run by writing it or by a loop.

    flow = penstock.read("postgresql:///shop", query="select * from orders").filter(is_open).map(with_customer, workers=8)
    flow.write("s3://bucket/orders.parquet")

A flow is a value: each step makes a new one, and nothing is touched before it runs. Without steps, writing it is
:func:`penstock.copy`, fast paths and all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from penstock import api
from penstock.connectors import IfExists
from penstock.connectors.iterables import Data
from penstock.copy_options import CopyOptions
from penstock.core._threads import OwnedThread
from penstock.core.cancel import current_scope, leave, scope_under
from penstock.core.channel import ReceiveChannel, SendChannel, channel
from penstock.destinations import Address
from penstock.engines.outcome import Observer
from penstock.errors import BrokenError, ConfigurationError
from penstock.flow.contracts import BatchStream, Receipt, Sink, Source, TableSink
from penstock.flow.losses import OnTypeLoss
from penstock.flow.plan import Plan
from penstock.report import Report
from penstock.steps import Batched, Filter, Map, MapBatches, Row, Step

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Flow", "read"]

_OF_DESTINATIONS = frozenset(
    {
        "format",
        "compression",
        "format_options",
        "to_table",
        "if_exists",
        "destination_options",
        "part_size",
        "concurrency",
        "max_file_size",
        "partitions",
        "partition_by",
        "engine",
        "bwlimit",
        "method",
    }
)


def read(
    source: Address | Source | Data,
    *,
    query: str | None = None,
    table: str | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    limit: int | None = None,
    format: str | None = None,  # noqa: A002 - the word that people look for
    compression: str | None = None,
    format_options: Mapping[str, object] | None = None,
    options: Mapping[str, object] | None = None,
    on_type_loss: OnTypeLoss = "error",
    max_memory: int | str = "128MiB",
    timeout: float | str | None = None,
    stall_timeout: float | str | None = None,
) -> Flow:
    """Make a flow of one table, query, file or iterable. Touches nothing.

    Args:
        source: as of :func:`penstock.copy`: an address, a path, rows, Arrow data.
        query: the SELECT, pipeline or filter to read, where the source is a database.
        table: or the table.
        columns: read no others.
        where: a condition that rows of ``table`` must meet, checked by the database.
        limit: at most so many rows.
        format: of stored bytes, where their name does not tell.
        compression: of stored bytes, where their name does not tell.
        format_options: what only that format knows.
        options: what only this kind of source knows; see docs/connectors.md.
        on_type_loss: what to do about a value that the type of its column cannot hold; as of :func:`penstock.copy`.
        max_memory: bytes that may be in flight, as a number or ``"128MiB"``. What functions of steps hold is theirs.
        timeout: seconds for the whole run (or ``"5m"``); None for no limit.
        stall_timeout: seconds without any byte moving (or ``"30s"``); None waits for ever.

    .. versionadded:: 0.1
    """
    asked = CopyOptions(
        query=query,
        table=table,
        columns=columns,
        where=where,
        limit=limit,
        source_format=format,
        source_compression=compression,
        source_format_options=format_options,
        source_options=options,
        on_type_loss=on_type_loss,
        max_memory=max_memory,
        timeout=timeout,
        stall_timeout=stall_timeout,
    )
    return Flow(source, asked, ())


@final
@dataclass(frozen=True, repr=False)
class Flow:
    """A source and the steps after it. Made by :func:`penstock.read`.

    Iterating it runs it and yields Arrow record batches; leaving the loop, or closing the iterator, stops it and waits
    until everything has been let go of. It can be run again, unless its source is an iterator that is used up.
    """

    _source: Address | Source | Data
    _options: CopyOptions
    _steps: tuple[Step, ...]

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self._steps)) or "no steps"
        return f"<Flow of {api.shown(self._source)}: {shown}>"

    # --- steps --------------------------------------------------------------------------------------------------

    def map(self, fn: Callable[[Row], Mapping[str, Any]], *, workers: int = 1) -> Flow:
        """Replace each row by ``fn(row)``, dicts both. The order stays.

        Columns and types of the result are found in its first rows, as for rows of Python. What ``fn`` raises ends the
        run, as it is, with a note that says of which row.

        Args:
            fn: called in threads of a :class:`~penstock.WorkerPool` when there are several workers.
            workers: how many rows may be worked on at once; for calls that wait for others.
        """
        return self._then(Map(fn, workers))

    def filter(self, predicate: Callable[[Row], object]) -> Flow:
        """Keep the rows for which ``predicate(row)`` is true. Their types stay what they are."""
        return self._then(Filter(predicate))

    def map_batches(self, fn: Callable[[pa.RecordBatch], Any]) -> Flow:
        """Replace each Arrow batch by ``fn(batch)``: a batch, a table, or a data frame, always of the same columns.

        Without any batch, ``fn`` is called with an empty one, for the columns.
        """
        return self._then(MapBatches(fn))

    def batched(self, rows: int) -> Flow:
        """Divide into batches of ``rows`` rows each; the last has what is left.

        Raises:
            BudgetExceeded: when run: so many rows take more than half of ``max_memory``.
        """
        return self._then(Batched(rows))

    def _then(self, step: Step) -> Flow:
        return replace(self, _steps=(*self._steps, step))

    # --- running ------------------------------------------------------------------------------------------------

    def plan(self, destination: Address | Sink | TableSink, **options: Any) -> Plan:
        """Decide what :meth:`write` would do, and touch nothing; ``print(penstock.preview(plan))`` shows it.

        Args:
            destination: as of :meth:`write`.
            options: those of :meth:`write`.
        """
        if unknown := sorted(options.keys() - _OF_DESTINATIONS):
            raise ConfigurationError(f"no such option of a destination: {', '.join(unknown)}")
        return api.plan(self._source, destination, replace(self._options, **options), steps=self._steps)

    def write(
        self,
        destination: Address | Sink | TableSink,
        *,
        format: str | None = None,  # noqa: A002 - the word that people look for
        compression: str | None = None,
        format_options: Mapping[str, object] | None = None,
        to_table: str | None = None,
        if_exists: IfExists = "fail",
        destination_options: Mapping[str, object] | None = None,
        part_size: int | str | None = None,
        concurrency: int | None = None,
        max_file_size: int | str | None = None,
        partitions: int = 1,
        partition_by: str | None = None,
        engine: str = "local",
        bwlimit: float | str | None = None,
        method: str | None = None,
        progress: str | Observer | None = None,
    ) -> Report:
        """Run it into a destination, which appears complete or not at all. Blocks, and raises, as :func:`penstock.copy` does.

        Args:
            destination: and everything else as of :func:`penstock.copy`.
            format: of the destination, where its name does not tell.
            compression: of the destination.
            format_options: what only that format knows.
            to_table: table to load, where the destination is a database.
            if_exists: ``"fail"``, ``"overwrite"`` or ``"skip"``; to a table also ``"append"``.
            destination_options: what only this kind of destination knows.
            part_size: bytes of one part of an upload.
            concurrency: parts sent at once.
            max_file_size: bytes of one file; several with a manifest.
            partitions: ranges of the source that are read at once, each into a file of its own; not after steps.
            partition_by: column whose values the ranges are of.
            engine: what runs it.
            bwlimit: bytes per second that the destination may take.
            method: HTTP method to send with.
            progress: how to show it while it runs.
        """
        planned = self.plan(
            destination,
            format=format,
            compression=compression,
            format_options=format_options,
            to_table=to_table,
            if_exists=if_exists,
            destination_options=destination_options,
            part_size=part_size,
            concurrency=concurrency,
            max_file_size=max_file_size,
            partitions=partitions,
            partition_by=partition_by,
            engine=engine,
            bwlimit=bwlimit,
            method=method,
        )
        return api.run(planned, progress=progress)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        loop = _Loop()
        return _iterated(api.plan(self._source, loop, self._options, steps=self._steps), loop)

    def rows(self) -> Iterator[Row]:
        """Run it and yield its rows as dicts. As iterating it, otherwise."""
        batches = iter(self)
        try:
            for batch in batches:
                yield from batch.to_pylist()
        finally:
            batches.close()  # type: ignore[attr-defined]  # a generator


def _iterated(planned: Plan, loop: _Loop) -> Iterator[pa.RecordBatch]:
    """Run ``planned`` in a thread, and yield what its sink hands over. Leaving stops the run and waits for its end."""
    receiver = loop.opened()
    scope = scope_under(current_scope())
    thread = OwnedThread(lambda: loop.run(planned), scope, "penstock flow")
    try:
        thread.start()
    except BaseException:
        loop.sender.close()
        receiver.close()
        leave(scope)
        raise
    try:
        yield from receiver
    finally:
        scope.cancel("the loop over the flow was left")
        receiver.close()
        thread.join()
        thread.future.observe()  # what it raised has been raised in the loop, or nobody is there to hear it
        leave(scope)


@final
class _Loop:
    """The sink of a flow that is iterated over: a channel, whose other end the loop has."""

    display_name = "a loop"

    def opened(self) -> ReceiveChannel[pa.RecordBatch]:
        """Return the loop's end."""
        self.sender: SendChannel[pa.RecordBatch]
        self.sender, receiver = channel(0, name="penstock flow")
        return receiver

    def run(self, planned: Plan) -> None:
        """Run the plan whose sink this is; the loop learns how that ended."""
        try:
            api.run(planned)
        except BaseException as exc:
            self.sender.abort(exc)
            raise
        self.sender.close()

    def check(self) -> bool:
        """Return True: a loop takes everything."""
        return True

    def load(self, batches: BatchStream) -> Receipt:
        """Hand every batch to the loop; block while it is busy with the one before."""
        bytes_taken = 0
        for batch in batches:
            bytes_taken += batch.nbytes
            try:
                self.sender.send(batch)
            except BrokenError:
                break  # the loop was left, and the run with it
        return Receipt(location="", bytes_stored=bytes_taken)
