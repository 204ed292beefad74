"""``penstock.read(...)``: a source and the steps applied to its rows, run by writing it somewhere or looping over it.

    flow = penstock.read("postgresql:///shop", query="select * from orders").filter(is_open).map(with_customer, workers=8)
    flow.write("s3://bucket/orders.parquet")

A flow is an immutable value: each step returns a new one, and nothing is opened before it runs. Writing a flow without
steps is exactly :func:`penstock.copy`, fast paths included. This layer stands on :mod:`penstock.api`.
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
    """Make a flow of one table, query, file or iterable. Opens nothing until the flow runs.

    Args:
        source: an address, a path, rows or Arrow data, as for :func:`penstock.copy`.
        query: the query to run, where the source is a database: SQL; for MongoDB a filter or pipeline.
        table: the table to read, instead of a query.
        columns: names of the columns to read, in this order; None for all. For tuples, the names of their fields.
        where: an SQL condition that rows of ``table`` must meet.
        limit: the most rows to read; None for all.
        format: the format of stored bytes, where their name does not tell.
        compression: the compression of stored bytes, where their name does not tell.
        format_options: options of that format; see docs/formats.md.
        options: options of this kind of source; see docs/connectors.md.
        on_type_loss: what to do with a value that the type of its column cannot hold, as for :func:`penstock.copy`.
        max_memory: bytes that may be in flight, as a number or ``"128MiB"``. What your own functions hold comes on top.
        timeout: seconds for the whole run, or text such as ``"5m"``; None for no limit.
        stall_timeout: seconds without a byte moving between stages, or text such as ``"30s"``; None waits for ever.

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
    """A source and the steps applied to its rows. Made by :func:`penstock.read`.

    Iterating runs the flow in a thread and yields Arrow record batches; the iterator blocks while none is ready, and
    raises what the run raises. Closing the iterator stops the run and waits until its threads and connections are
    gone; leaving a ``for`` loop early closes it too, as soon as nothing else holds it. A flow can be run again, unless
    its source is an iterator that is used up.
    """

    _source: Address | Source | Data
    _options: CopyOptions
    _steps: tuple[Step, ...]

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self._steps)) or "no steps"
        return f"<Flow of {api.shown(self._source)}: {shown}>"

    # --- steps --------------------------------------------------------------------------------------------------

    def map(self, fn: Callable[[Row], Mapping[str, Any]], *, workers: int = 1) -> Flow:
        """Replace each row, a dict, by the dict that ``fn(row)`` returns. Rows keep their order.

        The columns and types of the result are inferred from its first rows, as for any source of Python rows. An
        exception of ``fn`` ends the run and is raised unchanged, with a note that names the row.

        Args:
            fn: called for each row; with several workers, in the threads of a :class:`~penstock.WorkerPool`.
            workers: how many rows may be worked on at once, which helps when ``fn`` waits for something, as a request.

        Raises:
            ConfigurationError: ``fn`` cannot be called or is asynchronous, or ``workers`` is below 1.
        """
        return self._then(Map(fn, workers))

    def filter(self, predicate: Callable[[Row], object]) -> Flow:
        """Keep the rows for which ``predicate(row)`` is true. Columns and their types stay as they are."""
        return self._then(Filter(predicate))

    def map_batches(self, fn: Callable[[pa.RecordBatch], Any]) -> Flow:
        """Replace each Arrow batch by what ``fn(batch)`` returns: a batch, a table or a data frame.

        Every result must have the columns of the first, else the run raises ``ConfigurationError``. If the source has
        no batches, ``fn`` is called once with an empty one, to learn the columns.
        """
        return self._then(MapBatches(fn))

    def batched(self, rows: int) -> Flow:
        """Regroup the rows into batches of exactly ``rows`` rows; the last one may be shorter.

        Raises:
            ConfigurationError: ``rows`` is below 1.
            BudgetExceeded: while running, if that many rows take more than half of ``max_memory``.
        """
        return self._then(Batched(rows))

    def _then(self, step: Step) -> Flow:
        return replace(self, _steps=(*self._steps, step))

    # --- running ------------------------------------------------------------------------------------------------

    def plan(self, destination: Address | Sink | TableSink, **options: Any) -> Plan:
        """Decide what :meth:`write` would do, without connecting to anything.

        ``print(plan)`` shows the decision; ``print(penstock.preview(plan))`` also asks the source and the destination.

        Args:
            destination: as for :meth:`write`.
            options: the keyword arguments of :meth:`write`, except ``progress``.

        Raises:
            ConfigurationError: the request makes no sense as written.
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
        """Run the flow and write its rows to a destination, which appears complete or not at all.

        Blocks, is cancelled and raises as :func:`penstock.copy`, which describes the arguments in full.

        Args:
            destination: a URI, a path, ``"-"`` for standard output, or a sink object.
            format: the format to write; None to choose by the destination's name.
            compression: the compression to write; None to choose by the destination's name.
            format_options: options of that format.
            to_table: the table to load, where the destination is a database.
            if_exists: ``"fail"``, ``"overwrite"`` or ``"skip"``; for a table also ``"append"``.
            destination_options: options of this kind of destination.
            part_size: size in bytes of the first parts of a multipart upload.
            concurrency: how many parts are uploaded at once.
            max_file_size: split into files of about this many bytes, with a manifest.
            partitions: how many ranges of the source are read at once, each into its own file; not possible with steps.
            partition_by: the column whose values divide the ranges.
            engine: what runs the flow.
            bwlimit: bytes per second that the destination may take.
            method: the HTTP method of the request.
            progress: how to show progress: a kind, or a function called with snapshots.

        Returns:
            What was written and how it went.
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
        """Run the flow and yield its rows as dicts; otherwise the same as iterating over it."""
        batches = iter(self)
        try:
            for batch in batches:
                yield from batch.to_pylist()
        finally:
            batches.close()  # type: ignore[attr-defined]  # a generator


def _iterated(planned: Plan, loop: _Loop) -> Iterator[pa.RecordBatch]:
    """Run ``planned`` in a thread and yield what its sink receives. Closing stops the run and waits for its end."""
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
        thread.future.observe()  # its exception was raised in the loop, or the loop was left and nobody wants it
        leave(scope)


@final
class _Loop:
    """The sink of a flow that is iterated over: it sends each batch into a channel that the loop receives from."""

    display_name = "a loop"

    def opened(self) -> ReceiveChannel[pa.RecordBatch]:
        """Make the channel and return the loop's end of it."""
        self.sender: SendChannel[pa.RecordBatch]
        self.sender, receiver = channel(0, name="penstock flow")
        return receiver

    def run(self, planned: Plan) -> None:
        """Run the plan whose sink this is, then close the channel, or abort it with what the run raised."""
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
        """Hand every batch to the loop; block while it is busy with the previous one."""
        bytes_taken = 0
        for batch in batches:
            bytes_taken += batch.nbytes
            try:
                self.sender.send(batch)
            except BrokenError:
                break  # the loop was left, and the run with it
        return Receipt(location="", bytes_stored=bytes_taken)
