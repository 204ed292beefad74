"""The values of one field in many documents, read directly from the received bytes."""

from __future__ import annotations

from struct import Struct
from typing import Any, final

from penstock.connectors.mongodb._arrays import Bools, Ints, numpy
from penstock.connectors.mongodb._block import Block, BsonType, widths
from penstock.connectors.mongodb._json import UUID_BYTES, UUID_SUBTYPE, decoder

__all__ = ["MOST_EXACT", "Values", "are_exact", "are_usual_dates", "are_uuids", "are_whole_in_doubles", "unusual"]

_REFERENCE = b"$ref\0"  # the name of a field of each reference
_HEAD = Struct("<iBx")  # of a document with one field, which has no name
MOST_EXACT = 1 << 53  # up to here a double holds every integer
_FIRST_DATE, _LAST_DATE = -62_135_596_800_000, 253_402_300_799_999  # of the years 1 and 9999


@final
class Values:
    """The values of one field.

    Args:
        block: the bytes.
        types: the type of each; 0 for one that is not there.
        begins: where each begins; anywhere in the document for one that is not there.
    """

    def __init__(self, block: Block, types: Ints, begins: Ints) -> None:
        self.block = block
        self.types = types
        self.begins = begins

    def __len__(self) -> int:
        return len(self.types)

    def present(self) -> Bools:
        """Return which are neither missing nor null."""
        return ~self.are(*BsonType.NOTHING)

    def are(self, *types: int) -> Bools:
        """Return which are of one of these types."""
        found: Bools = self.types == types[0]
        for other in types[1:]:
            found |= self.types == other
        return found

    def at(self, kind: str, skipped: int = 0, rows: Ints | None = None) -> Ints:
        """Return what is ``skipped`` bytes behind the beginning of each value, or of those of ``rows``."""
        begins = self.begins if rows is None else self.begins[rows]
        return self.block.at(begins + skipped if skipped else begins, kind)

    def raw(self, rows: Ints) -> list[bytes]:
        """Return the bytes of the values of ``rows``."""
        if not len(rows):
            return []
        begins = self.begins[rows]
        ends = begins + widths(self.block, self.types[rows], begins)
        return list(map(self.block.bytes_at, begins.tolist(), ends.tolist()))

    def decoded(self, rows: Ints) -> list[Any]:
        """Decode the values of ``rows``: each as a document of its own, with a field that has no name.

        Raises:
            bson.errors.InvalidBSON: one of them cannot be.
        """
        documents = b"".join(
            _HEAD.pack(_HEAD.size + len(value) + 1, code) + value + b"\0"
            for code, value in zip(self.types[rows].tolist(), self.raw(rows), strict=True)
        )
        return [document[""] for document in decoder()(documents)]

    def numbers(self, into: Ints, kinds: dict[int, str]) -> Bools:
        """Put all values of these types into an array, and return which those are."""
        np = numpy()
        taken: Bools = np.zeros(len(self), bool)
        for code, kind in kinds.items():
            rows = np.flatnonzero(self.types == code)
            if rows.size == len(self):
                into[:] = self.at(kind)
            elif rows.size:
                into[rows] = self.at(kind, rows=rows)
            taken[rows] = True
        return taken

    def uuids(self) -> Bools:
        """Return which are UUIDs."""
        found: Bools = self.are(BsonType.BINARY) & (self.at("<i4") == UUID_BYTES) & (self.at("u1", 4) == UUID_SUBTYPE)
        return found


def unusual(values: Values, code: int, rows: Ints) -> Bools:
    """Return which of ``rows``, all of type ``code``, Python has another type for than for the others.

    Those are references among documents, bytes with a subtype, and dates that no ``datetime`` can hold.
    """
    np = numpy()
    found: Bools = np.zeros(len(rows), bool)
    if code == BsonType.DOCUMENT:
        found[:] = [_REFERENCE in raw for raw in values.raw(rows)]
        may_be = np.flatnonzero(found)
        found[may_be] = [type(value) is not dict for value in values.decoded(rows[may_be])]
    elif code == BsonType.BINARY:
        found = values.at("u1", 4, rows) != 0
    elif code == BsonType.DATE:
        found = ~are_usual_dates(values.at("<i8", rows=rows))
    return found


def are_uuids(values: Values) -> bool:
    """Whether all bytes are those of UUIDs."""
    is_binary = values.are(BsonType.BINARY)
    return bool((values.uuids() | ~is_binary).all())


def are_whole_in_doubles(values: Values) -> bool:
    """Whether a double could hold each of the integers."""
    longs = values.at("<i8", rows=numpy().flatnonzero(values.types == BsonType.LONG))
    return bool(are_exact(longs).all())


def are_exact(longs: Ints) -> Bools:
    """Return which of these integers a double holds."""
    exact: Bools = (longs >= -MOST_EXACT) & (longs <= MOST_EXACT)
    return exact


def are_usual_dates(milliseconds: Ints) -> Bools:
    """Return which of these Python has a ``datetime`` for: those of the years 1 to 9999."""
    usual: Bools = (milliseconds >= _FIRST_DATE) & (milliseconds <= _LAST_DATE)
    return usual
