"""Find JSON values that the type of their column cannot hold, and rewrite the lines without them.

Arrow parses a block of lines as a whole and stops at the first value that does not fit. Only then are the lines examined
here, one by one in Python. Lines without such a value stay unchanged, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from penstock.core.cancel import check_cancelled
from penstock.formats._arrow import ArrowType, pyarrow, pyarrow_json

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["as_text", "first_misfit", "fits", "kind_of", "record_of", "rewritten"]

_SHOWN_CHARACTERS = 60
_INT64_CHARACTERS = 20
Replace = Callable[[str, Any], Any]


class _Number(str):
    """A number as it stands in the text, with all its digits."""

    __slots__ = ()


def record_of(line: bytes) -> dict[str, Any] | None:
    """Return the object on a line, numbers as they stand there; None if it is none, or has a field twice."""
    try:
        record = json.loads(line, parse_int=_Number, parse_float=_Number, object_pairs_hook=_without_repeated)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _without_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a field is there twice")
    return record


def rewritten(block: bytes, replace: Replace) -> bytes:
    """Return the lines of ``block``, with other values where ``replace(name, value)`` returns another one."""
    return b"\n".join(_line(line, replace) for line in block.split(b"\n"))


def _line(line: bytes, replace: Replace) -> bytes:
    check_cancelled()
    record = record_of(line)
    if record is None:  # whoever parses it next says what is wrong
        return line
    changed = {name: replace(name, value) for name, value in record.items()}
    if all(changed[name] is value for name, value in record.items()):
        return line
    return _written(changed).encode()


def as_text(value: Any) -> str | None:
    """Return what stands for ``value`` in a column that is text: JSON, but text as it is."""
    if value is None or (isinstance(value, str) and not isinstance(value, _Number)):
        return value
    return _written(value)


def _written(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_written(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


def first_misfit(line: bytes, schema: pa.Schema) -> str:
    """Say which value of a line does not fit its column; nothing where all do."""
    for name, value in (record_of(line) or {}).items():
        if name in schema.names and not fits(value, schema.field(name).type):
            shown = _written(value)
            shown = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."
            return f"{name!r} is {shown}, which does not fit {schema.field(name).type}"
    return ""


def kind_of(value: Any) -> str:
    """Return what JSON calls a value."""
    if isinstance(value, _Number):
        return "number"
    return {bool: "boolean", str: "string", list: "array", dict: "object"}.get(type(value), "null")


def fits(value: Any, kind: ArrowType) -> bool:
    """Whether Arrow's type holds the value exactly."""
    if value is None:
        return True
    types = pyarrow().types
    if types.is_struct(kind):
        return isinstance(value, dict) and all(_fit_in_struct(value, kind))
    if types.is_list(kind):
        return isinstance(value, list) and all(fits(item, kind.value_type) for item in value)
    if types.is_string(kind) or types.is_large_string(kind):
        return kind_of(value) == "string"
    if types.is_floating(kind):
        return isinstance(value, _Number) and Decimal(repr(float(value))) == Decimal(value)
    return _parses(value, kind)


def _fit_in_struct(value: dict[str, Any], kind: ArrowType) -> Iterator[bool]:
    known = {field.name: field.type for field in kind}
    for name, item in value.items():
        yield name in known and fits(item, known[name])


def _parses(value: Any, kind: ArrowType) -> bool:
    """Ask Arrow, which knows what it takes for an integer, a boolean, a time."""
    if pyarrow().types.is_int64(kind):  # most are, and Arrow takes its time over each
        is_whole = isinstance(value, _Number) and value.lstrip("-").isdigit()
        return is_whole and len(value) <= _INT64_CHARACTERS and -(2**63) <= int(value) < 2**63
    arrow_json = pyarrow_json()
    line = _written({"v": value}).encode()
    try:
        arrow_json.read_json(
            pyarrow().BufferReader(line),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(line) + 1),
            parse_options=arrow_json.ParseOptions(explicit_schema=pyarrow().schema([("v", kind)])),
        )
    except pyarrow().ArrowInvalid:
        return False
    return True
