"""Make batches of documents without turning them into Python objects, as far as possible.

Nothing is reported as an error here. If anything could be one, this gives up on the piece, and :mod:`._rows` decodes its
documents and says what is wrong with which.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.connectors.mongodb._arrays import Ints, merged, numpy, pyarrow
from penstock.connectors.mongodb._pieces import Piece
from penstock.connectors.mongodb._types import Kind, bson_name
from penstock.connectors.mongodb._values import Values
from penstock.connectors.mongodb._walk import Walk, pays, walked
from penstock.flow.losses import Loss, Losses, OnTypeLoss

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Taking", "losses_of", "without_misfits"]

_MOST_PASSES = 8


class _GivenUp(Exception):
    """The documents must be decoded."""


@final
class Taking:
    """Makes the columns of batches.

    Args:
        columns: the kind of each column, by its name.
        on_type_loss: what to do about values that do not fit.
        losses: told about those that became NULL.
    """

    def __init__(self, columns: dict[str, Kind], on_type_loss: OnTypeLoss, losses: Losses) -> None:
        self._columns = columns
        self._on_type_loss = on_type_loss
        self._losses = losses
        self._order = list(columns)

    def arrays(self, piece: Piece) -> list[pa.Array[Any]] | None:
        """Return the columns of these documents; None if they must be decoded, be it for an error or not."""
        if not pays(piece) or not self._columns:
            return None
        lost: list[Loss] = []  # to be told only if this is not given up
        try:
            arrays = self._arrays(piece, lost)
        except (_GivenUp, need("bson.errors", extra="mongo", why="read MongoDB").BSONError, pyarrow().ArrowInvalid):
            return None
        for loss in lost:
            self._losses.add(loss.column, loss.reason, loss.count)
        return arrays

    def _arrays(self, piece: Piece, lost: list[Loss]) -> list[pa.Array[Any]]:
        walk, self._order = walked(piece, self._order, _MOST_PASSES, self._check)
        odd = walk.odd
        if 2 * len(odd) > len(piece):
            raise _GivenUp
        documents = piece.decoded(odd)
        arrays = [
            self._array(name, walk, odd, [document.pop(name, None) for document in documents], lost)
            for name in self._columns
        ]
        if any(documents):
            raise _GivenUp  # there are fields without a column
        return arrays

    def _check(self, names: list[str]) -> None:
        if not self._columns.keys() >= set(names):
            raise _GivenUp

    def _array(self, name: str, walk: Walk, odd: Ints, of_odd: list[Any], lost: list[Loss]) -> pa.Array[Any]:
        """Take what can be taken, and put the rest in its place, decoded."""
        np = numpy()
        kind = self._columns[name]
        values = Values(walk.block, *walk.column(name))
        array, taken = kind.take(values)
        rows = np.flatnonzero(~taken & values.present())
        if not (rows.size or odd.size):
            return array  # type: ignore[no-any-return]  # Arrow's stubs do not know its type
        decoded = values.decoded(rows)
        if odd.size:
            rows = np.concatenate([rows, odd])
            order = np.argsort(rows)
            both = decoded + of_odd
            rows, decoded = rows[order], [both[place] for place in order.tolist()]
        misfits = kind.misfits(decoded)
        if misfits and self._on_type_loss != "warn":
            raise _GivenUp
        lost += losses_of(name, kind, decoded, misfits)
        others = kind.build(without_misfits(decoded, misfits))
        return merged(array, others, rows)  # type: ignore[no-any-return]  # ... nor of this


def without_misfits(values: list[Any], misfits: list[int]) -> list[Any]:
    """Return values of a column with None for those that do not fit."""
    if not misfits:
        return values
    fitting = list(values)
    for number in misfits:
        fitting[number] = None
    return fitting


def losses_of(name: str, kind: Kind, values: list[Any], misfits: list[int]) -> list[Loss]:
    """Return what is lost of a column without those of its values that do not fit."""
    found = Counter(bson_name(type(values[number])) for number in misfits)
    return [Loss(name, f"{source_type} does not fit {kind.arrow_type}", count) for source_type, count in found.items()]
