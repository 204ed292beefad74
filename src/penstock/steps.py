"""What a flow does with rows and batches between its source and its sink: one step after another.

A step takes a stream of Arrow batches and gives one, a batch at a time, in the thread that reads the source. Steps that
see rows make Python objects of them, a few hundred at a time; that is what they are for, and the one place where a copy
does so.
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

_ROWS_AT_ONCE = 256  # that are Python objects
_AHEAD = 2  # rows each worker of a map may be ahead
_NOTHING = object()


class Step(Protocol):
    """One thing done with a stream."""

    @property
    def keeps_columns(self) -> bool:
        """Whether what comes out has the columns that went in."""
        ...

    def __str__(self) -> str:
        """Return what messages call it: ``"map(clean)"``."""
        ...

    def applied(self, stream: BatchStream, request: SourceRequest, where: str) -> AbstractContextManager[BatchStream]:
        """Give the stream that comes out. To be iterated in the thread that opens it.

        Args:
            stream: what goes in.
            request: what the source was asked for: its limits count for what comes out.
            where: what messages call the source.
        """
        ...


@dataclass(frozen=True)
class Map:
    """``fn(row)`` instead of each row; in ``workers`` threads at once, in the order of the rows all the same."""

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
        """Give what the function made. Columns and types are found anew, in the first rows that come out."""
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
    """The rows for which ``predicate(row)`` is true. Their types stay what they are."""

    predicate: Callable[[Row], object]

    keeps_columns = True

    def __post_init__(self) -> None:
        _check_callable("filter", self.predicate)

    def __str__(self) -> str:
        return f"filter({_name(self.predicate)})"

    @contextmanager
    def applied(self, stream: BatchStream, request: SourceRequest, where: str) -> Iterator[BatchStream]:
        """Give the rows that are kept, of each batch together."""
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
    """``fn(batch)`` instead of each batch: Arrow in, Arrow out."""

    fn: Callable[[pa.RecordBatch], Any]

    keeps_columns = False

    def __post_init__(self) -> None:
        _check_callable("map_batches", self.fn)

    def __str__(self) -> str:
        return f"map_batches({_name(self.fn)})"

    @contextmanager
    def applied(self, stream: BatchStream, request: SourceRequest, where: str) -> Iterator[BatchStream]:
        """Give what the function made. What it makes of the first batch says what the columns are.

        Without any batch it is called with an empty one, for the columns.
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
    """Batches of ``rows`` rows each; the last has what is left."""

    rows: int

    keeps_columns = True

    def __post_init__(self) -> None:
        if not isinstance(self.rows, int) or self.rows < 1:
            raise ConfigurationError(f"a batch has at least 1 row, not {self.rows!r}")

    def __str__(self) -> str:
        return f"batched({format_count(self.rows)})"

    @contextmanager
    def applied(self, stream: BatchStream, request: SourceRequest, where: str) -> Iterator[BatchStream]:
        """Give the batches; what is on the way to being one is held."""
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
        """Cut the batches where one of ours ends."""
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
    """A source, and what is done with what it gives.

    Args:
        source: read once.
        steps: in order.
        request: what the source was asked for.
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
        """As the source tells."""
        return getattr(self._source, "connections_opened", None)

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: there are rows here, ``byte_formats`` is empty."""
        raise ConfigurationError(f"{self.display_name}: after steps there are rows, not {format_name}")

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Open the source, and give what comes out of the last step."""
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
        """Say what the source says of itself, and what is done then. No step is run."""
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
    """Calls a function with rows; what it raises is raised as it is, with a note that says of which row."""

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
    if iscoroutinefunction(fn):  # what it returns is true, and is no row
        raise ConfigurationError(f"{step} takes a function that returns, and {_name(fn)} is async")


def _name(fn: Callable[..., Any]) -> str:
    name = getattr(fn, "__name__", type(fn).__name__)
    return "..." if name == "<lambda>" else str(name)


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
