"""Find the fields of many documents at once.

Each document has a cursor, the position of its next field. A step takes one field name, finds the documents in which it
comes next, records the type and position of its value there, and moves their cursors past it: a few numpy operations for
all documents together. A pass is one step for each name. If a field is missing in a document, its cursor waits for the next
name. So documents with different subsets of the fields still take one pass; those with another order take another pass.

Documents that a pass cannot handle (see :attr:`Walk.odd`) are left to pymongo's decoder, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import final

from penstock.connectors.mongodb._arrays import Bools, Ints, numpy
from penstock.connectors.mongodb._block import WORD_BYTES, Block, widths
from penstock.connectors.mongodb._pieces import Piece

__all__ = ["Walk", "in_order", "pays", "walked"]

_FEWEST_DOCUMENTS = 100  # to decode fewer takes less time


@final
class Walk:
    """What is where in the documents of a piece.

    Args:
        piece: the documents.
        block: their bytes; None to copy them.

    Attributes:
        block: the bytes.
        unfinished: in which documents something is left after the passes so far, ascending.
        odd: documents to be decoded one by one, ascending: with a field twice, of an unknown type, with a wrong length.
    """

    def __init__(self, piece: Piece, block: Block | None = None) -> None:
        np = numpy()
        self.block = Block.of_piece(piece) if block is None else block
        self._count = len(piece)
        self._cursor: Ints = piece.starts + 4
        self._last: Ints = piece.ends - 1
        self._is_odd: Bools = (self.block.at(self._last, "u1") != 0) | (self._last < self._cursor)
        self._is_odd |= self.block.at(piece.starts, "<i4") != piece.ends - piece.starts
        self._cursor[self._is_odd] = self._last[self._is_odd]
        self._types: dict[str, Ints] = {}
        self._begins: dict[str, Ints] = {}
        self.unfinished: Ints = np.arange(self._count)

    @property
    def odd(self) -> Ints:
        """Documents that must be decoded."""
        found: Ints = numpy().flatnonzero(self._is_odd)
        return found

    def column(self, name: str) -> tuple[Ints, Ints]:
        """Return the type of a field in each document, and where its value begins; type 0 where it is not, or odd."""
        np = numpy()
        types = self._types.get(name)
        if types is None:
            return np.zeros(self._count, np.uint8), self.block.starts
        if self._is_odd.any():
            types = np.where(self._is_odd, np.uint8(0), types)
        begins: Ints = np.where(types == 0, self.block.starts, self._begins[name])
        return types, begins

    def leave(self) -> None:
        """Count the documents that are still unfinished as odd."""
        self._is_odd[self.unfinished] = True

    def run(self, names: Iterable[str]) -> None:
        """Make a pass with these names over the unfinished documents."""
        rows = None if len(self.unfinished) == self._count else self.unfinished
        cursor, last = (self._cursor, self._last) if rows is None else (self._cursor[rows], self._last[rows])
        for name in names:
            cursor = self._step(name, cursor, last, rows)
        if rows is None:
            self._cursor = cursor
        else:
            self._cursor[rows] = cursor
        self.unfinished = numpy().flatnonzero(self._cursor != self._last)

    def _step(self, name: str, cursor: Ints, last: Ints, rows: Ints | None) -> Ints:
        np = numpy()
        words = self.block.at(cursor, "<u8")
        is_here = self._comes_next(name, cursor, words)
        if is_here.all():
            types, begins, here = words.astype(np.uint8), cursor + _bytes_before(name), None
        elif is_here.any():
            here = np.flatnonzero(is_here)
            types, begins, last = words[here].astype(np.uint8), cursor[here] + _bytes_before(name), last[here]
        else:
            return cursor
        after: Ints = begins + widths(self.block, types, begins)
        wrong = np.flatnonzero(after > last)
        after[wrong] = last[wrong]
        within = rows if here is None else here if rows is None else rows[here]
        self._note(name, types, begins, within)
        self._is_odd[wrong if within is None else within[wrong]] = True
        if here is None:
            return after
        cursor = cursor.copy()
        cursor[here] = after
        return cursor

    def _comes_next(self, name: str, cursor: Ints, words: Ints) -> Bools:
        """Whether a field of this name is at the cursor: after the byte of its type, up to the zero behind its name."""
        np = numpy()
        (wanted, mask), *others = _words_of(name)
        is_here: Bools = (words & np.uint64(mask)) == np.uint64(wanted)
        is_here &= words.astype(np.uint8) != 0  # as it is at the end of a document
        for place, (wanted, mask) in enumerate(others, 1):
            if not is_here.any():
                break
            # Only cursors of documents that this is not the next name of can be so far behind as to come to the end.
            words = self.block.at(np.minimum(cursor + place * WORD_BYTES, self.block.last_word), "<u8")
            is_here &= (words & np.uint64(mask)) == np.uint64(wanted)
        return is_here

    def _note(self, name: str, types: Ints, begins: Ints, rows: Ints | None) -> None:
        np = numpy()
        if name not in self._types:
            if rows is None:
                self._types[name], self._begins[name] = types, begins
                return
            self._types[name] = np.zeros(self._count, np.uint8)
            self._begins[name] = np.zeros(self._count, np.int64)
        before = self._types[name] if rows is None else self._types[name][rows]
        twice = np.flatnonzero(before)
        self._is_odd[twice if rows is None else rows[twice]] = True
        where = slice(None) if rows is None else rows
        self._types[name][where], self._begins[name][where] = types, begins


def pays(piece: Piece) -> bool:
    """Whether there are so many documents that a walk through them takes less time than decoding them."""
    return len(piece) >= _FEWEST_DOCUMENTS


def walked(
    piece: Piece, order: list[str], most_passes: int, note: Callable[[list[str]], object], block: Block | None = None
) -> tuple[Walk, list[str]]:
    """Walk through documents.

    Args:
        piece: the documents.
        order: the names expected.
        most_passes: after so many, what is left is odd. So it is when they take longer than decoding would: where
            documents have few fields each, and many names among them.
        note: is told the names of a document that a pass did not finish; none before it has a name that was not expected.
        block: the bytes of the documents; None to copy them.

    Returns:
        the walk, and the order of names for the next piece.

    Raises:
        bson.errors.InvalidBSON: such a document cannot be read.
    """
    walk, steps = Walk(piece, block), int((piece.ends - piece.starts).sum())  # plain documents take one for ten bytes
    for _ in range(most_passes):
        steps -= len(order) * len(walk.unfinished)
        if steps < 0:
            break
        walk.run(order)
        if not walk.unfinished.size:
            break
        names = list(piece.decoded(walk.unfinished[:1])[0])
        note(names)
        order = in_order(order, names)
    walk.leave()
    return walk, order


def in_order(order: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return ``names``, and those of ``order`` that are not among them, each still behind the one it was behind."""
    behind: dict[str | None, list[str]] = {None: []}
    behind.update((name, []) for name in names)
    previous: str | None = None
    for name in order:
        if name in behind:
            previous = name
        else:
            behind[previous].append(name)
    return [
        *behind.pop(None),
        *(found for name, others in behind.items() if name is not None for found in (name, *others)),
    ]


def _bytes_before(name: str) -> int:
    """Return how many bytes a field has before its value: type, name, zero."""
    return len(name.encode()) + 2


def _words_of(name: str) -> list[tuple[int, int]]:
    """Return a name as eight bytes at a time, with a byte before it that may be anything: each value, and its mask."""
    text = b"\0" + name.encode() + b"\0"
    mask = b"\0" + b"\xff" * (len(text) - 1)
    return [
        (
            int.from_bytes(text[place : place + WORD_BYTES], "little"),
            int.from_bytes(mask[place : place + WORD_BYTES], "little"),
        )
        for place in range(0, len(text), WORD_BYTES)
    ]
