"""Check whether a float can hold a number written as text without losing digits, which databases do not check."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from penstock._extras import need

__all__ = ["finite_number", "first_lost"]

# What may not survive, by what Arrow calls the float: more significant digits than it always has, or an exponent near its ends,
# where it has fewer.
_DOUBTFUL = {"float": r"\d[\d.]{6,}|[eE][+-]?\d{2}", "double": r"\d[\d.]{15,}|[eE][+-]?\d{3}"}


def first_lost(texts: Any, float_name: str) -> str | None:
    """Return the first text whose number changes when stored as a ``"float"`` or ``"double"``; None if there is none.

    0.1 does not count as changed, because that float is written as 0.1. Text that is no number is skipped.
    """
    kind = _pyarrow().type_for_alias(float_name)
    doubtful = texts.filter(_compute().match_substring_regex(texts, _DOUBTFUL[float_name]))
    for text in _without_same(doubtful, kind).to_pylist():
        number = finite_number(text)
        if number is not None and number not in _meant_by(text.strip(), kind):
            return str(text)
    return None


def finite_number(text: str) -> Decimal | None:
    """Return the finite number that a text is; None for what the server has to judge."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _without_same(texts: Any, kind: Any) -> Any:
    """Leave out what is written in the same way again: all but a few, in one step."""
    try:
        return texts.filter(_compute().not_equal(texts, texts.cast(kind).cast(texts.type)))
    except _pyarrow().ArrowInvalid:  # one of them is no number
        return texts


def _meant_by(text: str, kind: Any) -> tuple[Decimal, Decimal]:
    """Return what the float of a text is exactly, and what it is written as."""
    value = _pyarrow().array([text]).cast(kind)
    return Decimal(value[0].as_py()), Decimal(value.cast(_pyarrow().string())[0].as_py())


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="look at columns")
