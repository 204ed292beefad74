"""Find JSON numbers that a double cannot hold exactly.

Arrow silently reads a number with a fraction, or an integer beyond int64, as the nearest double. Most numbers are short
enough to be safe, which one pass of a regular expression can tell; only lines with a long one are examined in Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from penstock.formats._arrow import ArrowType, pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["first_inexact_number"]

# A double holds any 15 digits with an exponent of two. Sixteen characters with a point are 15 digits, so those are
# looked at in vain.
_LONG_NUMBER = re.compile(rb"[:\[,]\s*+-?+(?:[\d.]{16,}+|[\d.]++[eE][-+]?+\d{3})")
# To see that there is none, ten times faster: how they look when every digit is 0.
_DIGITS = bytes.maketrans(b"0123456789.E", b"0" * 11 + b"e")
_SIGNS = (b"0" * 16, b"0e000", b"0e-000", b"0e+000")


def first_inexact_number(block: bytes, schema: pa.Schema) -> tuple[int, str, str] | None:
    """Return line (from 0), field name and text of the first number that was bent, None when all are exact."""
    if not any(_has_floats(field.type) for field in schema):
        return None
    digits = block.translate(_DIGITS)
    if not any(sign in digits for sign in _SIGNS):
        return None
    line_number = position = 0
    for match in _LONG_NUMBER.finditer(block):
        if match.start() < position:
            continue  # a line that has been looked at
        line_number += block.count(b"\n", position, match.start())
        start = block.rfind(b"\n", 0, match.start()) + 1
        end = block.find(b"\n", match.start())
        line = block[start : end if end >= 0 else len(block)]
        for name, number in _inexact(line, schema):
            return line_number, name, number
        position = start + len(line)
    return None


def _inexact(line: bytes, schema: pa.Schema) -> Iterator[tuple[str, str]]:
    record = json.loads(line, parse_float=Decimal, parse_constant=float)
    for field in schema:
        for number in _bent(record.get(field.name), field.type):
            yield field.name, str(number)


def _bent(value: Any, kind: ArrowType) -> Iterator[Decimal | int]:
    types = pyarrow().types
    if types.is_floating(kind):
        if isinstance(value, int | Decimal) and Decimal(repr(float(value))) != value:
            yield value
    elif types.is_list(kind):
        for item in value or ():
            yield from _bent(item, kind.value_type)
    elif types.is_struct(kind):
        for field in kind:
            yield from _bent((value or {}).get(field.name), field.type)


def _has_floats(kind: ArrowType) -> bool:
    if pyarrow().types.is_floating(kind):
        return True
    return any(_has_floats(kind.field(index).type) for index in range(kind.num_fields))
