"""From SQLite's values to Arrow's columns. :data:`TYPE_TABLE` is the whole contract.

The declaration of a column decides, by SQLite's own rules in their order (https://www.sqlite.org/datatype3.html, 3.1);
where there is none, as of an expression, the values of the first batch do: int64, double, string or binary, and string
where there are only NULLs. NULL fits everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.connectors._wide_values import WIDE_BYTES, column_of
from penstock.errors import SourceError
from penstock.flow.losses import Losses, OnTypeLoss
from penstock.flow.types_table import TypeRow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "TYPE_TABLE",
    "Misfits",
    "arrow_type",
    "arrow_schema",
    "declared_type",
    "kind_of_names",
    "record_batch",
    "schema_of",
]

_ANYTHING_ELSE = "any other value: on_type_loss"
TYPE_TABLE: tuple[TypeRow, ...] = (
    TypeRow("declared as ...INT...", "int64", "all digits", "number", _ANYTHING_ELSE),
    TypeRow("BOOL, BOOLEAN", "bool", "true, false", "true, false", "0 and 1; " + _ANYTHING_ELSE),
    TypeRow(
        "...CHAR..., ...CLOB..., ...TEXT...",
        "string",
        "as it is",
        "text",
        "text that is not UTF-8, and " + _ANYTHING_ELSE,
    ),
    TypeRow("...REAL..., ...FLOA..., ...DOUB...", "double", "shortest exact form", "number", _ANYTHING_ELSE),
    TypeRow("NUMERIC, DECIMAL(p, s)", "double", "shortest exact form", "number", "SQLite itself keeps doubles"),
    TypeRow("...BLOB...", "binary", "base64", "base64 text", _ANYTHING_ELSE),
    TypeRow("anything else, expressions", "by the values of the first batch", "", "", _ANYTHING_ELSE),
)

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


@dataclass(frozen=True)
class Misfits:
    """What to do about values that do not fit the type of their column.

    Attributes:
        on_type_loss: ``"error"``; ``"warn"``, and they become NULL; ``"text"``, and columns in which any value may be
            are text.
        losses: told about those that became NULL.
        where: for messages.
    """

    on_type_loss: OnTypeLoss
    losses: Losses
    where: str


def declared_type(text: str) -> str | None:
    """Return the Arrow type of a column that is declared so; None where its values decide."""
    upper = text.upper()
    return next((kind for word, kind in _WORDS_IN_DECLARATIONS if word in upper), None)


def arrow_type(name: str) -> ArrowType:
    """Return the Arrow type of that name."""
    return _pyarrow().type_for_alias(name)


def schema_of(
    names: Sequence[str], declared_types: Sequence[str], first_rows: Sequence[Values], *, as_text: bool = False
) -> pa.Schema:
    """Choose a type for every column; ``first_rows`` decide where the declaration does not.

    Args:
        names: of the columns.
        declared_types: what they are declared as, ``""`` for nothing.
        first_rows: rows of the first batch.
        as_text: make every column text, whatever it is declared as.
    """
    columns = list(zip(*first_rows, strict=True)) or [()] * len(names)
    types = [
        "string" if as_text else declared_type(text) or _seen(values)
        for text, values in zip(declared_types, columns, strict=True)
    ]
    return arrow_schema(names, types)


def arrow_schema(names: Sequence[str], kinds: Sequence[str]) -> pa.Schema:
    """Return the schema of columns of those names and types."""
    arrow = _pyarrow()
    schema: pa.Schema = arrow.schema(
        [(name, arrow.type_for_alias(kind)) for name, kind in zip(names, kinds, strict=True)]
    )
    return schema


def kind_of_names(names: Collection[str]) -> str:
    """Return the Arrow type of a column in which SQLite's ``typeof()`` is one of ``names``."""
    return _kind_of({kind for kind, name in _SQLITE_NAMES.items() if name in names})


def record_batch(rows: Sequence[Values], schema: pa.Schema, *, misfits: Misfits, first_row: int) -> pa.RecordBatch:
    """Turn rows into a batch.

    Args:
        rows: at least one.
        schema: what :func:`schema_of` chose.
        misfits: what to do about values that do not fit.
        first_row: number of the first row, from 1, for messages.

    Raises:
        SourceError: a value does not fit the type of its column.
    """
    arrow = _pyarrow()
    columns = []
    for field, values in zip(schema, zip(*rows, strict=True), strict=True):
        try:
            columns.append(_array(values, field.type))
        except (_DoesNotFit, UnicodeEncodeError, arrow.ArrowInvalid) as exc:
            if misfits.on_type_loss == "error":
                raise _explained(values, field, where=misfits.where, first_row=first_row) from exc
            columns.append(_without_misfits(values, field, misfits))
    batch: pa.RecordBatch = arrow.RecordBatch.from_arrays(columns, schema=schema)
    return batch


def _without_misfits(values: Values, field: Any, misfits: Misfits) -> Any:
    """Make values that do not fit text, where the column is, or else NULL."""
    if misfits.on_type_loss == "text" and str(field.type) == "string":
        return _pyarrow().array([_text(value) for value in values], field.type)
    kept: list[object] = []
    for value in values:
        fits = value is None or _fits(value, field.type)
        kept.append(value if fits else None)
        if not fits:
            misfits.losses.add(field.name, f"{_kind_name(value)} does not fit {field.type}")
    return _array(tuple(kept), field.type)


def _kind_name(value: object) -> str:
    name = _SQLITE_NAMES.get(type(value), type(value).__name__)
    return f"{name} that is not UTF-8" if isinstance(value, str) and _is_broken(value) else name


def _is_broken(text: str) -> bool:
    """Whether there are surrogates in it, which stand for bytes that are no UTF-8."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _text(value: object) -> str | None:
    """Return a value as SQLite writes it, but a double with all its digits; text that is no UTF-8 as its bytes."""
    if isinstance(value, str) and _is_broken(value):
        value = value.encode(errors="surrogateescape")
    if isinstance(value, bytes):
        return f"X'{value.hex().upper()}'"
    if isinstance(value, float):
        return repr(value).replace("inf", "Inf")
    return value if value is None or isinstance(value, str) else str(value)


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
    if len(values) == 1 and isinstance(values[0], str | bytes) and len(values[0]) > WIDE_BYTES:
        return column_of(values[0], kind)
    return _pyarrow().array(values, kind)


def _seen(values: Values) -> str:
    return _kind_of(set(map(type, values)) - {type(None)})


def _kind_of(seen: set[type]) -> str:
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
    except (_DoesNotFit, UnicodeEncodeError, _pyarrow().ArrowInvalid):
        return False
    return True


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
