"""Documents become columns straight from their bytes; what that gives is what decoding each of them gives."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.dbref import DBRef
from hypothesis import given, strategies as st

from penstock.connectors.mongodb import _walk as _mongo_walk
from penstock.connectors.mongodb._documents import DocumentRows
from penstock.connectors.mongodb._errors import translating
from penstock.connectors.mongodb._fields import Fields
from penstock.connectors.mongodb._json import extended_json
from penstock.connectors.mongodb._pieces import Piece, pieces
from penstock.connectors.mongodb._rows import FieldRows
from penstock.connectors.mongodb._types import Kinds
from penstock.connectors.mongodb._values import Values
from penstock.connectors.mongodb._walk import in_order, walked
from penstock.errors import SourceError
from penstock.flow.losses import Losses, OnTypeLoss
from tests.connectors.parts import read_table, source_of
from tests.servers.mongo_double import MongoDouble

NEVER = 1 << 62
NAMES = ["_id", "a", "b", "sixsix", "seven77", "eight888", "a_name_of_22_characters", "ü", ""]

int64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 0])
decimals = st.builds(
    lambda sign, digits, exponent: Decimal128(f"{sign}{digits}E{exponent}"),
    st.sampled_from(["", "-"]),
    st.integers(0, 10**34 - 1) | st.integers(0, 10**6),
    st.integers(-8, 3) | st.integers(-6176, 6111),
) | st.sampled_from([Decimal128("NaN"), Decimal128("-Infinity"), Decimal128("-0.00"), Decimal128("0.0000000")])
leaves = {
    "bool": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": int64.map(Int64),
    "double": st.floats() | int64.map(float) | st.sampled_from([-0.0, 0.0, math.nan, math.inf, 3.0, 3.5]),
    "string": st.text(max_size=20),
    "date": st.integers(-62_135_596_800_001, 253_402_300_800_000).map(DatetimeMS) | int64.map(DatetimeMS),
    "objectId": st.binary(min_size=12, max_size=12).map(ObjectId),
    "decimal": decimals,
    "binData": st.binary(max_size=20)
    | st.builds(Binary, st.binary(max_size=20), st.sampled_from([0, 2, 3, 4, 5, 128])),
    "uuid": st.binary(min_size=16, max_size=16).map(lambda value: Binary(value, 4)),
    "rare": st.sampled_from(
        [Regex("^a", "i"), Timestamp(5, 2), Code("f()"), Code("g()", {"x": 1}), MinKey(), MaxKey()]
    ),
    "reference": st.sampled_from([DBRef("c", 5), {"$ref": "c"}, {"x": 1, "$ref": "c", "$id": 2}, {"y": "$ref\0"}]),
}
values = st.one_of(*leaves.values())
nested = st.dictionaries(st.text(max_size=3).filter(lambda name: "\0" not in name), values, max_size=3)
# Alike, as those of an application are, so that they are written together: each field of one type, some missing, deeper ones.
escaped = st.text(st.sampled_from('"\\/\0\n\x1f\x7f\u2028\u00fc, ') | st.characters(codec="utf-8"), max_size=5)
usual_dates = st.integers(-(10**12), 10**13).map(DatetimeMS) | st.sampled_from([DatetimeMS(0), DatetimeMS(1000)])
usual_doubles = st.floats(-1e17, 1e17) | st.sampled_from([0.0, -0.0, 1e-4, 9e-5, 1e15, 1e16, 100.0, 1 / 3])
inner = st.fixed_dictionaries(
    {"n": st.none() | leaves["int"]},
    optional={'"\\\n': escaped, "d": usual_doubles, "at": usual_dates, "id": leaves["objectId"], "$ref": st.just("c")},
)
alike = st.fixed_dictionaries(
    {},
    optional={"in": inner, "of": st.lists(inner, max_size=3), "texts": st.lists(escaped, max_size=4)}
    | {name: leaves[name] for name in ("bool", "long", "decimal", "uuid", "rare")},
)
fields = leaves | {"object": nested | st.lists(values, max_size=3), "alike": alike, "list": st.lists(alike, max_size=3)}


@st.composite
def documents(draw: st.DrawFn) -> list[bytes]:
    """Encoded documents that are mostly alike: a type for each field, some NULLs, gaps, odd ones and other orders."""
    chosen = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=len(NAMES)))
    kinds = dict(zip(draw(st.permutations(NAMES)), chosen, strict=False))
    oddness = draw(st.sampled_from([0, 0, 1, 5]))

    def one() -> bytes:
        names = draw(st.permutations(list(kinds))) if draw(st.integers(0, 9)) < oddness else list(kinds)
        elements = []
        for name in names:
            what = draw(st.integers(0, 29))
            if what < 2:
                elements.append(encoded(name, None))
            elif what > 2 or not oddness:
                elements.append(encoded(name, draw(fields[kinds[name]])))
            if what < oddness:
                elements.append(encoded(name, draw(values)))
        return struct.pack("<i", sum(map(len, elements)) + 5) + b"".join(elements) + b"\0"

    return [one() for _ in range(draw(st.integers(1, 12)))]


@contextmanager
def nothing_decoded(*, documents: int = 0, values: int = 0, most_documents: int = 0) -> Iterator[None]:
    """Have it fail if not so many documents are decoded, or single values."""
    found: Counter[str] = Counter()

    def one_by_one(piece: Piece, rows: Any) -> list[dict[str, Any]]:
        found["documents"] += len(rows)
        return decode_documents(piece, rows)

    def each_value(of: Values, rows: Any) -> list[Any]:
        found["values"] += len(rows)
        return decode_values(of, rows)

    decode_documents, decode_values = Piece.decoded, Values.decoded
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Piece, "documents", lambda piece: pytest.fail(f"{len(piece)} documents are decoded"))
        monkeypatch.setattr(Piece, "decoded", one_by_one)
        monkeypatch.setattr(Values, "decoded", each_value)
        yield
    assert found["values"] == values
    assert found["documents"] <= most_documents if most_documents else found["documents"] == documents


def encoded(name: str, value: object) -> bytes:
    """A field as it is in a document."""
    return bson.encode({name: value})[4:-1]


@dataclass(frozen=True)
class Read:
    """How documents are read.

    Attributes:
        names: of the fields wanted.
        on_type_loss: what to do about values that do not fit.
        looked_at: how many documents are looked at first.
    """

    names: Sequence[str] | None = None
    on_type_loss: OnTypeLoss = "error"
    looked_at: int = 100

    def of(self, raw: Sequence[bytes], *, decoded: bool) -> list[str] | SourceError:
        """Return all there is to compare, as text, where a NaN is like another; or the error."""
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(_mongo_walk, "_FEWEST_DOCUMENTS", NEVER if decoded else 0)
            try:
                with translating("here"):
                    return self._read(raw)
            except SourceError as exc:
                return exc

    def _read(self, raw: Sequence[bytes]) -> list[str]:
        learned, losses = Fields(self.names), Losses()
        for piece in pieces(b"".join(raw[: self.looked_at]), 100):
            learned.look(piece)
        kinds = learned.kinds(Kinds("relaxed"), self.on_type_loss)
        rows = FieldRows(kinds, self.on_type_loss, losses, where="here", is_endless=False)
        batches = [rows.batch(piece) for piece in pieces(b"".join(raw), 300)]
        for batch in batches:
            batch.validate(full=True)
        told = [str(learned.source_types()), *map(str, losses.told())]
        return [*(f"{batch.schema} {batch.to_pylist()}" for batch in batches), *told]


how = st.builds(
    Read,
    st.sampled_from([None, None, None, ["b", "_id", "nowhere"], NAMES]),
    st.sampled_from(["error", "warn", "text"]),
    st.sampled_from([100, 3]),
)


def whole_documents(data: bytes, *, fewest: int) -> list[dict[str, str]] | None:
    """Return them as rows, read together if there are so many; None if they cannot be read."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(_mongo_walk, "_FEWEST_DOCUMENTS", fewest)
        try:
            batches = [DocumentRows("relaxed").batch(piece) for piece in pieces(data, 300)]
        except bson.errors.InvalidBSON:
            return None
    for batch in batches:
        batch.validate(full=True)
    return [row for batch in batches for row in batch.to_pylist()]


@given(how, documents())
def test_the_same_comes_out(read: Read, raw: list[bytes]) -> None:
    """Values, types, order, what was lost, and word for word what is said of the first document that does not fit."""
    found, expected = read.of(raw, decoded=False), read.of(raw, decoded=True)
    assert (type(found), str(found)) == (type(expected), str(expected))


@given(documents())
def test_the_same_comes_out_as_whole_documents(raw: list[bytes]) -> None:
    """Key and JSON of each, whatever is in it."""
    data = b"".join(raw)
    assert whole_documents(data, fewest=0) == whole_documents(data, fewest=NEVER) is not None


@given(how, documents(), st.data())
def test_broken_bytes_are_an_error_all_the_same(read: Read, raw: list[bytes], data: st.DataObject) -> None:
    """Whatever bytes a server sends: nothing is read that decoding would refuse, and nothing is refused that it reads."""
    broken = bytearray(b"".join(raw))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place] = data.draw(st.sampled_from([0, 1, 2, 255]) | st.integers(0, 255))
    found, expected = read.of([bytes(broken)], decoded=False), read.of([bytes(broken)], decoded=True)
    assert (found == expected) if isinstance(expected, list) else isinstance(found, SourceError)
    assert whole_documents(bytes(broken), fewest=0) == whole_documents(bytes(broken), fewest=NEVER)


PLAIN = {
    "text": "\u00fc",
    "number": 1,
    "long": Int64(2**40),
    "half": 0.5,
    "is": True,
    "at": datetime(2026, 1, 1, tzinfo=UTC),
    "key": ObjectId("65a000000000000000000001"),
    "bytes": b"\0\xff",
    "uuid": Binary(UUID(int=5).bytes, 4),
    "price": Decimal128("-12.50"),
    "nothing": None,
}


def test_plain_documents_are_not_decoded(mongo_double: MongoDouble) -> None:
    """From the first to the last of them, in every mode; only the first is, once, for the names of its fields."""
    uri = mongo_double.new_database()
    mongo_double.fill(uri, "c", PLAIN, 2000)
    for options in ({}, {"mode": "all"}, {"schema": "all"}):
        with nothing_decoded(documents=1):
            table = read_table(source_of(uri, table="c", options=options))
        assert table.num_rows == 2000
        expected = {"_id": 1999, **PLAIN, "key": str(PLAIN["key"]), "uuid": str(UUID(int=5)), "price": "-12.50"}
        assert table.slice(1999).to_pylist() == [expected]


NESTED = {
    **{name: value for name, value in PLAIN.items() if name not in ("bytes", "uuid")},
    "address": {"street": 'Main "St" \\ 5\n', "geo": {"type": "Point", "at": [1.5, -2.0, 3]}, "none": {}, "no": []},
    "tags": ["a", "b"],
    "orders": [{"id": ObjectId("65a000000000000000000002"), "sum": Decimal128("9.99"), "paid": True}, {"id": None}],
}


def test_nested_documents_are_not_decoded(mongo_double: MongoDouble) -> None:
    """Nor what is in them; a few are, for the names of their fields: in each reply one for each level that has names."""
    uri = mongo_double.new_database()
    mongo_double.fill(uri, "c", {"all": NESTED, **NESTED}, 5000)
    with nothing_decoded(values=0, most_documents=200):
        table = read_table(source_of(uri, table="c"))
    with nothing_decoded(values=0, most_documents=200):
        whole = read_table(source_of(uri, table="c", options={"shape": "document"}))
    write = extended_json("relaxed")
    assert whole.column("document").to_pylist() == [write({"_id": n, "all": NESTED, **NESTED}) for n in range(5000)]
    assert whole.column("_id").to_pylist() == [str(n) for n in range(5000)]
    for name in ("all", "address", "tags", "orders"):
        assert table.column(name).to_pylist() == [write({"all": NESTED, **NESTED}[name])] * 5000


def test_documents_that_differ_in_their_fields_are_not_decoded() -> None:
    """Fields may be missing, and come in another order; a name of the order is learned once, from one document."""
    raw = [bson.encode({"a": n, "b": str(n), **({"c": n} if n % 3 else {})}) for n in range(100)]
    raw += [bson.encode({"c": n, "b": str(n), "a": n}) for n in range(100, 200)]
    with nothing_decoded(documents=3):
        found = Read().of(raw, decoded=False)
    assert found == Read().of(raw, decoded=True)


def test_few_fields_of_many_are_decoded() -> None:
    """Steps for hundreds of names would take longer than decoding does; what comes out is the same."""
    names = [f"field_number_{n}" for n in range(200)]
    raw = [bson.encode({"_id": n, **{names[(n * k) % 200]: n * k for k in (3, 7, 11)}}) for n in range(300)]
    piece = next(pieces(b"".join(raw), 1 << 20))
    walk, _order = walked(piece, names, 8, lambda _names: None)
    assert len(walk.odd) == len(raw)
    read = Read(looked_at=len(raw))
    found = read.of(raw, decoded=False)
    assert found == read.of(raw, decoded=True)
    assert isinstance(found, list)


def test_only_what_is_odd_is_decoded() -> None:
    """A value nested with bytes in it as that value alone; of a hundred documents with a regular expression in one, that one."""
    raw = [bson.encode({"_id": n, "v": {"x": bytes([n])} if n % 10 == 0 else None, "w": "x"}) for n in range(100)]
    raw[50] = bson.encode({"_id": 50, "v": Regex("^a"), "w": "x"})
    piece = next(pieces(b"".join(raw), 1 << 20))
    learned = Fields(["_id", "v", "w"])
    learned.look(piece.first(50))
    rows = FieldRows(learned.kinds(Kinds("relaxed"), "error"), "error", Losses(), where="here", is_endless=False)
    with nothing_decoded(documents=2, values=9):  # one more for the names inside of v
        batch = rows.batch(piece)
    assert batch["v"][40:51].to_pylist() == [
        '{"x":{"$binary":{"base64":"KA==","subType":"00"}}}',
        *[None] * 9,
        '{"$regularExpression":{"pattern":"^a","options":""}}',
    ]


@pytest.mark.parametrize("broken", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"], ids=repr)
def test_what_is_not_utf8_is_an_error(broken: bytes) -> None:
    """The same bytes as for Python: also what is too long for its character, and halves of a pair."""
    raw = [bson.encode({"_id": n, "v": "x" * len(broken)}) for n in range(100)]
    raw[70] = raw[70].replace(b"x" * len(broken), broken)
    found, expected = Read().of(raw, decoded=False), Read().of(raw, decoded=True)
    assert isinstance(expected, SourceError)
    assert str(found) == str(expected)


def test_pieces_are_whole_documents() -> None:
    """Each begins where the one before ended, and is cut at the first document that makes it large enough."""
    raw = [bson.encode({"x": "y" * (n % 50)}) for n in range(200)]
    found = list(pieces(b"".join(raw), 500))
    assert b"".join(piece.data for piece in found) == b"".join(raw)
    assert [len(piece.documents()) for piece in found] == [len(piece) for piece in found]
    assert all(500 <= int(piece.ends[-1]) < 500 + max(map(len, raw)) for piece in found[:-1])
    assert list(pieces(b"", 500)) == []


@pytest.mark.parametrize(
    ("order", "names", "expected"),
    [("abc", "abc", "abc"), ("", "ab", "ab"), ("abc", "cba", "cba"), ("abcd", "bd", "abcd"), ("abcd", "dxb", "adxbc")],
)
def test_an_order_of_names(order: str, names: str, expected: str) -> None:
    """Of two orders: the second, and what is missing there behind what it was behind in the first."""
    assert "".join(in_order(list(order), list(names))) == expected
