"""Choose Arrow types for columns of BSON values. :data:`TYPE_TABLE` lists every type.

MongoDB has types on values, not on fields; Arrow and everything after it has them on columns. A column gets its type
from the documents that were looked at first, and a value that does not fit it is an error naming the field and the
``_id``: nothing is bent, nothing becomes NULL unless that was asked for. ``TYPE_TABLE`` has the rules; NULL, and a field
that is not there, fit everywhere and are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from math import copysign
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.connectors.mongodb._block import BsonType
from penstock.connectors.mongodb._json import Javascript, extended_json, is_uuid, plain_text
from penstock.connectors.mongodb._nested import take_nested
from penstock.connectors.mongodb._vectors import TAKES, Take
from penstock.flow.losses import OnTypeLoss
from penstock.flow.types_table import TypeRow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TYPE_TABLE", "Kind", "Kinds", "are_exact", "bson_name", "int64_type", "python_type"]

_MISFIT = "a value of another type: error; warn: NULL; text: the column is text"
_EXTENDED = "relaxed Extended JSON; `json=canonical` keeps the types of numbers"

TYPE_TABLE: tuple[TypeRow, ...] = (
    TypeRow("double", "double", "shortest exact form; NaN, Infinity", "number; NaN and infinities as strings"),
    TypeRow("int, long", "int64", "digits", "number", "doubles that are whole numbers up to 2^53 fit as well"),
    TypeRow("double mixed with int, long", "double", "as double", "as double", "integers beyond 2^53 do not fit"),
    TypeRow("decimal", "string", "all digits; NaN, Infinity", "string, all digits", "exact: 34 digits, 10^±6144"),
    TypeRow("string", "string", "as it is", "string"),
    TypeRow("bool", "bool", "true, false", "true, false"),
    TypeRow("date", "timestamp[ms, UTC]", "ISO 8601", "ISO 8601", "years beyond 1 to 9999 do not fit"),
    TypeRow("objectId", "string", "24 hexadecimal digits", "string"),
    TypeRow("binData", "binary", "base64", "base64", "the subtype is dropped"),
    TypeRow("binData, subtype 4", "string", "UUID, 8-4-4-4-12", "string", "where every value of the field is one"),
    TypeRow("object, array", "string", "JSON", "string of JSON", _EXTENDED),
    TypeRow("regex, timestamp, javascript, minKey, maxKey", "string", "JSON", "string of JSON", "Extended JSON"),
    TypeRow("symbol", "string", "as it is", "string"),
    TypeRow("null, undefined, a missing field", "NULL", "NULL", "null", "fits everywhere"),
    TypeRow("a field with values of several types", "none", "", "", _MISFIT),
)

_FAR_DATE = "date beyond year 9999"  # or before year 1; Python has no such dates, nor do CSV and JSON
_SUBTYPED = "binData of a subtype"
_MOST_EXACT = 1 << 53  # up to here a double holds every integer

_NAMES = {
    BsonType.DOUBLE: "double",
    BsonType.STRING: "string",
    BsonType.DOCUMENT: "object",
    BsonType.ARRAY: "array",
    BsonType.BINARY: "binData",
    BsonType.OBJECT_ID: "objectId",
    BsonType.BOOL: "bool",
    BsonType.DATE: "date",
    BsonType.CODE: "javascript",
    BsonType.SYMBOL: "string",
    BsonType.CODE_WITH_SCOPE: "javascript",
    BsonType.INT: "int",
    BsonType.TIMESTAMP: "timestamp",
    BsonType.LONG: "long",
    BsonType.DECIMAL: "decimal",
    BsonType.MAX_KEY: "maxKey",
    BsonType.MIN_KEY: "minKey",
}
_UNUSUAL_NAMES = {BsonType.BINARY: _SUBTYPED, BsonType.DATE: _FAR_DATE, BsonType.DOCUMENT: "DBRef"}

_ABSENT = type(None)

Build = Callable[[Sequence[Any]], "pa.Array[Any]"]


@dataclass(frozen=True)
class Kind:
    """What a column holds.

    Attributes:
        name: as MongoDB calls it, for messages.
        arrow_type: of the column.
        types: Python types whose values all fit.
        fits: whether a value of another type fits all the same.
        build: makes the column of values that fit, and of None.
        take: makes the column of what was received, as far as that goes.
    """

    name: str
    arrow_type: Any
    types: frozenset[type]
    fits: Callable[[Any], bool]
    build: Build
    take: Take

    def misfits(self, values: Sequence[Any]) -> list[int]:
        """Return which of these values do not fit, by their places."""
        if set(map(type, values)) <= self.types | {_ABSENT}:
            return []
        types, fits = self.types, self.fits
        return [
            number for number, value in enumerate(values) if not (value is None or type(value) in types or fits(value))
        ]


class Kinds:
    """Every kind of column there is.

    Args:
        form: of Extended JSON, ``"relaxed"`` or ``"canonical"``.
    """

    def __init__(self, form: str) -> None:
        arrow, types = _pyarrow(), _bson_types()
        write_json = extended_json(form)
        takes = TAKES | {"object": take_nested} if form == "relaxed" else TAKES
        self._groups = _groups(types)
        self.text_of = plain_text(write_json)

        def kind(name: str, alias: str, build: Build | None, *names: str, fits: Callable[[Any], bool] = _never) -> Kind:
            arrow_type = arrow.timestamp("ms", "UTC") if alias == "timestamp" else arrow.type_for_alias(alias)
            return Kind(
                name,
                arrow_type,
                frozenset(types[name] for name in names),
                fits,
                build or (lambda values: arrow.array(values, arrow_type)),
                takes[name],
            )

        def texts(write: Callable[[Any], str | None]) -> Build:
            return lambda values: arrow.array([None if v is None else write(v) for v in values], arrow.string())

        nested = ("object", "array", "regex", "javascript", "timestamp", "minKey", "maxKey", "DBRef")
        self._kinds = {
            "bool": kind("bool", "bool", None, "bool"),
            "long": kind("long", "int64", None, "int", "long", fits=_is_whole),
            "double": kind("double", "double", None, "int", "double", fits=_is_exact),
            "string": kind("string", "string", None, "string"),
            "date": kind("date", "timestamp", None, "date"),
            "objectId": kind("objectId", "string", texts(str), "objectId"),
            "decimal": kind("decimal", "string", texts(str), "decimal"),
            "binData": kind("binData", "binary", None, "binData", _SUBTYPED),
            "uuid": kind("binData, subtype 4", "string", texts(self.text_of), fits=is_uuid),
            "object": kind("object", "string", texts(write_json), *nested),
        }
        self.text = kind("text", "string", texts(self.text_of), fits=lambda _value: True)

    def choose(self, seen: Counter[type], on_type_loss: OnTypeLoss, *, all_uuids: bool, all_exact: bool) -> Kind:
        """Choose the kind of a column.

        Args:
            seen: how many values of each Python type were looked at.
            on_type_loss: what is to happen to values that do not fit.
            all_uuids: whether its binary values are all UUIDs.
            all_exact: whether a double could hold all of its integers.
        """
        groups: Counter[str] = Counter()
        for kind, count in seen.items():
            groups[self._groups.get(kind, "object")] += count
        if groups.keys() == {"long", "double"} and all_exact:
            return self._kinds["double"]
        if len(groups) > 1 and on_type_loss == "text":
            return self.text
        if groups["double"]:
            groups["double"] += groups.pop("long", 0)
        groups["date"] += groups.pop(_FAR_DATE, 0)
        name = groups.most_common(1)[0][0] if groups.total() else "string"
        if on_type_loss == "text" and name == "date" and _bson_types()[_FAR_DATE] in seen:
            return self.text
        return self._kinds["uuid" if name == "binData" and all_uuids else name]


def bson_name(kind: type) -> str:
    """Return what MongoDB calls the type of values that Python has as ``kind``."""
    name = next((name for name, python in _bson_types().items() if python is kind), "object")
    return "binData" if name == _SUBTYPED else name


def python_type(code: int, *, is_unusual: bool = False) -> type:
    """Return the Python type of values whose BSON type is ``code``; see :func:`penstock.connectors.mongodb._values.unusual`."""
    return _bson_types()[(_NAMES | _UNUSUAL_NAMES if is_unusual else _NAMES)[code]]


def int64_type() -> type:
    """Return the type of 64-bit integers; 32-bit ones are ``int``."""
    return _bson_classes()["Int64"]


def are_exact(integers: Iterable[int]) -> bool:
    """Whether a double could hold each of them."""
    return all(-_MOST_EXACT <= value <= _MOST_EXACT for value in integers)


def _groups(types: dict[str, type]) -> dict[type, str]:
    """Return which kind of column each type asks for, where it is not "object"."""
    same = ("bool", "double", "string", "date", "objectId", "decimal", "binData", "long", _FAR_DATE)
    return {types[name]: name for name in same} | {types["int"]: "long", types[_SUBTYPED]: "binData"}


@cache
def _bson_types() -> dict[str, type]:
    """Return the Python type of every BSON type, by MongoDB's names of those."""
    classes = _bson_classes()
    return {
        "bool": bool,
        "int": int,
        "long": classes["Int64"],
        "double": float,
        "string": str,
        "date": datetime,
        _FAR_DATE: classes["DatetimeMS"],
        "objectId": classes["ObjectId"],
        "decimal": classes["Decimal128"],
        "binData": bytes,
        _SUBTYPED: classes["Binary"],
        "object": dict,
        "array": list,
        "regex": classes["Regex"],
        "javascript": Javascript,
        "timestamp": classes["Timestamp"],
        "minKey": classes["MinKey"],
        "maxKey": classes["MaxKey"],
        "DBRef": classes["DBRef"],
    }


@cache
def _bson_classes() -> dict[str, type]:
    homes = {
        "Int64": "int64",
        "DatetimeMS": "datetime_ms",
        "ObjectId": "objectid",
        "Decimal128": "decimal128",
        "Binary": "binary",
        "Regex": "regex",
        "Timestamp": "timestamp",
        "MinKey": "min_key",
        "MaxKey": "max_key",
        "DBRef": "dbref",
    }
    return {
        name: getattr(need(f"bson.{home}", extra="mongo", why="read MongoDB"), name) for name, home in homes.items()
    }


def _never(_value: Any) -> bool:
    return False


def _is_whole(value: Any) -> bool:
    """Whether a double is an integer, and no negative zero, which an integer cannot be."""
    if type(value) is not float or not value.is_integer() or abs(value) > _MOST_EXACT:
        return False
    return value != 0 or copysign(1.0, value) > 0


def _is_exact(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and are_exact([value])


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
