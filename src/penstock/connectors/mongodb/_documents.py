"""Turn documents into Arrow batches of whole documents, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from penstock._extras import need
from penstock.connectors.mongodb._arrays import Array, Bools, merged, numpy, pyarrow
from penstock.connectors.mongodb._block import Block, BsonType
from penstock.connectors.mongodb._json import extended_json, plain_text
from penstock.connectors.mongodb._nested import take_integers, take_nested, together
from penstock.connectors.mongodb._pieces import Piece
from penstock.connectors.mongodb._values import Values
from penstock.connectors.mongodb._vectors import take_object_ids, take_strings
from penstock.connectors.mongodb._walk import Walk, pays

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DocumentRows"]

_KEY = "_id"
_TAKEN_KEYS = {
    BsonType.OBJECT_ID: take_object_ids,
    BsonType.STRING: take_strings,
    BsonType.INT: take_integers,
    BsonType.LONG: take_integers,
}


@final
class DocumentRows:
    """Two columns: ``_id`` as text, and the whole ``document`` as JSON. Everything fits.

    Args:
        form: of the JSON, ``"relaxed"`` or ``"canonical"``.
    """

    def __init__(self, form: str) -> None:
        arrow = pyarrow()
        self.schema: pa.Schema = arrow.schema([(_KEY, arrow.string()), ("document", arrow.string())])
        self._is_taken = form == "relaxed"
        self._write = extended_json(form)
        self._text_of = plain_text(self._write)

    def batch(self, piece: Piece) -> pa.RecordBatch:
        """Make a batch: of the bytes as they are, or, where those cannot be understood, of decoded documents.

        Raises:
            bson.errors.InvalidBSON: the documents cannot be read.
        """
        arrays = self._taken(piece) if self._is_taken and pays(piece) else None
        batch: pa.RecordBatch = pyarrow().RecordBatch.from_arrays(
            arrays or self._of_decoded(piece.documents()), schema=self.schema
        )
        return batch

    def _taken(self, piece: Piece) -> list[Array] | None:
        """Return the columns; None if all documents must be decoded, be it for an error or not."""
        np, bson_error = numpy(), need("bson.errors", extra="mongo", why="read MongoDB").BSONError
        block = Block.of_piece(piece)
        if (piece.starts + block.at(piece.starts, "<i4") != piece.ends).any():
            return None
        try:
            documents, taken = take_nested(Values(block, np.full(len(piece), BsonType.DOCUMENT, "u1"), piece.starts))
            keys, taken_keys = _keys(piece, block)
            others = np.flatnonzero(~(taken & taken_keys))
            if 2 * len(others) > len(piece):
                return None
            if not others.size:
                return [keys, documents]
            decoded = self._of_decoded(piece.decoded(others))
        except (bson_error, pyarrow().ArrowInvalid):
            return None
        return [merged(keys, decoded[0], others), merged(documents, decoded[1], others)]

    def _of_decoded(self, documents: list[dict[str, object]]) -> list[Array]:
        arrow = pyarrow()
        keys = [self._text_of(document.get(_KEY)) for document in documents]
        texts = list(map(self._write, documents))
        return [arrow.array(keys, arrow.string()), arrow.array(texts, arrow.string())]


def _keys(piece: Piece, block: Block) -> tuple[Array, Bools]:
    """Return the keys of the usual types as text, where they are the first field; and which those are."""
    walk = Walk(piece, block)
    walk.run([_KEY])
    return together(Values(block, *walk.column(_KEY)), _TAKEN_KEYS)
