"""Turn BSON values into Arrow columns a whole column at a time, directly from the received bytes.

For each kind of column there is a function that converts all values of a field that it can, and says which those are. The
others are left to pymongo's decoder, value by value: rare types, and values that do not fit. (Documents and arrays:
:mod:`._nested`.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from penstock.connectors.mongodb._arrays import Array, Bools, Ints, as_array, merged, numpy, pyarrow, texts_of_width
from penstock.connectors.mongodb._block import BsonType
from penstock.connectors.mongodb._json import UUID_BYTES, UUID_SUBTYPE
from penstock.connectors.mongodb._values import MOST_EXACT, Values, are_exact, are_usual_dates

__all__ = ["TAKES", "Take", "take_dates", "take_decimals", "take_object_ids", "take_strings"]

_OLD_BINARY_SUBTYPE, _OLD_UUID_SUBTYPE = 2, 3
_DECIMAL_BIAS, _EXPONENT_BITS, _HIGH_BITS = 6176, 0x3FFF, 49
_MOST_DECIMALS = 6  # with more of them, small numbers are written with an exponent
_MOST_DIGITS = 38


Take: TypeAlias = Callable[[Values], tuple[Array, Bools]]
"""Takes what it can of a field: returns the column, with NULL for the rest, and which values those are."""


def _take_nothing(values: Values) -> tuple[Array, Bools]:
    arrow = pyarrow()
    return arrow.nulls(len(values), arrow.string()), numpy().zeros(len(values), bool)


def _take_bools(values: Values) -> tuple[Array, Bools]:
    np, arrow = numpy(), pyarrow()
    found = values.at("u1")
    taken = values.are(BsonType.BOOL) & (found <= 1)
    return as_array(np.packbits(found == 1, bitorder="little"), taken, arrow.bool_()), taken


def _take_longs(values: Values) -> tuple[Array, Bools]:
    """Also doubles that are whole numbers, and no negative zero, which an integer cannot be."""
    np = numpy()
    found = np.zeros(len(values), np.int64)
    taken = values.numbers(found, {BsonType.INT: "<i4", BsonType.LONG: "<i8"})
    rows = np.flatnonzero(values.types == BsonType.DOUBLE)
    if rows.size:
        doubles = values.at("<f8", rows=rows)
        is_whole = (np.abs(doubles) <= MOST_EXACT) & (doubles == np.floor(doubles))
        is_whole &= (doubles != 0) | ~np.signbit(doubles)
        rows = rows[is_whole]
        found[rows] = doubles[is_whole].astype(np.int64)
        taken[rows] = True
    return as_array(found, taken, pyarrow().int64()), taken


def _take_doubles(values: Values) -> tuple[Array, Bools]:
    """Also integers that a double can hold."""
    np = numpy()
    found = np.zeros(len(values), np.float64)
    taken = values.numbers(found, {BsonType.DOUBLE: "<f8", BsonType.INT: "<i4"})
    rows = np.flatnonzero(values.types == BsonType.LONG)
    if rows.size:
        longs = values.at("<i8", rows=rows)
        is_exact = are_exact(longs)
        rows = rows[is_exact]
        found[rows] = longs[is_exact]
        taken[rows] = True
    return as_array(found, taken, pyarrow().float64()), taken


def take_strings(values: Values) -> tuple[Array, Bools]:
    """Bytes that are not UTF-8 are an error of Arrow's."""
    np = numpy()
    taken = values.are(BsonType.STRING, BsonType.SYMBOL)
    length = np.where(taken, values.at("<i4").astype(np.int64) - 1, 0)
    begin = np.where(taken, values.begins + 4, values.block.starts)
    taken &= values.block.at(begin + length, "u1") == 0  # as a string ends
    length[~taken] = 0
    return values.block.strings(begin, length, taken).cast(pyarrow().string()), taken


def _take_binaries(values: Values) -> tuple[Array, Bools]:
    """Not those of subtype 2, which have a second length; nor UUIDs that are none, which some releases of pymongo refuse."""
    np = numpy()
    length, subtype = values.at("<i4"), values.at("u1", 4)
    taken = values.are(BsonType.BINARY) & (subtype != _OLD_BINARY_SUBTYPE)
    taken &= (length == UUID_BYTES) | ((subtype != UUID_SUBTYPE) & (subtype != _OLD_UUID_SUBTYPE))
    length = np.where(taken, length, 0)
    begin = np.where(taken, values.begins + 5, values.block.starts)
    return values.block.strings(begin, length, taken), taken


def take_dates(values: Values) -> tuple[Array, Bools]:
    np, arrow = numpy(), pyarrow()
    found = np.zeros(len(values), np.int64)
    taken = values.numbers(found, {BsonType.DATE: "<i8"})
    taken &= are_usual_dates(found)
    return as_array(found, taken, arrow.timestamp("ms", "UTC")), taken


def take_object_ids(values: Values) -> tuple[Array, Bools]:
    taken = values.are(BsonType.OBJECT_ID)
    rows = numpy().flatnonzero(taken)
    return texts_of_width(_digits(values.at("V12", rows=rows)), taken), taken


def _take_uuids(values: Values) -> tuple[Array, Bools]:
    np = numpy()
    taken = values.uuids()
    digits = _digits(values.at("V16", 5, np.flatnonzero(taken)))
    dashes = np.full((len(digits), 1), ord("-"), np.uint8)
    parts = np.split(digits, (8, 12, 16, 20), axis=1)
    return texts_of_width(np.concatenate([c for part in parts for c in (dashes, part)][1:], axis=1), taken), taken


def take_decimals(values: Values) -> tuple[Array, Bools]:
    """Those with up to six decimals, and digits that fit 64 bits. Arrow writes these as Python does."""
    np, arrow = numpy(), pyarrow()
    rows = np.flatnonzero(values.types == BsonType.DECIMAL)
    low, high = values.at("<u8", rows=rows), values.at("<u8", 8, rows)
    decimals = _DECIMAL_BIAS - ((high >> np.uint64(_HIGH_BITS)) & np.uint64(_EXPONENT_BITS)).astype(np.int64)
    is_negative = high >> np.uint64(63) != 0
    is_plain = (high & np.uint64((1 << _HIGH_BITS) - 1)) == 0
    # An exponent that begins with two ones means something else; it is out of range here. And Arrow has no negative zero.
    is_plain &= (decimals >= 0) & (decimals <= _MOST_DECIMALS) & ((low != 0) | ~is_negative)
    taken: Bools = np.zeros(len(values), bool)
    taken[rows[is_plain]] = True
    found = _take_nothing(values)[0]
    for count in np.unique(decimals[is_plain]).tolist():
        those = np.flatnonzero(is_plain & (decimals == count))
        words = np.zeros((len(those), 2), np.uint64)
        words[:, 0] = np.where(is_negative[those], ~low[those] + np.uint64(1), low[those])
        words[:, 1] = np.where(is_negative[those], np.uint64(0xFFFF_FFFF_FFFF_FFFF), np.uint64(0))
        numbers = as_array(words, np.ones(len(those), bool), arrow.decimal128(_MOST_DIGITS, count))
        found = merged(found, numbers.cast(arrow.string()), rows[those])
    return found, taken


def _digits(values: Ints) -> Ints:
    """Return the hexadecimal digits of bytes, a row for each value."""
    np = numpy()
    digits: Ints = _hexadecimal()[values.view(np.uint8)].view(np.uint8)
    return digits.reshape(len(values), 2 * values.dtype.itemsize)


@cache
def _hexadecimal() -> Ints:
    digits: Ints = numpy().frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), "u2")
    return digits


TAKES: dict[str, Take] = {
    "bool": _take_bools,
    "long": _take_longs,
    "double": _take_doubles,
    "string": take_strings,
    "date": take_dates,
    "objectId": take_object_ids,
    "decimal": take_decimals,
    "binData": _take_binaries,
    "binData, subtype 4": _take_uuids,
    "object": _take_nothing,
    "text": take_strings,
}
"""How the columns of each kind are taken; by :attr:`penstock.connectors.mongodb._types.Kind.name`."""
