"""Decode BSON into Python values, and write those as MongoDB's Extended JSON (v2), fast where possible.

pymongo's C extension decodes whole replies at a time. Values that Python has no type for keep a type of their own, so that
nothing is taken for something else: code is not a string, and dates beyond the year 9999 stay numbers.
"""

from __future__ import annotations

import base64
import json
import math
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from penstock._extras import need

__all__ = ["UUID_BYTES", "UUID_SUBTYPE", "Javascript", "decoder", "extended_json", "is_uuid", "plain_text"]

UUID_SUBTYPE = 4
UUID_BYTES = 16


class Javascript(dict[str, Any]):
    """Code, in the form Extended JSON has for it. bson's own is a string, which JSON would write as one."""


@cache
def decoder() -> Callable[[bytes | memoryview], list[dict[str, Any]]]:
    """Return a function from BSON documents, one after another, to dicts. It raises ``bson.errors.InvalidBSON``."""
    bson, options = _bson(""), _bson("codec_options")
    type_decoder: Any = options.TypeDecoder

    class CodeDecoder(type_decoder):  # type: ignore[misc]  # known at run time only
        bson_type = _bson("code").Code

        def transform_bson(self, value: Any) -> Javascript:
            scope = {} if value.scope is None else {"$scope": value.scope}
            return Javascript({"$code": str(value)} | scope)

    codec = options.CodecOptions(
        datetime_conversion=options.DatetimeConversion.DATETIME_AUTO,
        type_registry=options.TypeRegistry([CodeDecoder()]),
    )
    return lambda data: bson.decode_all(data, codec)


def extended_json(form: str) -> Callable[[Any], str]:
    """Return a function that writes a value as ``"relaxed"`` or ``"canonical"`` Extended JSON, on one line."""
    json_util = _bson("json_util")
    options = json_util.CANONICAL_JSON_OPTIONS if form == "canonical" else json_util.RELAXED_JSON_OPTIONS

    def slow(value: Any) -> str:
        text: str = json_util.dumps(value, json_options=options, ensure_ascii=False, separators=(",", ":"))
        return text

    if form == "canonical":
        return slow
    # The C encoder writes what JSON has, and asks json_util for the rest; but NaN it would not ask for.
    encode = json.JSONEncoder(
        ensure_ascii=False,
        check_circular=False,
        allow_nan=False,
        separators=(",", ":"),
        default=lambda value: json_util.default(value, options),
    ).encode

    def fast(value: Any) -> str:
        try:
            return encode(value)
        except ValueError:
            return slow(value)

    return fast


def plain_text(write_json: Callable[[Any], str]) -> Callable[[Any], str | None]:
    """Return a function that writes any value as the text it would be in CSV; strings as they are, None for null.

    Args:
        write_json: for what has no plainer form.
    """
    object_id, decimal = _bson("objectid").ObjectId, _bson("decimal128").Decimal128

    def write(value: Any) -> str | None:
        if value is None or type(value) is str:
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | object_id | decimal):
            return str(value)
        if isinstance(value, float):
            return _float_text(value)
        if isinstance(value, datetime):
            return f"{value.isoformat(timespec='milliseconds')}Z"
        if isinstance(value, bytes):
            return _bytes_text(value)
        return write_json(value)

    return write


def _float_text(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _bytes_text(value: bytes) -> str:
    """Return a UUID in its usual form, other bytes as base64."""
    if is_uuid(value):
        return str(uuid.UUID(bytes=bytes(value)))
    return base64.b64encode(value).decode()


def is_uuid(value: object) -> bool:
    """Whether these are the bytes of a UUID. Subtype 3, the old one, is not: its byte order depends on who wrote it."""
    return getattr(value, "subtype", 0) == UUID_SUBTYPE and len(value) == UUID_BYTES  # type: ignore[arg-type]  # bytes


def _bson(name: str) -> Any:
    return need(f"bson.{name}" if name else "bson", extra="mongo", why="read MongoDB")
