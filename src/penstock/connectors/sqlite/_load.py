"""Turn Arrow columns into SQLite values without altering any. :data:`LOAD_TABLE` lists every type.

SQLite has integers of 64 bits, doubles, text and bytes. Other values become text that holds all of the value; a value
without such a form is an error. The declared types of new columns are chosen so that SQLite converts nothing by itself: a
decimal goes into a TEXT column, because in one declared DECIMAL it would become a double.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.connectors._batches import Batches
from penstock.connectors.sqlite._fit import DoesNotFit, Fit, TargetColumn, fitting, pieces_of
from penstock.errors import ConfigurationError, SinkError
from penstock.flow.contracts import Formats

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOAD_TABLE", "Column", "Loader"]

LOAD_TABLE: tuple[tuple[str, str], ...] = (
    ("bool", "BOOLEAN: 0 and 1"),
    ("int8 ... int64, uint8 ... uint32", "INTEGER"),
    ("uint64", "INTEGER; above 9223372036854775807 an error"),
    ("halffloat, float, double", "REAL; -0.0 becomes 0.0; NaN, which SQLite takes for NULL, an error"),
    ("decimal", "TEXT, all digits"),
    ("string, large_string, string_view", "TEXT"),
    ("binary, fixed_size_binary, large_binary, binary_view", "BLOB"),
    ("date32, date64, time32, time64", "TEXT, ISO 8601"),
    ("timestamp", "TEXT, 2024-05-06 07:08:09.123456"),
    ("timestamp with a time zone", "TEXT, in UTC: 2024-05-06 07:08:09.123456Z"),
    ("duration", "INTEGER, in the unit of the type"),
    ("arrow.uuid, arrow.json", "TEXT"),
    ("list, struct, map", "TEXT, JSON"),
    ("dictionary, run_end_encoded", "as the values are"),
    ("null", "TEXT"),
)

ArrowType = Any  # pyarrow has no types of its own, and its stubs lack much
Column = Any
Conversion = Callable[[Column], Column]

_HINT = "convert it in the query of the source, or in a step of the flow"


class Loader:
    """Knows for one schema what columns to create, and how to hand over batches.

    Args:
        schema: what is to be loaded.
        where: for messages.
        formats: writes what is nested as JSON.

    Raises:
        SinkError: SQLite cannot hold a column.
    """

    def __init__(self, schema: pa.Schema, *, where: str, formats: Formats) -> None:
        self._where = where
        self._formats = formats
        self._schema = schema
        found = [self._chosen(field.name, field.type) for field in schema]
        self.types: list[str] = [kind for kind, _ in found]
        self._conversions = [conversion for _, conversion in found]
        self._pieces = [1] * len(found)

    @property
    def stored_names(self) -> list[str]:
        """Names for what :meth:`columns` returns, which may be more than the columns of the schema."""
        return [_piece(place, piece) for place, pieces in enumerate(self._pieces) for piece in range(pieces)]

    @property
    def expressions(self) -> list[str]:
        """How each column of the schema is made of those in ``stored_names``, in SQL."""
        return [_whole(place, pieces) for place, pieces in enumerate(self._pieces)]

    def columns(self, batch: pa.RecordBatch) -> list[Column]:
        """Return the columns as SQLite is to have them: integers, doubles, booleans, text and bytes.

        Values of a column that have different types in SQLite come in several columns, each NULL where another has the value.

        Raises:
            SinkError: a value has no exact form there.
        """
        converted = []
        for name, conversion, column in zip(self._schema.names, self._conversions, batch.columns, strict=True):
            try:
                converted += _in_pieces(conversion(column))
            except (DoesNotFit, _pyarrow().ArrowInvalid, ConfigurationError) as exc:
                message = f"column {name!r} can not be loaded: {exc}"
                raise SinkError(message, where=self._where, hint=_HINT) from exc
        return converted

    def fit_to(self, targets: dict[str, TargetColumn]) -> None:
        """Have the values of each column checked against that of a table, by its name in lower case.

        Raises:
            SinkError: the table has no such column, or bends whatever it is given of this type.
        """
        for place, (field, kind) in enumerate(zip(self._schema, self.types, strict=True)):
            target = targets.get(field.name.lower())
            if target is None:
                hint = f"it has {', '.join(targets)}"
                raise SinkError(f"the table has no column {field.name!r}", where=self._where, hint=hint)
            if target.is_generated:
                message = f"column {field.name!r} is computed by the table (GENERATED ALWAYS)"
                raise SinkError(message, where=self._where, hint="leave it out")
            fit = fitting(kind, target, is_decimal=_is_decimal(field.type))
            if fit is None:
                message = f"column {field.name!r} is {target.declared} in the table, where SQLite would bend {kind}"
                raise SinkError(message, where=self._where, hint=_HINT)
            self._conversions[place] = _in_turn(self._conversions[place], fit)
            self._pieces[place] = pieces_of(kind, target)

    def _chosen(self, name: str, kind: ArrowType) -> tuple[str, Conversion]:
        arrow, types = _pyarrow(), _pyarrow().types
        if isinstance(kind, arrow.BaseExtensionType):
            return self._chosen_extension(name, kind)
        if types.is_dictionary(kind):
            declared, conversion = self._chosen(name, kind.value_type)
            return declared, lambda column: conversion(column.dictionary_decode())
        if types.is_run_end_encoded(kind):
            declared, conversion = self._chosen(name, kind.value_type)
            return declared, lambda column: conversion(_compute().run_end_decode(column))
        if types.is_interval(kind) or types.is_union(kind):
            hint = "convert it to text before"
            raise SinkError(f"column {name!r} is {kind}, which SQLite can not hold", where=self._where, hint=hint)
        if types.is_nested(kind):
            return "TEXT", self._as_json
        return _chosen_plain(kind)

    def _chosen_extension(self, name: str, kind: ArrowType) -> tuple[str, Conversion]:
        if kind.extension_name == "arrow.uuid":
            return "TEXT", self._as_json
        if kind.extension_name == "arrow.bool8":
            return "BOOLEAN", lambda column: column.storage.cast(_pyarrow().bool_())
        declared, conversion = self._chosen(name, kind.storage_type)
        return declared, lambda column: conversion(column.storage)

    def _as_json(self, column: Column) -> Column:
        """Return each value as JSON, written by the NDJSON format; text comes without its quotes."""
        arrow = _pyarrow()
        batch = arrow.RecordBatch.from_arrays([column], names=["v"])
        buffer = io.BytesIO()
        self._formats.format_by_name("ndjson").encode(Batches(batch.schema, iter([batch])), buffer)
        lines = buffer.getvalue().splitlines()  # of bytes: only at line ends
        texts = [line[len(b'{"v":') : -1].strip(b'"').decode() for line in lines]
        valid = column.is_valid().to_pylist()
        return arrow.array([text if ok else None for text, ok in zip(texts, valid, strict=True)], arrow.string())


def _chosen_plain(kind: ArrowType) -> tuple[str, Conversion]:
    arrow, types = _pyarrow(), _pyarrow().types
    if types.is_boolean(kind):
        return "BOOLEAN", _as_it_is
    if types.is_integer(kind) or types.is_duration(kind):
        return "INTEGER", lambda column: column.cast(arrow.int64())
    if types.is_floating(kind):
        return "REAL", _without_nan
    if types.is_timestamp(kind) and kind.tz is not None:
        return "TEXT", lambda column: column.cast(arrow.timestamp(kind.unit, "UTC")).cast(arrow.string())
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return "BLOB", _as_it_is
    if types.is_fixed_size_binary(kind) and not types.is_decimal(kind):
        return "BLOB", _as_it_is
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "TEXT", _as_it_is
    if types.is_decimal(kind):
        return "TEXT", _digits
    return "TEXT", lambda column: column.cast(arrow.string())


def _is_decimal(kind: ArrowType) -> bool:
    types = _pyarrow().types
    while types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        kind = kind.value_type
    return bool(types.is_decimal(kind))


def _in_pieces(column: Column) -> list[Column]:
    return list(column.flatten()) if _pyarrow().types.is_struct(column.type) else [column]


def _piece(place: int, piece: int) -> str:
    return f"c{place}_{piece}"


def _whole(place: int, pieces: int) -> str:
    """Return the SQL for a value of which all pieces but one are NULL."""
    names = ", ".join(_piece(place, piece) for piece in range(pieces))
    return names if pieces == 1 else f"coalesce({names})"


def _in_turn(first: Conversion, second: Fit) -> Conversion:
    return lambda column: second(first(column))


def _as_it_is(column: Column) -> Column:
    return column


def _without_nan(column: Column) -> Column:
    found = column.cast(_pyarrow().float64())
    if _compute().any(_compute().is_nan(found)).as_py():
        raise DoesNotFit("SQLite takes NaN for NULL")
    return found


def _digits(column: Column) -> Column:
    """Return decimals as plain digits."""
    arrow, compute = _pyarrow(), _compute()
    texts = column.cast(arrow.string())
    # Arrow, as Python's str, writes what is small with an exponent: 1E-10. So it does with a negative scale.
    with_exponent = compute.match_substring(texts, "E")
    if not compute.any(with_exponent).as_py():
        return texts
    written_out = [f"{value:f}" for value in column.filter(with_exponent).to_pylist()]
    return compute.replace_with_mask(texts, with_exponent, arrow.array(written_out, arrow.string()))


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="load tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="load tables")
