"""SQL conditions for text that may be loaded into another type: it states a value of that type, and nothing is lost."""

from __future__ import annotations

from penstock.connectors._sql import literal

__all__ = ["text_condition"]

# Written again it is the same text. That suffices for any type, and is all there is to canonical ones.
_SAME_TEXT = "CAST({f} AS VARCHAR) = {v}"
_CANONICAL = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
        *("UHUGEINT", "BIGNUM", "BIT", "INTERVAL", "TIME WITH TIME ZONE"),
    }
)
# DuckDB takes what it is, however it is written, or nothing.
_TAKEN = frozenset({"UUID", "JSON"})

_BOOLEANS = "lower({v}) IN ('true', 'false', 't', 'f', '1', '0') AND {f} IS NOT NULL"
_WHOLE = "(?:0|[1-9][0-9]*)"
_DATE = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_MIDNIGHT = r"00:00(?::00(?:\.0+)?)?"
_UTC = "(?:Z| ?[+]00(?::?00)?)"
_OFFSET = "(?:Z| ?[+-][0-9]{2}(?::?[0-9]{2})?)"
_SECOND_DIGITS = {
    "TIMESTAMP_S": 0,
    "TIMESTAMP_MS": 3,
    "TIMESTAMP": 6,
    "TIMESTAMP_NS": 9,
    "TIMESTAMP WITH TIME ZONE": 6,
    "TIMESTAMPTZ_NS": 9,
    "TIME": 6,
    "TIME_NS": 9,
}


def text_condition(target: str) -> str | None:
    """Return the condition for text ``{v}`` to be the value ``{f}`` of the type ``target``; None to refuse all text."""
    if target in _CANONICAL or target.startswith("ENUM("):
        return None if target.endswith("[]") else _SAME_TEXT
    if target in _TAKEN:
        return "{f} IS NOT NULL"
    if target == "BOOLEAN":
        return _BOOLEANS
    if target in {"FLOAT", "DOUBLE"}:
        return _float_condition()
    pattern = _pattern(target)
    if pattern is None:
        return None
    return f"{_SAME_TEXT} OR ({{f}} IS NOT NULL AND {_written_as(pattern)})"


def _pattern(target: str) -> str | None:
    if target.startswith("DECIMAL(") and target.endswith(")"):
        fraction = _fraction(int(target.removesuffix(")").rpartition(",")[2]))
        return f"-?(?:{_WHOLE}{fraction}?|{fraction})"
    if target == "DATE":
        return f"{_DATE}(?:[ T]{_MIDNIGHT})?"
    if target not in _SECOND_DIGITS:
        return None
    time = f"(?:[01]?[0-9]|2[0-3]):[0-9]{{2}}(?::[0-9]{{2}}{_fraction(_SECOND_DIGITS[target])}?)?"
    if target in {"TIME", "TIME_NS"}:
        return time
    is_zoned = target in {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"}
    return f"{_DATE}[ T]{time}{_OFFSET}" if is_zoned else f"{_DATE}(?:[ T]{time}{_UTC}?)?"


def _fraction(digits: int) -> str:
    """Match so many digits behind the point, and zeros after them."""
    return rf"(?:\.[0-9]{{0,{digits}}}0*)"


def _float_condition() -> str:
    """Return the condition that the digits of a text are those of the float as written, or as it is exactly.

    The power of ten need not be compared: with another one it would be another float.
    """
    number = _written_as(rf"-?(?:{_WHOLE}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
    same_digits = f"{_significant('{v}')} = {_significant('CAST({f} AS VARCHAR)')}"
    exactly = "CAST(TRY_CAST({f} AS HUGEINT) AS VARCHAR) = {v}"
    no_number = "lower({v}) IN ('nan', 'inf', '-inf', 'infinity', '-infinity') AND {f} IS NOT NULL"
    return f"{_SAME_TEXT} OR ({number} AND ({same_digits} OR {exactly})) OR ({no_number})"  # the first is the fastest


def _significant(text: str) -> str:
    """Return the digits of a number, in SQL: without sign, point, exponent, and the zeros around them."""
    return f"trim(replace(split_part(lower({text}), 'e', 1), '.', ''), '-0')"


def _written_as(pattern: str) -> str:
    return f"regexp_full_match({{v}}, {literal(pattern)})"
