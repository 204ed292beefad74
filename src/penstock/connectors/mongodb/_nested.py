"""Write nested documents and arrays as relaxed Extended JSON, from the received bytes, for many values at once.

A nested document has its fields as a document does (:mod:`._walk`). Each field becomes a column of texts, and the columns are put
together, so the work is done by numpy and Arrow for all values together. What comes out is what pymongo's decoder and
:func:`._json.extended_json` would make of each; what is not known to be that is left to them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from penstock._extras import need
from penstock.connectors.mongodb._arrays import Array, Bools, Ints, as_array, merged, numpy, pyarrow
from penstock.connectors.mongodb._block import BsonType
from penstock.connectors.mongodb._pieces import Piece
from penstock.connectors.mongodb._values import Values
from penstock.connectors.mongodb._vectors import take_dates, take_decimals, take_object_ids, take_strings
from penstock.connectors.mongodb._walk import Walk, walked

__all__ = ["take_integers", "take_nested", "together"]

_DEEPEST = 16
_MOST_ELEMENTS = 100
_MOST_ORDERS = 8
_LEAST_POSITIONAL, _MOST_POSITIONAL = 1e-4, 1e15  # between them Python, and Arrow, write doubles without an exponent
_TO_ESCAPE = r'[\x00-\x1f"\\]'
_CONTROLS = r"[\x00-\x1f]"

Texts: TypeAlias = tuple[Array, Bools]
"""Texts of the values that could be written, and NULL; and which those are."""


Writer: TypeAlias = Callable[[Values], Texts]


def take_nested(values: Values, depth: int = 0) -> Texts:
    """Take documents and arrays; see :data:`._vectors.Take`."""
    return together(values, _nesting(depth))


def together(values: Values, writers: Mapping[int, Writer]) -> Texts:
    """Take what there is a writer for, by the type of each value."""
    np, arrow = numpy(), pyarrow()
    found, taken = arrow.nulls(len(values), arrow.string()), np.zeros(len(values), bool)
    codes = np.flatnonzero(np.bincount(values.types)).tolist()
    for write in dict.fromkeys(writers[code] for code in codes if code in writers):  # one may be for several types
        texts, those = write(values)
        found = _compute().coalesce(found, texts)
        taken |= those
    return found, taken


def _elements(values: Values, depth: int) -> Texts:
    """Take whatever may be inside of a document."""
    return together(values, _WRITERS | _nesting(depth))


def _nesting(depth: int) -> dict[int, Writer]:
    if depth > _DEEPEST:
        return {}
    return {BsonType.DOCUMENT: partial(_documents, depth=depth), BsonType.ARRAY: partial(_arrays, depth=depth)}


# --- values with others inside ----------------------------------------------------------------------------------------


def _documents(values: Values, depth: int) -> Texts:
    rows, piece = _inside(values, BsonType.DOCUMENT)
    orders: list[list[str]] = []
    walk, order = walked(piece, [], _MOST_ORDERS, orders.append, values.block.of(piece.starts))
    if len(orders) > 1:  # passes found fields in several orders, or new ones: which have them in this one?
        walk = Walk(piece, values.block.of(piece.starts))
        walk.run(order)
        walk.leave()
    labels = [json.dumps(name, ensure_ascii=False) + ":" for name in order]
    texts, taken = _joined(walk, order, labels, depth)
    for name in order:
        if name.startswith("$"):  # a reference, perhaps, whose fields have an order of their own
            taken &= walk.column(name)[0] == 0
    return _back(_within("{", texts, "}"), taken, rows, len(values))


def _arrays(values: Values, depth: int) -> Texts:
    rows, piece = _inside(values, BsonType.ARRAY)
    walk = Walk(piece, values.block.of(piece.starts))
    names: list[str] = []
    while walk.unfinished.size and len(names) < _MOST_ELEMENTS:
        names.append(str(len(names)))
        walk.run(names[-1:])
    walk.leave()
    texts, taken = _joined(walk, names, [""] * len(names), depth)
    return _back(_within("[", texts, "]"), taken, rows, len(values))


def _inside(values: Values, code: int) -> tuple[Ints, Piece]:
    """Return which values are of this type, and their bytes as documents, which those of arrays are, too."""
    rows = numpy().flatnonzero(values.types == code)
    starts = values.begins[rows]
    return rows, Piece(values.block.view, starts, starts + values.block.at(starts, "<i4"))


def _joined(walk: Walk, names: list[str], labels: list[str], depth: int) -> Texts:
    """Return the fields of each document, each behind its label, with commas between them."""
    np, compute = numpy(), _compute()
    taken: Bools = np.ones(len(walk.block.starts), bool)
    taken[walk.odd] = False
    pieces = []
    for name, label in zip(names, labels, strict=True):
        values = Values(walk.block, *walk.column(name))
        texts, those = _elements(values, depth + 1)
        taken &= those | (values.types == 0)
        pieces.append(compute.fill_null(_within(label, texts, ","), ""))
    if not pieces:
        return pyarrow().array([""] * len(taken), pyarrow().string()), taken
    # With a separator, and NULL for what is not there, Arrow 26 leaves out rows in which nothing is.
    return compute.utf8_rtrim(compute.binary_join_element_wise(*pieces, ""), ","), taken


def _back(texts: Array, taken: Bools, rows: Ints, count: int) -> Texts:
    """Put the texts that were taken where they belong among ``count``."""
    np, arrow = numpy(), pyarrow()
    texts = _only(texts, taken)
    if len(rows) == count:
        return texts, taken
    everywhere: Bools = np.zeros(count, bool)
    everywhere[rows] = taken
    return merged(arrow.nulls(count, arrow.string()), texts, rows), everywhere


# --- other values -------------------------------------------------------------------------------------------------------


def _nulls(values: Values) -> Texts:
    taken = values.are(BsonType.NULL, BsonType.UNDEFINED)
    return _only(pyarrow().array(["null"]).take(pyarrow().array(numpy().zeros(len(values), "i4"))), taken), taken


def _bools(values: Values) -> Texts:
    found = values.at("u1")
    taken = values.are(BsonType.BOOL) & (found <= 1)
    texts = pyarrow().array(["false", "true"]).take(pyarrow().array((found == 1).astype("i4")))
    return _only(texts, taken), taken


def take_integers(values: Values) -> Texts:
    """Take those of 32 and 64 bits, as digits."""
    found = numpy().zeros(len(values), "i8")
    taken = values.numbers(found, {BsonType.INT: "<i4", BsonType.LONG: "<i8"})
    return as_array(found, taken, pyarrow().int64()).cast(pyarrow().string()), taken


def _doubles(values: Values) -> Texts:
    """Take those that Arrow writes as Python does."""
    np, arrow, compute = numpy(), pyarrow(), _compute()
    found = np.zeros(len(values), "f8")
    taken = values.numbers(found, {BsonType.DOUBLE: "<f8"})
    size = np.abs(found)
    taken &= ((size >= _LEAST_POSITIONAL) & (size < _MOST_POSITIONAL)) | (size == 0)
    texts = as_array(found, taken, arrow.float64()).cast(arrow.string())
    is_positional = compute.invert(compute.match_substring(texts, "e"))
    taken &= compute.fill_null(is_positional, fill_value=False).to_numpy(zero_copy_only=False)
    is_whole = compute.invert(compute.match_substring(texts, "."))
    texts = compute.if_else(is_whole, compute.binary_join_element_wise(texts, ".0", ""), texts)
    return _only(texts, taken), taken


def _strings(values: Values) -> Texts:
    texts, taken = take_strings(values)
    return _within('"', _escaped(texts), '"'), taken


def _escaped(texts: Array) -> Array:
    """Write what JSON does not allow in strings as :func:`json.dumps` does."""
    compute = _compute()
    if not compute.any(compute.match_substring_regex(texts, _TO_ESCAPE)).as_py():
        return texts
    texts = compute.replace_substring(compute.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    for code in range(0x20):
        if not compute.any(compute.match_substring_regex(texts, _CONTROLS)).as_py():
            break
        texts = compute.replace_substring(texts, chr(code), json.dumps(chr(code))[1:-1])
    return texts


def _dates(values: Values) -> Texts:
    """Take those from 1970 on; those before are numbers in relaxed JSON, too."""
    arrow, compute = pyarrow(), _compute()
    dates, taken = take_dates(values)
    numbers = dates.cast(arrow.int64())
    taken &= compute.fill_null(compute.greater_equal(numbers, 0), fill_value=False).to_numpy(zero_copy_only=False)
    texts = compute.replace_substring(dates.cast(arrow.timestamp("ms")).cast(arrow.string()), " ", "T")
    texts = compute.replace_substring(texts, ".000", "")
    return _only(_within('{"$date":"', texts, 'Z"}'), taken), taken


def _object_ids(values: Values) -> Texts:
    texts, taken = take_object_ids(values)
    return _within('{"$oid":"', texts, '"}'), taken


def _decimals(values: Values) -> Texts:
    texts, taken = take_decimals(values)
    return _within('{"$numberDecimal":"', texts, '"}'), taken


def _within(before: str, texts: Array, after: str) -> Array:
    return _compute().binary_join_element_wise(before, texts, after, "")


def _only(texts: Array, taken: Bools) -> Array:
    return texts if taken.all() else _compute().if_else(pyarrow().array(taken), texts, None)


def _compute() -> Any:
    return need("pyarrow.compute", extra="mongo", why="read MongoDB")


_WRITERS: dict[int, Writer] = {
    BsonType.NULL: _nulls,
    BsonType.UNDEFINED: _nulls,
    BsonType.BOOL: _bools,
    BsonType.INT: take_integers,
    BsonType.LONG: take_integers,
    BsonType.DOUBLE: _doubles,
    BsonType.STRING: _strings,
    BsonType.SYMBOL: _strings,
    BsonType.DATE: _dates,
    BsonType.OBJECT_ID: _object_ids,
    BsonType.DECIMAL: _decimals,
}
