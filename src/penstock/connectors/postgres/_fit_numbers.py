"""What numbers lose in PostgreSQL's numeric, money and floats."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from penstock._extras import need
from penstock.connectors._float_digits import finite_number, first_lost
from penstock.connectors.postgres._encode import Unloadable
from penstock.connectors.postgres._fit_looking import Check, matches, texts_of

__all__ = ["number_check"]

_HEADER = 4  # what a modifier counts besides the number
_SCALE_BITS = 11
_MONEY_SCALE = 2
_FLOATS = {"float4": "float", "float8": "double"}  # as Arrow calls them


def number_check(kind: Any, type_name: str, modifier: int) -> Check | None:
    """Return what looks at a column of Arrow's ``kind`` for what the server's type rounds; None for no doubt."""
    if type_name in _FLOATS:
        return _float_check(kind, type_name)
    if type_name == "numeric" and modifier >= 0:
        return _scale_check(kind, _scale(modifier))
    return _scale_check(kind, _MONEY_SCALE) if type_name == "money" else None


def _scale(modifier: int) -> int:
    """Return the digits behind the point: a signed number in the lowest bits."""
    sign = 1 << (_SCALE_BITS - 1)
    return (((modifier - _HEADER) & ((1 << _SCALE_BITS) - 1)) ^ sign) - sign


def _scale_check(kind: Any, scale: int) -> Check | None:
    types = _pyarrow().types
    if scale >= 0 and (types.is_integer(kind) or (types.is_decimal(kind) and kind.scale <= scale)):
        return None
    what = f"has more than the {scale} digits behind the point that the table keeps"
    return lambda column: _refuse_digits(column, rf"\.\d{{{max(scale, 0)}}}\d*[1-9]|[eE]", scale, what)


def _refuse_digits(column: Any, suspicious: str, scale: int, what: str) -> None:
    texts = texts_of(column)
    doubtful = texts if scale < 0 else texts.filter(matches(texts, suspicious))
    for text in doubtful.drop_null().to_pylist():
        number = finite_number(text)
        if number and _last_place(number) < -scale:
            raise Unloadable(f"{text} {what}; round it before")


def _last_place(number: Decimal) -> int:
    """Return the exponent of the last digit that is not zero; there is one. Arithmetic would round to the context's digits."""
    _sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    return int(exponent) + len(digits) - len(text)


def _float_check(kind: Any, type_name: str) -> Check | None:
    name = _FLOATS[type_name]
    float_kind = _pyarrow().type_for_alias(name)
    if not _pyarrow().types.is_floating(kind):
        return lambda column: _refuse_lost_digits(texts_of(column), name)
    if kind.bit_width <= float_kind.bit_width:
        return None
    return lambda column: _refuse_finer_floats(column, float_kind)


def _refuse_finer_floats(column: Any, float_kind: Any) -> None:
    compute = _compute()
    back = column.cast(float_kind).cast(column.type)
    same = compute.or_(compute.equal(back, column), compute.is_nan(column))
    different = column.filter(compute.invert(same))
    if len(different):
        raise Unloadable(f"{different[0]} is not the same any more as a {float_kind}, which is what the table has")


def _refuse_lost_digits(texts: Any, name: str) -> None:
    if (text := first_lost(texts, name)) is not None:
        raise Unloadable(f"{text} is not the same any more as a {name}, which is what the table has")


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="look at columns")
