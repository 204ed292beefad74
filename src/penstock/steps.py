"""The steps of a flow: what ``map``, ``filter``, ``map_batches`` and ``batched`` do between source and sink.

A step turns one stream of Arrow batches into another, a batch at a time, in the thread that reads the source. Steps
that work on rows turn them into Python objects, a few hundred at a time. :mod:`penstock.flows` offers them to users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from inspect import iscoroutinefunction
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Protocol, final

from penstock._extras import need
from penstock.connectors import SourceRequest
from penstock.connectors.iterables import rows_to_batches
from penstock.core.pool import WorkerPool
from penstock.errors import BudgetExceeded, ConfigurationError
from penstock.flow.contracts import BatchStream, Closable, Describable, Source
from penstock.flow.description import Description
from penstock.flow.units import format_bytes, format_count
from penstock.flow.views import without_views

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Batched", "Filter", "Map", "MapBatches", "Step", "SteppedSource"]

Row = dict[str, Any]

_ROWS_AT_ONCE = 256  # how many are Python objects at the same time
_AHEAD = 2  # how many rows per worker a map may be ahead of what has been taken
_NOTHING = object()


class Step(Protocol):
    """One transformation of a stream of batches."""

    @property
    def keeps_columns(self) -> bool:
        """Whether the output has the same columns as the input."""
        ...

    def __str__(self) -> str:
        """Return the step's name for messages: ``"map(clean)"``."""
        ...

    def applied(self, stream: BatchStream, request: SourceRequest, where: str) -> AbstractContextManager[BatchStream]:
        """Open the transformed stream. Iterate over it in the thread that opens it.

        Args:
            stream: the input.
            request: the request for the source; its limits on sizes apply to the output too.
            where: the name of the source for messages.
        """
        ...


@dataclass(frozen=True)
class Map:
    """Replaces each row by ``fn(row)``. With several ``workers``, calls run in threads and rows still keep their order."""

    fn: Callable[[Row], Mapping[str, Any]]
    workers: int = 1

    keeps_columns = False

    def __post_init__(self) -> None:
        _check_callable("map", self.fn)
        if not isinstance(self.workers, int) or self.workers < 1:
            raise ConfigurationError(f"workers must be at least 1, not {self.workers!r}")

    def __str__(self) -> str:
        return f"map({_name(self.fn)})"

    @contextmanager
    def applied(self, stream: BatchStream, request: SourceRequest, where: str) -> Iterator[BatchStream]:
        """Open the stream of results. Their columns and types are inferred from the first of them."""
        call = _Noting(self.fn, f"{self} of {where}")
        with ExitStack() as stack:
            rows = zip(_rows(stream), count(1), strict=False)
            results: Iterator[object] = (call(numbered) for numbered in rows)
            if self.workers > 1:
                pool = stack.enter_context(WorkerPool(self.workers, name="penstock map"))
                results = pool.map(call, rows, buffersize=self.workers * _AHEAD)
            stack.callback(results.close)  # type: ignore[attr-defined]  # a generator, or a map of a pool
            first = next(results, _NOTHING)
            if first is _NOTHING:
                yield _Stream(stream.schema, ())
            else:
                yield rows_to_batches(chain((first,), results), request, where=f"{where}: {self}")


@dataclass(frozen=True)
class Filter:
    """Keeps the rows for which ``predicate(row)`` is true. Columns and types stay as they are."""

    predicate: Callable[[Row], object]

    keeps_columns = True

    def __post_init__(self) -> None:
        _check_callable("filter", self.predicate)

    def __str__(self) -> str:
        return f"filter({_name(self.predicate)})"

    @contextmanager
    def applied(self, stream: BatchStream, request: SourceRequest, where: str) -> Iterator[BatchStream]:
        """Open the stream of rows that are kept: one batch for each input batch that has any."""
        yield _Stream(stream.schema, self._kept(stream, _Noting(self.predicate, f"{self} of {where}")))

    @staticmethod
    def _kept(stream: BatchStream, call: _Noting) -> Iterator[pa.RecordBatch]:
        arrow = _pyarrow()
        numbers = count(1)
        for batch in stream:
            wanted = [bool(call(numbered)) for numbered in zip(_rows([batch]), numbers, strict=False)]
            kept = batch.filter(arrow.array(wanted, arrow.bool_()))
            if kept.num_rows:
                yield kept


@dataclass(frozen=True)
class MapBatches:
    """Replaces each batch by ``fn(batch)``: Arrow in, Arrow out."""

    fn: Callable[[pa.RecordBatch], Any]

    keeps_columns = False

    def __post_init__(self) -> None:
        _check_callable("map_batches", self.fn)

    def __str__(self) -> str:
        return f"map_batches({_name(self.fn)})"

    @contextmanager
    def applied(self, stream: BatchStream, request: SourceRequest, where: str) -> Iterator[BatchStream]:
        """Open the stream of results. The first result determines the columns.

        If there is no batch, the function is called with an empty one, to learn the columns.
        """
        batches = iter(stream)
        first = next(batches, None)
        if first is None:
            empty = _pyarrow().RecordBatch.from_pylist([], schema=stream.schema)
            yield _Stream(self._made(empty).schema, ())
            return
        table = self._made(first)
        made = chain((table,), map(self._made, batches))
        yield _Stream(table.schema, self._alike(table.schema, made))

    def _made(self, batch: pa.RecordBatch) -> pa.Table:
        arrow = _pyarrow()
        result = self.fn(batch)
        if isinstance(result, arrow.RecordBatch):
            result = arrow.Table.from_batches([result])
        if isinstance(result, arrow.Table) or hasattr(result, "__arrow_c_stream__"):
            table: pa.Table = arrow.table(result)
            plain = without_views(table.schema)
            return table if plain == table.schema else table.cast(plain)
        raise ConfigurationError(
            f"{self} returned an object of type {type(result).__name__}; return a pyarrow RecordBatch or Table, or a data frame"
        )

    def _alike(self, schema: pa.Schema, tables: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
        for number, table in enumerate(tables, 1):
            if table.schema != schema:
                changed = sorted({*map(str, table.schema)} ^ {*map(str, schema)})
                raise ConfigurationError(
                    f"{self} made other columns of batch {number} than of the first ({', '.join(changed) or 'their order'}); "
                    "the columns of a stream are the same throughout: cast them"
                )
            yield from table.to_batches()


@dataclass(frozen=True)
class Batched:
    """Regroups rows into batches of ``rows`` rows; the last one may be shorter."""

    rows: int

    keeps_columns = True

    def __post_init__(self) -> None:
        if not isinstance(self.rows, int) or self.rows < 1:
            raise ConfigurationError(f"a batch has at least 1 row, not {self.rows!r}")

    def __str__(self) -> str:
        return f"batched({format_count(self.rows)})"

    @contextmanager
    def applied(self, stream: BatchStream, request: SourceRequest, where: str) -> Iterator[BatchStream]:
        """Open the stream of regrouped batches. Holds the rows of one unfinished batch."""
        yield _Stream(stream.schema, self._joined(stream, request.max_row_bytes, where))

    def _joined(self, stream: BatchStream, most_bytes: int | None, where: str) -> Iterator[pa.RecordBatch]:
        arrow = _pyarrow()
        waiting: list[pa.RecordBatch] = []
        missing = self.rows
        for piece in self._pieces(stream):
            waiting.append(piece)
            missing -= piece.num_rows
            self._check(waiting, most_bytes, where)
            if missing == 0:
                yield arrow.concat_batches(waiting)
                waiting, missing = [], self.rows
        if waiting:
            yield arrow.concat_batches(waiting)

    def _pieces(self, stream: BatchStream) -> Iterator[pa.RecordBatch]:
        """Cut the incoming batches wherever one of the new batches has to end."""
        filled = 0
        for batch in stream:
            start = 0
            while start < batch.num_rows:
                piece = batch.slice(start, self.rows - filled)
                yield piece
                start += piece.num_rows
                filled = (filled + piece.num_rows) % self.rows

    def _check(self, waiting: list[pa.RecordBatch], most_bytes: int | None, where: str) -> None:
        if most_bytes is not None and sum(piece.nbytes for piece in waiting) * 2 > most_bytes:
            rows = sum(piece.num_rows for piece in waiting)
            raise BudgetExceeded(
                f"{where}: {self}: {format_count(rows)} rows are more than half of all the memory there is "
                f"({format_bytes(most_bytes)}); ask for fewer in a batch, or raise max_memory"
            )


@final
class SteppedSource:
    """A source with steps applied to its rows; to everybody else just another source.

    Args:
        source: where the rows come from.
        steps: what is done with them, in order.
        request: the request that ``source`` was made for.
    """

    byte_formats: frozenset[str] = frozenset()

    def __init__(self, source: Source, steps: Iterable[Step], request: SourceRequest) -> None:
        self.display_name = source.display_name
        self.rows_read: int | None = None
        self._source = source
        self._steps = tuple(steps)
        self._request = request

    @property
    def connections_opened(self) -> int | None:
        """How many connections the source has opened; None if it does not count them."""
        return getattr(self._source, "connections_opened", None)

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: after steps there are rows and no bytes, which is why ``byte_formats`` is empty."""
        raise ConfigurationError(f"{self.display_name}: after steps there are rows, not {format_name}")

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Open the source and return the output of the last step."""
        with ExitStack() as stack:
            stream = stack.enter_context(self._source.open_batches())
            for step in self._steps:
                stream = stack.enter_context(step.applied(stream, self._request, self.display_name))
            self.rows_read = 0
            yield _Stream(stream.schema, self._counted(stream))

    def _counted(self, stream: BatchStream) -> Iterator[pa.RecordBatch]:
        for batch in stream:
            self.rows_read = (self.rows_read or 0) + batch.num_rows
            yield batch

    def describe(self, format_name: str | None) -> Description:
        """Describe the source, and name the steps that follow. Runs none of them."""
        then = ", ".join(map(str, self._steps))
        described = self._source.describe(None) if isinstance(self._source, Describable) else Description("batches")
        columns = described.columns if all(step.keeps_columns for step in self._steps) else ()
        return replace(described, reading=f"{described.reading}; then {then}", columns=columns)

    def close(self) -> None:
        """Close the source. Idempotent."""
        if isinstance(self._source, Closable):
            self._source.close()


@dataclass(frozen=True)
class _Stream:
    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self.batches)


@final
class _Noting:
    """Calls a function with rows. An exception is raised unchanged, with a note that names the row."""

    def __init__(self, fn: Callable[[Row], Any], where: str) -> None:
        self._fn = fn
        self._where = where

    def __call__(self, numbered: tuple[Row, int]) -> Any:
        row, number = numbered
        try:
            return self._fn(row)
        except Exception as exc:
            exc.add_note(f"in {self._where}, row {format_count(number)}")
            raise


def _rows(stream: Iterable[pa.RecordBatch]) -> Iterator[Row]:
    for batch in stream:
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            yield from batch.slice(start, _ROWS_AT_ONCE).to_pylist()


def _check_callable(step: str, fn: object) -> None:
    if not callable(fn):
        raise ConfigurationError(f"{step} takes a function, not {fn!r}")
    if iscoroutinefunction(fn):  # the coroutine it returns would count as true, and is no row
        raise ConfigurationError(f"{step} takes a function that returns, and {_name(fn)} is async")


def _name(fn: Callable[..., Any]) -> str:
    name = getattr(fn, "__name__", type(fn).__name__)
    return "..." if name == "<lambda>" else str(name)


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
