"""Describe in a few words how a text format writes values of an Arrow type, for ``penstock plan``. Pure."""

from __future__ import annotations

import re

__all__ = ["form_of"]

_CSV = frozenset({"csv", "tsv"})
_JSON = frozenset({"ndjson", "jsonl", "json"})

# (the beginning of the type's name, in CSV, in JSON); the first that fits counts.
_FORMS: tuple[tuple[str, str, str], ...] = (
    ("null", "empty", "null"),
    ("bool", "true or false", "true or false"),
    (r"u?int\d", "digits", "number"),
    ("decimal", "all digits", "number, all digits"),
    ("float|double|halffloat", "digits that read back the same", 'number; "NaN", "Infinity"'),
    ("timestamp.*tz=", "date and time in UTC, marked so", "ISO 8601 date and time with offset"),
    ("timestamp", "date and time", "ISO 8601 date and time"),
    ("date", "ISO 8601 date", "ISO 8601 date"),
    ("time", "time of day", "time of day"),
    ("duration|month|interval", "ISO 8601 duration", "ISO 8601 duration"),
    (r"(large_)?binary|fixed_size_binary", "base64", "base64"),
    ("extension<arrow.uuid", "usual form, with hyphens", "usual form, with hyphens"),
    ("extension<arrow.json", "the JSON itself", "the JSON itself, as a string"),
    (r"(large_|fixed_size_)?list|struct|map", "JSON", "array or object"),
    ("dictionary", "its value, as text", "its value, as a string"),
    (r"(large_)?string|utf8", "text in quotes", "string"),
)


def form_of(arrow_type: str, format_name: str) -> str:
    """Return how values of ``arrow_type`` are written in ``format_name``.

    ``""`` where that says nothing new: formats that have Arrow's own types (Parquet, Arrow), types nobody knows.
    """
    if format_name not in _CSV | _JSON:
        return ""
    for beginning, in_csv, in_json in _FORMS:
        if re.match(beginning, arrow_type):
            return in_csv if format_name in _CSV else in_json
    return ""
