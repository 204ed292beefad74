"""Turn documents into Arrow batches, a column per field."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Protocol, final

from penstock._extras import need
from penstock.connectors._batches import without_columns
from penstock.connectors.mongodb._json import extended_json, plain_text
from penstock.connectors.mongodb._pieces import Piece
from penstock.connectors.mongodb._taking import Taking, losses_of, without_misfits
from penstock.connectors.mongodb._types import Kind, bson_name
from penstock.errors import SourceError
from penstock.flow.losses import Losses, OnTypeLoss

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FieldRows", "Rows"]

Documents = list[dict[str, Any]]

_SHOWN_CHARACTERS = 40


class Rows(Protocol):
    """Makes batches of documents."""

    @property
    def schema(self) -> pa.Schema:
        """What every batch has."""
        ...

    def batch(self, piece: Piece) -> pa.RecordBatch:
        """Make a batch.

        Raises:
            bson.errors.InvalidBSON: the documents cannot be read.
            SourceError: they do not fit.
        """
        ...


@final
class FieldRows:
    """A column for each field.

    Args:
        columns: the kind of each column, by its name.
        on_type_loss: what to do about values that do not fit.
        losses: told about those that became NULL.
        where: for messages.
        is_endless: whether documents follow one another without end, so that nobody can look at all of them first.
    """

    def __init__(
        self, columns: dict[str, Kind], on_type_loss: OnTypeLoss, losses: Losses, *, where: str, is_endless: bool
    ) -> None:
        arrow = _pyarrow()
        self._columns = columns
        self.schema: pa.Schema = arrow.schema([(name, kind.arrow_type) for name, kind in columns.items()])
        self._on_type_loss = on_type_loss
        self._losses = losses
        self._taking = Taking(columns, on_type_loss, losses)
        self._where = where
        self._is_endless = is_endless
        self._rows_before = 0

    def batch(self, piece: Piece) -> pa.RecordBatch:
        """Make a batch: of the bytes as they are, or, where those cannot be understood, of decoded documents.

        What is wrong with a document is for the latter to say.

        Raises:
            bson.errors.InvalidBSON: the documents cannot be read.
            SourceError: a value does not fit its column, or there is a field without a column.
        """
        arrays = self._taking.arrays(piece)
        if arrays is None:
            arrays = self._arrays(piece.documents())
        self._rows_before += len(piece)
        if not arrays:
            return without_columns(len(piece))
        batch: pa.RecordBatch = _pyarrow().RecordBatch.from_arrays(arrays, schema=self.schema)
        return batch

    def _arrays(self, documents: Documents) -> list[pa.Array[Any]]:
        # All in C: what is left in a document after every column was taken out of it, has no column.
        taken = {name: list(map(dict.pop, documents, repeat(name), repeat(None))) for name in self._columns}
        self._refuse_others(documents, taken.get("_id"))
        return [kind.build(self._fitting(name, kind, taken)) for name, kind in self._columns.items()]

    def _fitting(self, name: str, kind: Kind, taken: dict[str, list[Any]]) -> list[Any]:
        """Return the values with None for those that do not fit, or raise because of the first of them."""
        values = taken[name]
        misfits = kind.misfits(values)
        if misfits and self._on_type_loss != "warn":
            raise self._misfit(name, kind, values[misfits[0]], self._document(misfits[0], taken.get("_id")))
        for loss in losses_of(name, kind, values, misfits):
            self._losses.add(loss.column, loss.reason, loss.count)
        return without_misfits(values, misfits)

    def _refuse_others(self, documents: Documents, ids: list[Any] | None) -> None:
        if not any(documents):
            return
        number = next(number for number, document in enumerate(documents) if document)
        name = next(iter(documents[number]))
        look_first = "" if self._is_endless else "look at all documents first with --source-option schema=all, "
        raise SourceError(
            f"the field {name!r} appears only in {self._document(number, ids)}, after the columns were chosen",
            where=self._where,
            hint=f"name the fields with --columns, {look_first}"
            "or keep each as one JSON text with --source-option shape=document",
        )

    def _misfit(self, name: str, kind: Kind, value: Any, document: str) -> SourceError:
        shown = plain_text(_to_json)(value) or ""
        shown = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."
        return SourceError(
            f"the field {name!r} is read as {kind.arrow_type} ({kind.name}), but {document} holds "
            f"{bson_name(type(value))} {shown}",
            where=self._where,
            hint="--on-type-loss text makes a column of several types text, warn writes NULL; or read it with a "
            "pipeline that makes it one type ($convert)",
        )

    def _document(self, number: int, ids: list[Any] | None) -> str:
        key = None if ids is None else ids[number]
        if key is None:
            return f"document {self._rows_before + number + 1} of the result"
        return f"the document with _id {_to_json(key)}"


def _to_json(value: Any) -> str:
    return extended_json("relaxed")(value)


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
