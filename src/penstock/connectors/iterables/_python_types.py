"""Turn Python values into Arrow columns without altering any.

pyarrow infers the type of a list of values, but alters some: a ``datetime`` in a column of dates loses its time, one
without a time zone among others with one becomes UTC, a new key of a nested dict is dropped. So which values a column may
hold is decided here, and pyarrow only converts them.

    Python                       Arrow
    bool, str, bytes             bool, string, binary
    int                          int64
    float, also beside int       double; an int that a double cannot hold exactly does not fit
    Decimal, also beside int     decimal128(38, digits after the point found first), decimal256 where it needs more
    date, time                   date32, time64[us]; a time with a zone does not fit
    datetime                     timestamp[us]; with the first one's zone where they have one: all or none
    timedelta                    duration[us]
    UUID                         arrow.uuid
    list, tuple; dict            list; struct
    None                         NULL; a column of nothing else is text

Numpy scalars, enums of int and the like are taken as what pyarrow says they are.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from penstock._extras import need

if TYPE_CHECKING:
    from penstock.flow.losses import OnTypeLoss

__all__ = ["Misfit", "array_of", "as_text", "type_of"]

ArrowType = Any  # pyarrow has no types of its own
Array = Any

_MOST_DIGITS = 38
_MOST_DIGITS_AT_ALL = 76
_SHOWN_CHARACTERS = 60
_BENDS_NOTHING = frozenset({bool, int, float, str, bytes, date, Decimal, timedelta})  # where all are of one type
_TOGETHER = (frozenset({int, float}), frozenset({int, Decimal}))
_UNBOUNDED = (int, Decimal, timedelta)


class Misfit(ValueError):
    """A value that the type of its column cannot hold; ``index`` says which of those given."""

    def __init__(self, index: int, value: object, why: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."
        super().__init__(f"{shown} ({type(value).__name__}), which {why}")
        self.index = index


def type_of(values: list[Any], on_type_loss: OnTypeLoss) -> ArrowType:
    """Return the Arrow type for a column that begins with ``values``.

    Args:
        values: None where there is none.
        on_type_loss: with ``"text"``, a column is text where Python's type has no bounds and Arrow's has, or where
            the values, or those in lists and dicts, have several types; with ``"warn"``, the first value decides, and others may not fit.

    Raises:
        Misfit: the values have no type in common, or one has none in Arrow.
    """
    arrow = _pyarrow()
    present = [value for value in values if value is not None]
    if not present:
        return arrow.string()
    kinds = {_kind(type(value)) for value in present}
    if on_type_loss == "text" and (len(kinds) > 1 or kinds & {*_UNBOUNDED}):
        return arrow.string()
    if len(kinds) > 1 and frozenset(kinds) not in _TOGETHER:
        if on_type_loss != "warn":
            raise _odd_one_out(values)
        first = _kind(type(present[0]))
        present = [value for value in present if _kind(type(value)) is first]
    if Decimal in kinds and _kind(type(present[0])) in {int, Decimal}:
        return _decimal_for(present)
    if on_type_loss == "text" and kinds <= {list, dict}:
        return _type_of_all(values, present) or arrow.string()
    return _settled(_inferred(values, present, on_type_loss))


def _type_of_all(values: list[Any], present: list[Any]) -> ArrowType | None:
    """Return the type that holds all of these lists or dicts, None where there is none."""
    try:
        kind = _settled(_pyarrow().array(present).type)
        array_of(values, kind)
    except _REFUSALS():  # a misfit is a ValueError
        return None
    return kind


def _decimal_for(present: list[Any]) -> ArrowType:
    """Return a decimal with as many digits after the point as any value has, and all the room there is before it.

    pyarrow's own guess fails where an int stands beside decimals.
    """
    arrow = _pyarrow()
    finite = [Decimal(value) for value in present if Decimal(value).is_finite()]
    scale = max((max(0, -int(value.as_tuple().exponent)) for value in finite), default=0)
    before_point = max((value.adjusted() + 1 for value in finite), default=1)
    if (
        max(scale, before_point + scale) <= _MOST_DIGITS
    ):  # of a small number the first digits behind the point are zeros
        return arrow.decimal128(_MOST_DIGITS, scale)
    return arrow.decimal256(_MOST_DIGITS_AT_ALL, min(scale, _MOST_DIGITS_AT_ALL))


def _inferred(values: list[Any], present: list[Any], on_type_loss: OnTypeLoss) -> ArrowType:
    try:
        return _pyarrow().array(present).type
    except _REFUSALS():
        if on_type_loss == "warn":
            return _first_type(present)
        raise _first_refused(values) from None


def _first_type(present: list[Any]) -> ArrowType:
    """Return the type of the first value that has one, text where none has."""
    for value in present:
        try:
            return _pyarrow().array([value]).type
        except _REFUSALS():
            continue
    return _pyarrow().string()


def _first_refused(values: list[Any]) -> Misfit:
    """Return which value pyarrow stumbled over: it does not say, so ever shorter beginnings are tried."""
    reasons: dict[int, str] = {}

    def is_refused(count: int) -> bool:
        try:
            _pyarrow().array(values[:count])
        except _REFUSALS() as exc:
            reasons[count] = _first_line(exc)
            return True
        return False

    count = bisect_left(range(len(values) + 1), True, lo=1, hi=len(values), key=is_refused)
    why = reasons.get(count) or "Arrow has no type for it"
    return Misfit(count - 1, values[count - 1], f"does not fit: {why}")


def array_of(values: list[Any], kind: ArrowType, lost: Callable[[str], None] | None = None) -> Array:
    """Return ``values`` as an Arrow array of type ``kind``, each exactly.

    Args:
        values: None where there is none.
        kind: what :func:`type_of` said.
        lost: called with the reason for each value that does not fit, which becomes NULL; None raises.

    Raises:
        Misfit: a value does not fit.
    """
    arrow = _pyarrow()
    if _may_bend(values, kind):
        values = _fitting(values, kind, lost)
    try:
        return arrow.array(values, type=kind)
    except _REFUSALS():
        return arrow.array(_convertible(values, kind, lost), type=kind)


def _fitting(values: list[Any], kind: ArrowType, lost: Callable[[str], None] | None) -> list[Any]:
    fitting = []
    for index, value in enumerate(values):
        why = _why_not(value, kind)
        if why:
            _lose(Misfit(index, value, why), why, lost)
        fitting.append(None if why else value)
    return fitting


def _convertible(values: list[Any], kind: ArrowType, lost: Callable[[str], None] | None) -> list[Any]:
    """Try them one by one: pyarrow does not say which it was."""
    arrow = _pyarrow()
    kept = []
    for index, value in enumerate(values):
        try:
            arrow.array([value], type=kind)
            kept.append(value)
        except _REFUSALS() as exc:
            why = f"does not fit {kind}"
            _lose(Misfit(index, value, f"{why}: {_first_line(exc)}"), why, lost, exc)
            kept.append(None)
    return kept


def _lose(misfit: Misfit, why: str, lost: Callable[[str], None] | None, cause: Exception | None = None) -> None:
    if lost is None:
        raise misfit from cause
    lost(why)


def as_text(value: object) -> str | None:
    """Return what stands for ``value`` in a column that became text."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, (dict, list, tuple)):
        return str(value)
    try:
        return json.dumps(value, default=str)
    except (TypeError, ValueError):  # keys that JSON has not; a list that is in itself
        return str(value)


# -- what pyarrow would bend -------------------------------------------------------------------------------------------


def _may_bend(values: list[Any], kind: ArrowType) -> bool:
    """Whether values must be looked at one by one. Mostly one look at their types says that they need not."""
    types = set(map(type, values)) - {type(None)}
    if types <= _BENDS_NOTHING and len(types) == 1:
        (only,) = types
        return _why_not_kind(only, kind) is not None
    return bool(types)


def _why_not(value: Any, kind: ArrowType) -> str | None:
    """Say why ``value`` may not stand in a column of ``kind``; None where pyarrow may try."""
    if value is None:
        return None
    why = _why_not_kind(_kind(type(value)), kind)
    if why is not None:
        return why
    types = _pyarrow().types
    if isinstance(value, datetime) and (value.tzinfo is None) is not (kind.tz is None):
        return f"has {'no' if value.tzinfo is None else 'a'} time zone, unlike those before ({kind})"
    if isinstance(value, time) and value.tzinfo is not None:
        return f"has a time zone, which {kind} can not hold"
    if types.is_list(kind):
        return _first_reason((item, kind.value_type) for item in value)
    if types.is_struct(kind):
        return _why_not_struct(value, kind)
    return None


def _why_not_struct(value: Mapping[str, Any], kind: ArrowType) -> str | None:
    fields = {field.name: field.type for field in kind}
    new = next((name for name in value if name not in fields), None)
    if new is not None:
        return f"has the field {new!r}, which those before did not have"
    return _first_reason((item, fields[name]) for name, item in value.items())


def _first_reason(items: Iterable[tuple[Any, ArrowType]]) -> str | None:
    return next((why for why in (_why_not(item, kind) for item, kind in items) if why), None)


def _why_not_kind(found: type, kind: ArrowType) -> str | None:
    expected = _EXPECTED.get(found)
    types = _pyarrow().types
    if expected is None or any(getattr(types, f"is_{name}")(kind) for name in expected):
        return None
    return f"does not fit {kind}"


_EXPECTED: dict[type, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("integer", "floating", "decimal"),
    float: ("floating",),
    str: ("string",),
    bytes: ("binary",),
    Decimal: ("decimal",),
    datetime: ("timestamp",),
    date: ("date32",),
    time: ("time",),
    timedelta: ("duration",),
    dict: ("struct",),
    list: ("list",),
}

_KINDS: dict[type, type] = {}


def _kind(found: type) -> type:
    """Return which of the types above ``found`` is, or is derived from; itself where it is none."""
    kind = _KINDS.get(found)
    if kind is None:
        # In this order: a bool is an int, a datetime is a date.
        bases = (bool, int, float, str, Decimal, datetime, date, time, timedelta)
        kind = next((base for base in bases if issubclass(found, base)), found)
        kind = bytes if issubclass(found, (bytes, bytearray, memoryview)) else kind
        kind = dict if issubclass(found, Mapping) else list if issubclass(found, (list, tuple)) else kind
        if len(_KINDS) < _MOST_KINDS_KEPT:
            _KINDS[found] = kind
    return kind


_MOST_KINDS_KEPT = 1000  # classes are made at run time, too


def _odd_one_out(values: list[Any]) -> Misfit:
    first = next(value for value in values if value is not None)
    kinds = {_kind(type(first))}
    for index, value in enumerate(values):
        if value is not None and _kind(type(value)) not in kinds:
            kinds.add(_kind(type(value)))
            if frozenset(kinds) not in _TOGETHER:
                return Misfit(index, value, f"comes where there was {type(first).__name__} before")
    raise AssertionError("there is one, or nobody would ask")


def _settled(kind: ArrowType) -> ArrowType:
    """Return ``kind`` with room for what may follow: all digits a decimal can have, text where nothing was found."""
    arrow = _pyarrow()
    types = arrow.types
    if types.is_null(kind):
        return arrow.string()
    if types.is_decimal(kind):
        if max(kind.precision, kind.scale) <= _MOST_DIGITS:
            return arrow.decimal128(_MOST_DIGITS, kind.scale)
        return arrow.decimal256(_MOST_DIGITS_AT_ALL, kind.scale)
    if types.is_list(kind):
        return arrow.list_(_settled(kind.value_type))
    if types.is_struct(kind):
        return arrow.struct([(field.name, _settled(field.type)) for field in kind])
    return kind


def _REFUSALS() -> tuple[type[Exception], ...]:  # noqa: N802 - a constant, but for the import
    return (_pyarrow().ArrowException, OverflowError, TypeError, ValueError)


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
