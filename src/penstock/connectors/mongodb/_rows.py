"""Documents to Arrow: learn which fields there are, then make columns of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Protocol, final

from penstock._extras import need
from penstock.connectors.mongodb._json import extended_json, is_uuid, plain_text
from penstock.connectors.mongodb._types import Kind, Kinds, are_exact, bson_name, int64_type
from penstock.errors import SourceError
from penstock.flow.losses import Losses, OnTypeLoss

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DocumentRows", "Fields", "FieldRows", "Rows", "slices"]

Documents = list[dict[str, Any]]

_SHOWN_CHARACTERS = 40
_ABSENT = type(None)


class Rows(Protocol):
    """Makes batches of documents."""

    @property
    def schema(self) -> pa.Schema:
        """What every batch has."""
        ...

    def batch(self, documents: Documents) -> pa.RecordBatch:
        """Make a batch. Takes the documents apart."""
        ...


def slices(data: bytes, size_bytes: int) -> Iterator[bytes]:
    """Divide documents that follow one another into pieces of whole documents, of about ``size_bytes``."""
    begin = end = 0
    while end < len(data):
        end += int.from_bytes(data[end : end + 4], "little")  # the length a document begins with
        if end - begin >= size_bytes or end == len(data):
            yield data[begin:end]
            begin = end


@final
class Fields:
    """Learns from documents which fields there are, and of which types.

    Args:
        names: the fields wanted, in this order; None for all, as they appear.
    """

    def __init__(self, names: Sequence[str] | None) -> None:
        self._is_open = names is None
        self._seen: dict[str, _Seen] = {name: _Seen() for name in names or ()}

    def look(self, documents: Documents) -> None:
        """Learn from these, too."""
        if self._is_open:
            for name in dict.fromkeys(chain.from_iterable(documents)):
                self._seen.setdefault(name, _Seen())
        for name, seen in self._seen.items():
            seen.look([document.get(name) for document in documents])

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
        self.types += types
        if self._all_uuids:
            self._all_uuids = all(is_uuid(value) for value in values if isinstance(value, bytes))
        if self._all_exact and int64_type() in types:
            self._all_exact = are_exact(value for value in values if isinstance(value, int))

    def kind(self, kinds: Kinds, on_type_loss: OnTypeLoss) -> Kind:
        return kinds.choose(self.types, on_type_loss, all_uuids=self._all_uuids, all_exact=self._all_exact)


@final
class FieldRows:
    """A column for each field.

    Args:
        columns: the kind of each column, by its name.
        on_type_loss: what to do about values that do not fit.
        losses: told about those that became NULL.
        where: for messages.
    """

    def __init__(self, columns: dict[str, Kind], on_type_loss: OnTypeLoss, losses: Losses, *, where: str) -> None:
        arrow = _pyarrow()
        self._columns = columns
        self.schema: pa.Schema = arrow.schema([(name, kind.arrow_type) for name, kind in columns.items()])
        self._on_type_loss = on_type_loss
        self._losses = losses
        self._where = where
        self._rows_before = 0

    def batch(self, documents: Documents) -> pa.RecordBatch:
        """Make a batch. Takes the documents apart.

        Raises:
            SourceError: a value does not fit its column, or there is a field without a column.
        """
        # All in C: what is left in a document after every column was taken out of it, has no column.
        taken = {name: list(map(dict.pop, documents, repeat(name), repeat(None))) for name in self._columns}
        self._refuse_others(documents, taken.get("_id"))
        arrays = [self._array(name, kind, taken) for name, kind in self._columns.items()]
        self._rows_before += len(documents)
        arrow = _pyarrow()
        if not arrays:
            empty: pa.RecordBatch = arrow.RecordBatch.from_struct_array(arrow.array(documents, arrow.struct([])))
            return empty
        batch: pa.RecordBatch = arrow.RecordBatch.from_arrays(arrays, schema=self.schema)
        return batch

    def _array(self, name: str, kind: Kind, taken: dict[str, list[Any]]) -> pa.Array[Any]:
        values = taken[name]
        types = set(map(type, values))
        types.discard(_ABSENT)
        if not types <= kind.types:
            values = self._fitting(name, kind, values, taken.get("_id"))
        return kind.build(values)

    def _fitting(self, name: str, kind: Kind, values: list[Any], ids: list[Any] | None) -> list[Any]:
        """Return the values with None for those that do not fit, or raise because of the first of them."""
        types, fits = kind.types, kind.fits
        misfits = [
            number for number, value in enumerate(values) if not (value is None or type(value) in types or fits(value))
        ]
        if not misfits:
            return values
        if self._on_type_loss != "warn":
            raise self._misfit(name, kind, values[misfits[0]], self._document(misfits[0], ids))
        fitting = list(values)
        for number in misfits:
            fitting[number] = None
        found = Counter(bson_name(type(values[number])) for number in misfits)
        for source_type, count in found.items():
            self._losses.add(name, f"{source_type} does not fit {kind.arrow_type}", count)
        return fitting

    def _refuse_others(self, documents: Documents, ids: list[Any] | None) -> None:
        if not any(documents):
            return
        number = next(number for number, document in enumerate(documents) if document)
        name = next(iter(documents[number]))
        raise SourceError(
            f"the field {name!r} appears only in {self._document(number, ids)}, after the columns were chosen",
            where=self._where,
            hint="name the fields with --columns, look at all documents first with --source-option schema=all, "
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


@final
class DocumentRows:
    """Two columns: ``_id`` as text, and the whole ``document`` as JSON. Everything fits.

    Args:
        form: of the JSON, ``"relaxed"`` or ``"canonical"``.
    """

    def __init__(self, form: str) -> None:
        arrow = _pyarrow()
        self.schema: pa.Schema = arrow.schema([("_id", arrow.string()), ("document", arrow.string())])
        self._write = extended_json(form)
        self._text_of = plain_text(self._write)

    def batch(self, documents: Documents) -> pa.RecordBatch:
        """Make a batch."""
        arrow = _pyarrow()
        keys: Iterable[Any] = [self._text_of(document.get("_id")) for document in documents]
        texts = list(map(self._write, documents))
        batch: pa.RecordBatch = arrow.RecordBatch.from_arrays(
            [arrow.array(keys, arrow.string()), arrow.array(texts, arrow.string())], schema=self.schema
        )
        return batch


def _to_json(value: Any) -> str:
    return extended_json("relaxed")(value)


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
