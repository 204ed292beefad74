"""Find out which fields documents have, and of which types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, final

from penstock._extras import need
from penstock.connectors.mongodb._arrays import numpy
from penstock.connectors.mongodb._block import BsonType
from penstock.connectors.mongodb._json import is_uuid
from penstock.connectors.mongodb._pieces import Piece
from penstock.connectors.mongodb._types import Kind, Kinds, are_exact, bson_name, int64_type, python_type
from penstock.connectors.mongodb._values import Values, are_uuids, are_whole_in_doubles, unusual
from penstock.connectors.mongodb._walk import Walk, pays, walked
from penstock.flow.losses import OnTypeLoss

__all__ = ["Fields"]

_MOST_PASSES = 64  # each finds a new name, or another order of them
_ABSENT = type(None)


@final
class Fields:
    """Learns from documents which fields there are, and of which types.

    Args:
        names: the fields wanted, in this order; None for all, as they appear.
    """

    def __init__(self, names: Sequence[str] | None) -> None:
        self._is_open = names is None
        self._seen: dict[str, _Seen] = {name: _Seen() for name in names or ()}
        self._order: list[str] = list(self._seen)

    def look(self, piece: Piece) -> None:
        """Learn from these, too.

        Raises:
            bson.errors.InvalidBSON: they cannot be read.
        """
        walk = self._walked(piece) if pays(piece) else None
        if walk is None:
            self._look_at(piece.documents())
            return
        for name, seen in self._seen.items():
            values = Values(walk.block, *walk.column(name))
            seen.note(_types_of(values), all_uuids=are_uuids(values), all_exact=are_whole_in_doubles(values))

    def _walked(self, piece: Piece) -> Walk | None:
        """Return what is where, with every name noted; None where documents must be looked at one by one."""
        appeared = dict.fromkeys(self._seen)
        try:
            walk, self._order = walked(
                piece, self._order, _MOST_PASSES, lambda names: appeared.update(dict.fromkeys(names))
            )
        except need("bson.errors", extra="mongo", why="read MongoDB").BSONError:
            return None  # to be raised where all are decoded
        if walk.odd.size:
            return None
        # Names are new in the first document that was not finished; all before it are, so this is how they appear.
        if self._is_open:
            self._note_names(appeared)
        return walk

    def _look_at(self, documents: list[dict[str, Any]]) -> None:
        if self._is_open:
            self._note_names(chain.from_iterable(documents))
        for name, seen in self._seen.items():
            seen.look([document.get(name) for document in documents])

    def _note_names(self, names: Iterable[str]) -> None:
        for name in dict.fromkeys(names):
            self._seen.setdefault(name, _Seen())

    def kinds(self, kinds: Kinds, on_type_loss: OnTypeLoss) -> dict[str, Kind]:
        """Choose the kind of each column."""
        return {name: seen.kind(kinds, on_type_loss) for name, seen in self._seen.items()}

    def source_types(self) -> dict[str, str]:
        """Return what MongoDB calls the types that were seen: ``"int | string"``."""
        return {
            name: " | ".join(dict.fromkeys(map(bson_name, seen.types))) or "null" for name, seen in self._seen.items()
        }


class _Seen:
    """What is known of the values of one field."""

    def __init__(self) -> None:
        self.types: Counter[type] = Counter()
        self._all_uuids = True
        self._all_exact = True

    def look(self, values: Sequence[Any]) -> None:
        types = Counter(map(type, values))
        del types[_ABSENT]
        uuids = all(is_uuid(value) for value in values if isinstance(value, bytes))
        exact = int64_type() not in types or are_exact(value for value in values if isinstance(value, int))
        self.note(types, all_uuids=uuids, all_exact=exact)

    def note(self, types: Counter[type], *, all_uuids: bool, all_exact: bool) -> None:
        self.types += types
        self._all_uuids = self._all_uuids and all_uuids
        self._all_exact = self._all_exact and all_exact

    def kind(self, kinds: Kinds, on_type_loss: OnTypeLoss) -> Kind:
        return kinds.choose(self.types, on_type_loss, all_uuids=self._all_uuids, all_exact=self._all_exact)


def _types_of(values: Values) -> Counter[type]:
    """Count the values of each Python type; the type that is first seen stands first."""
    np = numpy()
    found: list[tuple[int, type, int]] = []
    for code in np.flatnonzero(np.bincount(values.types)).tolist():
        if code not in BsonType.NOTHING:
            rows = np.flatnonzero(values.types == code)
            is_unusual = unusual(values, code, rows)
            for those, is_other in ((rows[~is_unusual], False), (rows[is_unusual], True)):
                if those.size:
                    found.append((int(those[0]), python_type(code, is_unusual=is_other), len(those)))
    counted: Counter[type] = Counter()
    for _row, kind, count in sorted(found, key=lambda entry: entry[0]):
        counted[kind] += count
    return counted
