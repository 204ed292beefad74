"""Turn rows of Python (dicts, tuples, lists) into Arrow batches. The first batch determines the columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from sys import getsizeof
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.connectors._batches import without_columns
from penstock.connectors.iterables._python_types import Misfit, array_of, as_text, type_of
from penstock.errors import BudgetExceeded, ConfigurationError, SourceError
from penstock.flow.suggest import did_you_mean
from penstock.flow.units import format_bytes

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.losses import Losses, OnTypeLoss

__all__ = ["RowBatches"]

_CONTAINERS = (dict, list, tuple, set, frozenset)
_HINT = "columns and their types are found in the first rows and stay"


@final
class RowBatches:
    """A :class:`~penstock.flow.contracts.BatchStream` of rows. Reads the first batch when made, the rest while iterating.

    Args:
        rows: the rows, iterated over in the calling thread; their exceptions are raised unchanged.
        names: the names of the columns, in order. Required for tuples and lists that are not named tuples; for dicts,
            None takes every key of the first batch.
        where: the name of the rows for messages.
        batch_bytes: about how many bytes the rows of a batch may take as Python objects.
        max_row_bytes: the largest row allowed, measured the same way; None for any.
        on_type_loss: what to do with a value that the type of its column cannot hold.
        losses: counts the values that became NULL.

    Raises:
        SourceError: an item is not a row, or does not fit; names row and field.
        BudgetExceeded: a row is larger than allowed.
        ConfigurationError: the columns of tuples have no names.
    """

    def __init__(
        self,
        rows: Iterator[object],
        *,
        names: Sequence[str] | None,
        where: str,
        batch_bytes: int,
        max_row_bytes: int | None,
        on_type_loss: OnTypeLoss,
        losses: Losses,
    ) -> None:
        self._rows = rows
        self._where = where
        self._batch_bytes = batch_bytes
        self._max_row_bytes = max_row_bytes
        self._on_type_loss = on_type_loss
        self._losses = losses
        self._taken = 0
        self._is_strict = names is None  # about keys that no column is there for
        first = self._take()
        self._is_mapped = bool(first) and isinstance(first[0], Mapping)
        self.names = list(_names_of(first, where) if names is None else names)
        self._known = frozenset(self.names)
        columns = self._columns(first, 0)
        if names is not None and self._is_mapped:
            self._refuse_absent(first)
        arrow = _pyarrow()
        types = [self._type(name, column) for name, column in zip(self.names, columns, strict=True)]
        self.schema: pa.Schema = arrow.schema(list(zip(self.names, types, strict=True)))
        self._first = [self._batch(columns, 0)] if first else []

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self._first
        self._first.clear()
        while True:
            before = self._taken
            rows = self._take()
            if not rows:
                return
            yield self._batch(self._columns(rows, before), before)

    def _take(self) -> list[Any]:
        """Block until there are enough rows for a batch, or no more; an empty list is the end."""
        rows: list[Any] = []
        size = 0
        for row in self._rows:
            rows.append(row)
            weight = _weight(row)
            if self._max_row_bytes is not None and weight > self._max_row_bytes:
                raise self._too_large(self._taken + len(rows), row)
            size += weight
            if size >= self._batch_bytes:
                break
        self._taken += len(rows)
        return rows

    def _too_large(self, number: int, row: Any) -> BudgetExceeded:
        limit = format_bytes(self._max_row_bytes or 0)
        widest = ""
        if isinstance(row, Mapping):
            name, _ = max(row.items(), key=lambda item: _deep_weight(item[1]))
            widest = f"; the widest value is in {name!r}"
        return BudgetExceeded(
            f"{self._where}: row {number} is longer than {limit}, all the memory there is{widest} (raise max_memory)"
        )

    def _columns(self, rows: list[Any], before: int) -> list[list[Any]]:
        if self._is_mapped:
            for number, row in enumerate(rows, before + 1):
                self._check_mapping(number, row)
            return [[row.get(name) for row in rows] for name in self.names]
        for number, row in enumerate(rows, before + 1):
            self._check_sequence(number, row)
        return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in self.names]

    def _check_mapping(self, number: int, row: Any) -> None:
        if not isinstance(row, Mapping):
            raise self._no_row(number, row, "a dict, as those before are")
        if self._is_strict and not row.keys() <= self._known:
            new = next(key for key in row if key not in self._known)
            raise SourceError(
                f"row {number} has the field {new!r}, which the first rows did not have", where=self._where, hint=_HINT
            )

    def _check_sequence(self, number: int, row: Any) -> None:
        if not isinstance(row, (tuple, list)):
            raise self._no_row(number, row, "a tuple or list, as those before are")
        if len(row) != len(self.names):
            there_are = f"there are {len(self.names)} columns"
            raise SourceError(f"row {number} has {len(row)} values; {there_are}", where=self._where)

    def _no_row(self, number: int, row: object, expected: str) -> SourceError:
        return SourceError(f"row {number} is of type {type(row).__name__}; it should be {expected}", where=self._where)

    def _refuse_absent(self, first: list[Any]) -> None:
        there = {key: None for row in first for key in row}
        for name in self.names:
            if name not in there:
                hint = did_you_mean(name, there, otherwise=f"there are {', '.join(map(str, there))}")
                raise SourceError(f"no row has a field {name!r}", where=self._where, hint=hint)

    def _type(self, name: str, values: list[Any]) -> Any:
        try:
            return type_of(values, self._on_type_loss)
        except Misfit as exc:
            raise self._unfit(name, exc, 0) from exc.__cause__

    def _batch(self, columns: list[list[Any]], before: int) -> pa.RecordBatch:
        if not columns:
            return without_columns(self._taken - before)
        arrow = _pyarrow()
        arrays = [self._array(field, values, before) for field, values in zip(self.schema, columns, strict=True)]
        batch: pa.RecordBatch = arrow.RecordBatch.from_arrays(arrays, schema=self.schema)
        return batch

    def _array(self, field: Any, values: list[Any], before: int) -> Any:
        if self._on_type_loss == "text" and field.type == _pyarrow().string():
            values = list(map(as_text, values))
        lost = (lambda why: self._losses.add(field.name, why)) if self._on_type_loss == "warn" else None
        try:
            return array_of(values, field.type, lost)
        except Misfit as exc:
            raise self._unfit(field.name, exc, before) from exc.__cause__

    def _unfit(self, name: str, misfit: Misfit, before: int) -> SourceError:
        return SourceError(
            f"row {before + misfit.index + 1}: {name!r} is {misfit}",
            where=self._where,
            hint=f"{_HINT}; convert it, or see on_type_loss",
        )


def _names_of(rows: list[Any], where: str) -> list[str]:
    if not rows:
        return []
    first = rows[0]
    if isinstance(first, Mapping):
        names = {key: None for row in rows if isinstance(row, Mapping) for key in row}
        for odd in (key for key in names if not _is_text(key)):
            hint = "csv.DictReader has values beyond the header there" if odd is None else ""
            raise SourceError(f"a row has the field {odd!r}; names of columns must be text", where=where, hint=hint)
        return list(names)
    named: tuple[str, ...] | None = getattr(type(first), "_fields", None)
    if isinstance(first, tuple) and named is not None:
        return list(named)
    if isinstance(first, (tuple, list)):
        raise ConfigurationError(
            f"{where}: the rows are of type {type(first).__name__}; name the columns: columns=[...]"
        )
    raise SourceError(
        f"row 1 is of type {type(first).__name__}", where=where, hint="rows are dicts, or tuples or lists with columns="
    )


def _is_text(key: object) -> bool:
    """Whether it is valid text, without lone surrogates."""
    return isinstance(key, str) and key.encode(errors="ignore").decode() == key


def _weight(row: Any) -> int:
    """Return about how many bytes a row takes, including those in containers inside it."""
    size = getsizeof(row)
    for value in row.values() if isinstance(row, Mapping) else row if isinstance(row, (tuple, list)) else ():
        size += _deep_weight(value) if isinstance(value, _CONTAINERS) else getsizeof(value)
    return size


def _deep_weight(value: Any) -> int:
    if not isinstance(value, _CONTAINERS):
        return getsizeof(value)
    inside = value.values() if isinstance(value, dict) else value
    return getsizeof(value) + sum(map(_deep_weight, inside))


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
