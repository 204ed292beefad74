"""The type contract of MongoDB: every BSON type, what becomes of it, and what does not fit."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import bson
import pyarrow as pa
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.dbref import DBRef
from bson.raw_bson import RawBSONDocument

from penstock.connectors.mongodb import _walk as _mongo_walk
from penstock.connectors.mongodb._types import TYPE_TABLE
from penstock.errors import SourceError
from penstock.flow.losses import Losses
from tests.connectors.parts import read_rows, read_table, source_of
from tests.servers.mongo import MongoDatabase

UUID_TEXT = "01234567-89ab-cdef-0123-456789abcdef"
FAR = DatetimeMS(253402300800000)  # the first moment of year 10000


@pytest.fixture(autouse=True, params=[True, False], ids=["decoded", "from bytes"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is said here holds of few documents, which are decoded, and of many, whose bytes become columns."""
    if not request.param:
        monkeypatch.setattr(_mongo_walk, "_FEWEST_DOCUMENTS", 0)


def column(database: MongoDatabase, *values: object, **wanted: Any) -> pa.ChunkedArray[Any]:
    """The column that these values become."""
    database.insert("c", [{"_id": number, "v": value} for number, value in enumerate(values)])
    return read_table(source_of(database.uri, table="c", **wanted))["v"]


@pytest.mark.parametrize(
    ("values", "arrow_type", "expected"),
    [
        ([True, False, None], pa.bool_(), [True, False, None]),
        ([1, Int64(2**63 - 1), -(2**63)], pa.int64(), [1, 2**63 - 1, -(2**63)]),
        ([1, 2.0, None], pa.float64(), [1.0, 2.0, None]),
        ([0.1, 5e-324, -0.0, Int64(2**53)], pa.float64(), [0.1, 5e-324, -0.0, 2.0**53]),
        (["", "a'\n\"\t\u2028\U0001f600", None], pa.string(), ["", "a'\n\"\t\u2028\U0001f600", None]),
        (
            [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)],
            pa.timestamp("ms", "UTC"),
            None,
        ),
        ([ObjectId("65a00000000000000000000f")], pa.string(), ["65a00000000000000000000f"]),
        ([b"\0\xff", b"", None], pa.binary(), [b"\0\xff", b"", None]),
        ([b"x", Binary(b"y", 5)], pa.binary(), [b"x", b"y"]),
        ([Binary(UUID(UUID_TEXT).bytes, 4), None], pa.string(), [UUID_TEXT, None]),
        ([Binary(UUID(UUID_TEXT).bytes, 4), b"z"], pa.binary(), [UUID(UUID_TEXT).bytes, b"z"]),
        ([{"a": 1, "b": {"c": None}}, [1, "x"], {}], pa.string(), ['{"a":1,"b":{"c":null}}', '[1,"x"]', "{}"]),
        ([{"t": datetime(2026, 1, 1, tzinfo=UTC)}], pa.string(), ['{"t":{"$date":"2026-01-01T00:00:00Z"}}']),
        ([Regex("^a", "i")], pa.string(), ['{"$regularExpression":{"pattern":"^a","options":"i"}}']),
        ([Timestamp(5, 2)], pa.string(), ['{"$timestamp":{"t":5,"i":2}}']),
        ([None, None], pa.string(), [None, None]),
    ],
    ids=str,
)
def test_each_type_becomes_what_the_table_says(
    any_mongo: MongoDatabase, values: list[object], arrow_type: pa.DataType, expected: list[object] | None
) -> None:
    """Exactly, at its limits, with NULLs among it."""
    found = column(any_mongo, *values)
    assert found.type == arrow_type
    assert found.to_pylist() == (values if expected is None else expected)


@pytest.mark.parametrize(
    ("values", "arrow_type", "expected"),
    [
        ([math.inf, -math.inf, 1.0], pa.float64(), [math.inf, -math.inf, 1.0]),
        ([{"a": math.nan}], pa.string(), ['{"a":{"$numberDouble":"NaN"}}']),
        (
            [Decimal128("1.10"), Decimal128("NaN"), Decimal128("-Infinity"), Decimal128("1E+6144"), Decimal128("-0")],
            pa.string(),
            ["1.10", "NaN", "-Infinity", "1.000000000000000000000000000000000E+6144", "-0"],
        ),
        ([Decimal128("9" * 34)], pa.string(), ["9" * 34]),
        ([Code("f()"), Code("g()", {"x": 1})], pa.string(), ['{"$code":"f()"}', '{"$code":"g()","$scope":{"x":1}}']),
        ([{"in": Code("f()")}], pa.string(), ['{"in":{"$code":"f()"}}']),
        ([MinKey(), MaxKey()], pa.string(), ['{"$minKey":1}', '{"$maxKey":1}']),
        ([DBRef("c", 5)], pa.string(), ['{"$ref":"c","$id":5}']),
        ([{"d": Decimal128("1.0"), "b": b"x"}], pa.string(), None),
    ],
    ids=str,
)
def test_types_that_ferretdb_lacks(
    complete_mongo: MongoDatabase, values: list[object], arrow_type: pa.DataType, expected: list[object] | None
) -> None:
    """The same, on servers that have them all."""
    found = column(complete_mongo, *values)
    nested = ['{"d":{"$numberDecimal":"1.0"},"b":{"$binary":{"base64":"eA==","subType":"00"}}}']
    assert (found.type, found.to_pylist()) == (arrow_type, nested if expected is None else expected)


def test_nan_stays_nan(complete_mongo: MongoDatabase) -> None:
    """A double that is no number is no NULL."""
    found = column(complete_mongo, math.nan, 1.0)
    assert math.isnan(found[0].as_py())
    assert found.null_count == 0


def test_null_and_missing_are_the_same(any_mongo: MongoDatabase) -> None:
    """Arrow has one NULL."""
    any_mongo.insert("c", [{"_id": 1, "v": None}, {"_id": 2}, {"_id": 3, "v": 5}])
    assert read_rows(source_of(any_mongo.uri, table="c"))[:2] == [{"_id": 1, "v": None}, {"_id": 2, "v": None}]


@pytest.mark.parametrize(
    ("values", "said", "reason", "text"),
    [
        ([1, 2, 2.5], "'v' is read as double (double)", None, None),
        ([1, 2, "x"], "is read as int64 (long), but the document with _id 2 holds string x", "string", ["1", "2", "x"]),
        (["x", "y", True], "holds bool true", "bool", ["x", "y", "true"]),
        (["x", "y", {"a": 1}], 'holds object {"a":1}', "object", ["x", "y", '{"a":1}']),
        ([1.5, 2.5, Int64(2**53 + 1)], "holds long 9007199254740993", "long", ["1.5", "2.5", "9007199254740993"]),
        (
            [True, True, 1],
            "is read as bool (bool), but the document with _id 2 holds int 1",
            "int",
            ["true", "true", "1"],
        ),
        (
            [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), FAR],
            "holds date beyond year 9999",
            "date beyond year 9999",
            ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", '{"$date":{"$numberLong":"253402300800000"}}'],
        ),
        (
            [ObjectId("65a00000000000000000000f"), ObjectId("65a00000000000000000000e"), 1],
            "is read as string (objectId)",
            "int",
            ["65a00000000000000000000f", "65a00000000000000000000e", "1"],
        ),
        ([b"x", b"y", "z"], "is read as binary (binData)", "string", ["eA==", "eQ==", "z"]),
        (["x" * 9, "y", "z" * 9, 3, 3], "document with _id 3 holds int 3", "int", ["x" * 9, "y", "z" * 9, "3", "3"]),
    ],
    ids=str,
)
def test_what_does_not_fit(
    any_mongo: MongoDatabase, values: list[object], said: str, reason: str | None, text: list[str] | None
) -> None:
    """An error by default; with warn the odd one out is NULL; with text the column is text, and nothing is lost."""
    if reason is None:
        assert column(any_mongo, *values).to_pylist() == values
        return
    with pytest.raises(SourceError, match=re.escape(said)):
        column(any_mongo, *values)
    losses = Losses()
    table = read_table(source_of(any_mongo.uri, table="c", on_type_loss="warn", losses=losses))
    odd = sum(1 for value in table["v"].to_pylist() if value is None)
    [loss] = losses.told()
    assert (loss.column, loss.count, loss.reason.split(" does not fit ")[0]) == ("v", odd, reason)
    table = read_table(source_of(any_mongo.uri, table="c", on_type_loss="text"))
    assert table["v"].to_pylist() == text


def test_a_loss_is_told_once(any_mongo: MongoDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """However many documents are taken together."""
    any_mongo.insert("c", [*({"_id": number, "v": number} for number in range(1000)), {"_id": 1000, "v": "x"}])
    losses = Losses()
    read_table(source_of(any_mongo.uri, table="c", on_type_loss="warn", losses=losses))
    assert [loss.count for loss in losses.told()] == [1]
    assert caplog.text.count("values become NULL") == 1


def test_integers_may_be_doubles_that_are_whole(any_mongo: MongoDatabase) -> None:
    """JavaScript writes 3 as a double; where integers came first, such a double is one, but no other is."""
    any_mongo.insert("c", [{"_id": number, "v": number} for number in range(500)] + [{"_id": 500, "v": 3.0}])
    assert read_table(source_of(any_mongo.uri, table="c", batch_bytes=4000))["v"][500].as_py() == 3
    any_mongo.insert("c", [{"_id": 501, "v": 3.5}])
    with pytest.raises(SourceError, match=r"'v' is read as int64 .*_id 501 holds double 3\.5"):
        read_table(source_of(any_mongo.uri, table="c", batch_bytes=4000))


def test_a_long_value_is_shortened_in_messages(any_mongo: MongoDatabase) -> None:
    """Forty characters are enough to recognise it."""
    with pytest.raises(SourceError, match=r"holds string x{40}\.\.\. \("):
        column(any_mongo, 1, 2, "x" * 1000)


def test_text_that_is_not_utf8_is_an_error(complete_mongo: MongoDatabase) -> None:
    """It is not replaced by question marks."""
    broken = bson.encode({"_id": 1, "v": "abc"}).replace(b"abc", b"a\xffc")
    complete_mongo.insert("c", [RawBSONDocument(broken)])
    with pytest.raises(SourceError, match=r"a document can not be read: .*utf-8.*is there text in it"):
        read_table(source_of(complete_mongo.uri, table="c"))


def test_the_table_of_types_is_complete() -> None:
    """Every type that BSON has today has a row."""
    told = " ".join(row.source for row in TYPE_TABLE)
    names = "double string object array binData objectId bool date null regex javascript int timestamp long decimal"
    assert not [name for name in [*names.split(), "minKey", "maxKey", "symbol", "undefined"] if name not in told]
