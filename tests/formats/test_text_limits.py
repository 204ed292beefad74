"""What text can not hold is refused by the name of its column; nothing else is ever written in its place."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from penstock.errors import ConfigurationError
from tests.formats.streams import encoded, table_of

INT64 = (-(2**63), -(2**63) + 1, 2**63 - 2, 2**63 - 1)
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ZONES = [None, "UTC", "+05:30", "Europe/Berlin", "America/New_York"]
FIRST, LAST = -62_135_596_800, 253_402_300_799  # seconds: 0001-01-01T00:00:00, 9999-12-31T23:59:59
FORMATS = ["csv", "ndjson", "json"]


def raw(kind: pa.DataType, *values: int | None) -> pa.Array:
    """A column of values that no Python object of the type could stand for."""
    return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).view(kind)


def as_is(column: pa.Array) -> pa.Array:
    """The column."""
    return column


def in_lists(column: pa.Array) -> pa.Array:
    """Each value in a list of its own."""
    return pa.ListArray.from_arrays(list(range(len(column) + 1)), column)


def in_structs(column: pa.Array) -> pa.Array:
    """Each value in a struct in a list."""
    return in_lists(pa.StructArray.from_arrays([column], ["x"]))


def in_maps(column: pa.Array) -> pa.Array:
    """Each value in a map of its own."""
    return pa.MapArray.from_arrays(list(range(len(column) + 1)), pa.array(["k"] * len(column)), column)


def in_dictionaries(column: pa.Array) -> pa.Array:
    """The values in a dictionary, once each."""
    return column.dictionary_encode()


def in_runs(column: pa.Array) -> pa.Array:
    """Each value in a run of two."""
    return pa.RunEndEncodedArray.from_arrays([2 * number + 2 for number in range(len(column))], column)


SHAPES = [as_is, in_lists, in_structs, in_maps, in_dictionaries]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("name", FORMATS)
def test_timestamps_outside_the_years_1_to_9999(name: str, unit: str, zone: str | None) -> None:
    """Of every unit and zone; those at the edges, and NULL, are written."""
    kind = pa.timestamp(unit, zone)
    day = 86_400 * PER_SECOND[unit]
    low, high = FIRST * PER_SECOND[unit], (LAST + 1) * PER_SECOND[unit] - 1
    for value in (*INT64, low - day - 1, high + day + 1):
        with pytest.raises(ConfigurationError, match=r"^column 'c' has a timestamp.* outside the years 0001 to 9999"):
            encoded(name, table_of(c=raw(kind, 0, value, None)))
    assert b"9999-12-3" in encoded(name, table_of(c=raw(kind, None, high - day)))
    if zone is None:
        data = encoded(name, table_of(c=raw(kind, low, None, high)))
        assert b"0001-01-01" in data
        assert b"9999-12-31" in data


@pytest.mark.parametrize("name", FORMATS)
def test_the_year_is_that_of_the_zone(name: str) -> None:
    """It is what stands in the text: the last second of 9999 in New York is in 10000 in UTC, and is written."""
    kind = pa.timestamp("s", "America/New_York")
    assert b"9999-12-31" in encoded(name, table_of(c=raw(kind, LAST + 5 * 3600)))
    for zone, value in (("America/New_York", LAST + 5 * 3600 + 1), ("Europe/Berlin", LAST)):
        with pytest.raises(ConfigurationError, match=f"outside the years 0001 to 9999 in {zone}"):
            encoded(name, table_of(c=raw(pa.timestamp("s", zone), value)))


@pytest.mark.parametrize("name", FORMATS)
def test_nanoseconds_are_all_of_int64(name: str) -> None:
    """They end in 1677 and 2262; in a zone, what the difference to UTC would push out of int64 is refused."""
    for zone in (None, "UTC"):
        data = encoded(name, table_of(c=raw(pa.timestamp("ns", zone), INT64[0], INT64[-1])))
        assert b"1677-09-21" in data
        assert b"2262-04-11" in data
    for value in (INT64[0], INT64[-1]):
        with pytest.raises(ConfigurationError, match="too close to the end of its range"):
            encoded(name, table_of(c=raw(pa.timestamp("ns", "Europe/Berlin"), value)))


@pytest.mark.parametrize("shape", [*SHAPES, in_runs], ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("name", FORMATS)
def test_offsets_with_seconds(name: str, shape: Any) -> None:
    """Berlin was 0:53:28 ahead until 1893, which as +00:53 would be another instant; in UTC it is written."""
    with pytest.raises(ConfigurationError, match=r"an instant \(-3000000000 s .*\) whose offset from UTC in Europe"):
        encoded(name, table_of(c=shape(raw(pa.timestamp("s", "Europe/Berlin"), -3_000_000_000))))
    assert b"1874-12-" in encoded(name, table_of(c=shape(raw(pa.timestamp("s", "UTC"), -3_000_000_000))))
    assert b"1938-12-" in encoded(name, table_of(c=shape(raw(pa.timestamp("s", "Europe/Berlin"), -979_000_000))))


OUTSIDE = [
    *((pa.date32(), value) for value in (-(2**31), -719_163, 2_932_897, 2**31 - 1)),
    *((pa.date64(), value) for value in (INT64[0], -719_163 * 86_400_000, 2_932_897 * 86_400_000, 1, INT64[-1])),
    *((pa.time32(unit), value) for unit in ("s", "ms") for value in (-1, 86_400 * PER_SECOND[unit], 2**31 - 1)),
    *((pa.time64(unit), value) for unit in ("us", "ns") for value in (-1, 86_400 * PER_SECOND[unit], INT64[-1])),
    *((pa.duration("s"), value) for value in (INT64[0], -(2**63) // 1000, 2**63 // 1000 + 1, INT64[-1])),
    (pa.duration("ms"), INT64[0]),
    (pa.timestamp("ms"), INT64[-1]),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize(("kind", "value"), OUTSIDE, ids=str)
def test_values_outside_are_refused_wherever_they_are(kind: pa.DataType, value: int, shape: Any) -> None:
    """Column and type are named, also inside lists, structs, maps and dictionaries."""
    for name in FORMATS:
        with pytest.raises(ConfigurationError, match=r"^column 'c' has a .*; make it NULL or text before, or write"):
            encoded(name, table_of(c=shape(raw(kind, 0, value))))


KINDS = [
    *(pa.timestamp(unit, zone) for unit in PER_SECOND for zone in ZONES),
    *(pa.duration(unit) for unit in PER_SECOND),
    *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.date32(), pa.date64()),
]


@given(st.sampled_from(KINDS), st.data())
def test_a_value_is_itself_or_an_error(kind: pa.DataType, data: st.DataObject) -> None:
    """Whatever the number, it is never the text of somebody else's error."""
    bits = 31 if kind.bit_width == 32 else 63
    number = data.draw(st.integers(-(2**bits), 2**bits - 1) | st.integers(-(10**12), 10**12).map(lambda n: n % 2**31))
    for name in ("csv", "ndjson"):
        try:
            text = encoded(name, table_of(c=raw(kind, number)))
        except ConfigurationError:
            continue
        assert b"ERROR" not in text
        assert b"invalid" not in text
        assert b"range" not in text


@pytest.mark.parametrize("name", FORMATS)
def test_what_null_or_a_slice_leaves_out_is_not_looked_at(name: str) -> None:
    """Memory under a NULL may hold anything, and so may the rest of a column this is a piece of."""
    far = raw(pa.timestamp("ms"), INT64[-1], 0)
    hidden = pa.StructArray.from_arrays([far], ["x"], mask=pa.array([True, False]))
    for column in (hidden, far[1:], in_lists(far)[1:], in_maps(far)[1:], far.dictionary_encode()[1:]):
        assert b"1970-01-01" in encoded(name, table_of(c=column))
    nan = in_maps(pa.array([float("nan"), 1.5]))
    assert b"1.5" in encoded(name, table_of(c=nan[1:]))


@pytest.mark.parametrize("layout", ["", "large_", "_view"], ids=["small", "large", "view"])
@pytest.mark.parametrize("name", FORMATS)
def test_text_that_is_no_utf8(name: str, layout: str) -> None:
    """Parquet files have it, and Arrow reads it as it is; the file written would be no text."""
    kinds = {"": (pa.binary(), pa.string()), "large_": (pa.large_binary(), pa.large_string())}
    binary, text = kinds.get(layout, (pa.binary_view(), pa.string_view()))
    for shape in SHAPES:
        column = shape(pa.array([b"ok", b"\xff\xfe", b"\xff" * 20], binary).view(text))
        with pytest.raises(ConfigurationError, match=r"^column 'c' has a value that is no \w+: Invalid UTF8"):
            encoded(name, table_of(c=column))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([[(1, "a")]], pa.map_(pa.int64(), pa.string())), "has keys of int64 in map<int64, string>"),
        (
            pa.array([[("k", 1)], [("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int64())),
            "has a map with two values for 'k'",
        ),
        (
            pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"]),
            "has two fields called 'x' in struct<",
        ),
        (
            pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1]), pa.array(["a"])]),
            "is sparse_union<0: int64=0, 1: string=1>, which has no form in text",
        ),
        (in_lists(in_runs(pa.array([1]))), "is list<item: run_end_encoded<"),
        (in_lists(pa.array([b"x"]).dictionary_encode()), "holds bytes inside list<item: dictionary<"),
        (in_lists(pa.array([bytes(16)], pa.uuid())), "holds bytes inside list<item: extension<arrow.uuid>>"),
        (in_lists(pa.array([float("nan")]).dictionary_encode()), "has NaN or infinity inside a list"),
        (
            in_lists(pa.DictionaryArray.from_arrays(pa.array([1]), pa.array(["x", None]))),
            "has NULL among the values of a dictionary inside",
        ),
        (raw(pa.timestamp("s", "Foo/Bar"), 0), "is in the time zone 'Foo/Bar', which is not known here"),
        (in_lists(raw(pa.timestamp("s", "Foo/Bar"), 0)), "is in the time zone 'Foo/Bar', which is not known here"),
    ],
    ids=[
        "keys",
        "repeated_key",
        "repeated_field",
        "union",
        "runs",
        "bytes",
        "uuid",
        "nan",
        "null",
        "zone",
        "zone_inside",
    ],
)
def test_types_without_a_form_in_text(name: str, column: pa.Array, said: str) -> None:
    """Each an error of ours that names the column, before anything is written of it."""
    with pytest.raises(ConfigurationError) as caught:
        encoded(name, table_of(c=column))
    assert str(caught.value).startswith(f"column 'c' {said}")


@pytest.mark.parametrize("name", FORMATS)
def test_dictionaries_and_runs_make_no_difference(name: str) -> None:
    """Values look as they would without them: bytes are base64, NaN is spelled out."""
    for plain in (pa.array([1.5, float("nan"), None]), pa.array([b"\xff", None]), pa.array(["x", None, ""])):
        indices = pa.array(range(len(plain)), pa.int32())
        expected = encoded(name, table_of(c=plain))
        views = {pa.string(): pa.string_view(), pa.binary(): pa.binary_view()}
        for values in (plain, plain.cast(views.get(plain.type, plain.type))):
            assert encoded(name, table_of(c=pa.DictionaryArray.from_arrays(indices, values))) == expected
        runs = pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(plain) + 1), pa.int32()), plain)
        assert encoded(name, table_of(c=runs)) == expected
