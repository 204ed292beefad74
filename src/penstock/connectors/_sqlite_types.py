"""From SQLite's values to Arrow's columns.

    declared as                             Arrow     what may be in it
    ... INT ...                             int64     integers
    BOOL, BOOLEAN                           bool      0 and 1
    ... CHAR ..., ... CLOB ..., ... TEXT    string    text
    ... REAL, FLOA, DOUB ...                double    floats, and integers a double holds exactly
    ... BLOB                                binary    bytes
    NUMERIC, DECIMAL(p, s) ...              double    as REAL: SQLite itself keeps them as doubles
    anything else, expressions              by the values of the first batch: int64, double, string or binary;
                                            string where there are only NULLs

NULL fits everywhere. The order of the rules is SQLite's own (https://www.sqlite.org/datatype3.html, 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["record_batch", "schema_of"]

Values = tuple[object, ...]
ArrowType = Any  # pyarrow has no types of its own, and its stubs lack much

_SHOWN_CHARACTERS = 40
_FITTING: dict[str, frozenset[type]] = {
    "int64": frozenset({int}),
    "bool": frozenset({int}),
    "double": frozenset({float, int}),
    "string": frozenset({str}),
    "binary": frozenset({bytes}),
}
_SQLITE_NAMES = {int: "integer", float: "real", str: "text", bytes: "blob"}
_WORDS_IN_DECLARATIONS = (
    ("BOOL", "bool"),
    ("INT", "int64"),
    ("CHAR", "string"),
    ("CLOB", "string"),
    ("TEXT", "string"),
    ("BLOB", "binary"),
    ("REAL", "double"),
    ("FLOA", "double"),
    ("DOUB", "double"),
    ("NUMERIC", "double"),
    ("DECIMAL", "double"),
)


def schema_of(names: Sequence[str], declared_types: Sequence[str], first_rows: Sequence[Values]) -> pa.Schema:
    """Choose a type for every column; ``first_rows`` decide where the declaration does not."""
    arrow = _pyarrow()
    columns = list(zip(*first_rows, strict=True)) or [()] * len(names)
    types = [_declared(text) or _seen(values) for text, values in zip(declared_types, columns, strict=True)]
    schema: pa.Schema = arrow.schema(
        [(name, arrow.type_for_alias(kind)) for name, kind in zip(names, types, strict=True)]
    )
    return schema


def record_batch(rows: Sequence[Values], schema: pa.Schema, *, where: str, first_row: int) -> pa.RecordBatch:
    """Turn rows into a batch.

    Args:
        rows: at least one.
        schema: what :func:`schema_of` chose.
        where: for messages.
        first_row: number of the first row, from 1, for messages.

    Raises:
        SourceError: a value does not fit the type of its column.
    """
    arrow = _pyarrow()
    columns = []
    for field, values in zip(schema, zip(*rows, strict=True), strict=True):
        try:
            columns.append(_array(values, field.type))
        except (_DoesNotFit, arrow.ArrowInvalid) as exc:
            raise _explained(values, field, where=where, first_row=first_row) from exc
    batch: pa.RecordBatch = arrow.RecordBatch.from_arrays(columns, schema=schema)
    return batch


class _DoesNotFit(Exception):
    pass


def _array(values: Values, kind: ArrowType) -> Any:
    """Convert strictly. Arrow alone would take bytes for text, and text for bytes."""
    if not _FITTING[str(kind)].issuperset(set(map(type, values)) - {type(None)}):
        raise _DoesNotFit
    if str(kind) == "bool":
        if not set(values) <= {0, 1, None}:
            raise _DoesNotFit
        values = tuple(None if value is None else bool(value) for value in values)
    return _pyarrow().array(values, kind)


def _declared(text: str) -> str | None:
    upper = text.upper()
    return next((kind for word, kind in _WORDS_IN_DECLARATIONS if word in upper), None)


def _seen(values: Values) -> str:
    seen = set(map(type, values)) - {type(None)}
    if not seen:
        return "string"
    # A mixture fits nothing, and is refused when the batch is made.
    return next((kind for kind in ("int64", "double", "string", "binary") if _FITTING[kind] >= seen), "string")


def _explained(values: Values, field: Any, *, where: str, first_row: int) -> SourceError:
    for number, value in enumerate(values):
        if value is not None and not _fits(value, field.type):
            kind = _SQLITE_NAMES.get(type(value), type(value).__name__)
            text = repr(value)
            shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
            return SourceError(
                f"column {field.name!r} is read as {field.type}, but row {first_row + number} holds {kind} {shown}",
                where=where,
                hint=f'read it with a query that makes it one type: CAST("{field.name}" AS TEXT)',
            )
    return SourceError(f"column {field.name!r} can not be read as {field.type}", where=where)


def _fits(value: object, kind: ArrowType) -> bool:
    try:
        _array((value,), kind)
    except (_DoesNotFit, _pyarrow().ArrowInvalid):
        return False
    return True


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
