"""The connector of MongoDB, for reading.

``mongodb://user@host:port/database`` or ``mongodb+srv://``; options after the ``?`` are MongoDB's own, and so are their
defaults: with ``tls=true`` the certificate is verified. What is read is a collection (``-t``), narrowed by ``--where``
(a filter as JSON), ``--columns`` and ``--limit``, or a find or aggregation as JSON; see
:mod:`penstock.connectors.mongodb._query`. Options of its own:

    mode     next  read on as the destination takes it (the default)
             all   read the whole result into memory first, 8 batches at most (32 MiB under --max-memory 128MiB), and
                   close the cursor before the first row is handed out; every field is known then, also late ones
             tail  a capped collection: what is there, and then what is added, until a cancel or deadline, or `idle`
    idle     how long mode=tail waits for a new document before it ends: 5s
    schema   first take the fields and types from the first batch (the default)
             all   read the result twice: first to learn every field and type, then to hand it out
    shape    rows  a column for each field of the document (the default)
             document  two columns: `_id`, and the whole `document` as JSON
    json     relaxed (the default) or canonical: which Extended JSON nested values are written as

:mod:`penstock.connectors.mongodb._types` has the types. There is no snapshot: documents that are written while it reads
may or may not be seen.

The cursor lives in a session that is refreshed every five minutes and without a time limit of its own, so a slow
destination does not end it; if this process is killed, the server ends it with the session, after 30 minutes. On every
other way out it is closed at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, final

from penstock.connectors._batches import Batches
from penstock.connectors._requests import SourceRequest
from penstock.connectors.mongodb import _catalog as _mongo_catalog
from penstock.connectors.mongodb._address import Address
from penstock.connectors.mongodb._connection import Connection, connected
from penstock.connectors.mongodb._cursor import Replies, documents_per_reply
from penstock.connectors.mongodb._documents import DocumentRows
from penstock.connectors.mongodb._errors import translating
from penstock.connectors.mongodb._fields import Fields
from penstock.connectors.mongodb._options import Options
from penstock.connectors.mongodb._pieces import Piece, pieces
from penstock.connectors.mongodb._query import Query, query_of
from penstock.connectors.mongodb._rows import FieldRows, Rows
from penstock.connectors.mongodb._types import Kinds
from penstock.errors import BudgetExceeded, ConfigurationError
from penstock.flow.contracts import BatchStream
from penstock.flow.description import ColumnType, Description
from penstock.flow.units import format_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MongoSource", "source"]

_ALL_BATCHES = 8  # the share of --max-memory that batches have, in batches
_DESCRIBED_DOCUMENTS = 100


def source(request: SourceRequest) -> MongoSource:
    """Make a source that reads a collection or a query."""
    request.refuse("format", "compression", because="a database has rows, not stored bytes")
    request.check_options(Options.names())
    address, query, options = Address.of(request), query_of(request), Options.of(request)
    if options.mode == "tail":
        if query.pipeline is not None:
            raise ConfigurationError(f"{request.shown}: mode=tail reads a collection, and no pipeline")
        query = query_of(replace(request, limit=None))  # of what is yet to come; rows are counted here
    return MongoSource(request, address, query, options)


@final
class MongoSource:
    """Reads one find or aggregation. Use through :func:`penstock.connectors.open_source`."""

    byte_formats: frozenset[str] = frozenset()

    def __init__(self, request: SourceRequest, address: Address, query: Query, options: Options) -> None:
        self.display_name = f"{request.shown} {query.collection}"
        self.rows_read: int | None = None
        self._request = request
        self._address = address
        self._query = query
        self._options = options

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: there are no stored bytes here, ``byte_formats`` is empty."""
        raise ConfigurationError(f"{self.display_name}: MongoDB does not write {format_name} itself")

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Run the query, read what tells the columns, and give the stream. Leaving the block closes the cursor.

        Raises:
            BudgetExceeded: with ``mode=all``, the result is larger than ``--max-memory`` has room for.
        """
        with self._connected() as connection:
            fields = self._learned(self._every_reply(connection)) if self._looks_at_all() else None
            replies = self._opened(connection)
            first = self._first(connection, replies)
            rows = self._rows(fields or self._learned(first))
            self.rows_read = 0
            yield Batches(rows.schema, self._batches(replies, first, rows))

    def describe(self, format_name: str | None) -> Description:
        """Connect, look at the first documents, and disconnect."""
        with self._connected() as connection:
            collection = _mongo_catalog.looked_up(connection, self._query.collection)
            looked_at = Replies.of_query(connection, self._query.limited(_DESCRIBED_DOCUMENTS), _DESCRIBED_DOCUMENTS, 0)
            first = [reply] if (reply := looked_at.next()) else []
            fields = self._learned(first)
            kinds = fields.kinds(Kinds(self._options.json), self._request.on_type_loss)
            replies = f"raw replies of about {format_bytes(self._request.batch_bytes)}"
            twice = "; read twice, first for the types" if self._looks_at_all() else ""
            return Description(
                reading=f"{self._query}, {replies}; {self._options}{twice}",
                why="documents become columns whole replies at a time, and are never bent to fit one",
                consistency="none: documents written meanwhile may or may not be seen",
                columns=self._described(fields, {name: kind.arrow_type for name, kind in kinds.items()}),
                estimated_rows=collection.documents if self._query.is_plain else None,
                estimated_bytes=collection.stored_bytes if self._query.is_plain else None,
            )

    # --- reading ------------------------------------------------------------------------------------------------

    def _connected(self) -> AbstractContextManager[Connection]:
        address = self._address
        return connected(address.uri, address.defaults, address.database, where=self.display_name)

    def _opened(self, connection: Connection) -> Replies:
        if self._options.mode == "tail":
            return Replies.of_tail(connection, self._query, self._options.idle_seconds, self._request.batch_bytes)
        documents = documents_per_reply(connection, self._query, self._request.batch_bytes)
        return Replies.of_query(connection, self._query, documents, self._request.batch_bytes)

    def _first(self, connection: Connection, replies: Replies) -> list[bytes]:
        """Return the first reply, or with ``mode=all`` every reply; if there is none, check that the collection exists."""
        first = [reply] if (reply := replies.next()) else []
        if not first and self._options.mode != "tail":
            _mongo_catalog.check_collection(connection, self._query.collection)
        if self._options.mode == "all":
            limit_bytes = _ALL_BATCHES * self._request.batch_bytes
            while first and (reply := replies.next()):
                first.append(reply)
                if sum(map(len, first)) > limit_bytes:
                    raise BudgetExceeded(
                        f"{self.display_name}: the result is larger than {format_bytes(limit_bytes)}, which mode=all may "
                        "hold in memory; raise max_memory, or read with mode=next"
                    )
        return first

    def _looks_at_all(self) -> bool:
        """Whether to read everything twice, which is also necessary if no value may fail to fit its column."""
        wanted = self._options.schema == "all" or self._request.on_type_loss == "text"
        return wanted and self._options.mode == "next" and self._options.shape == "rows"

    def _rows(self, fields: Fields) -> Rows:
        if self._options.shape == "document":
            return DocumentRows(self._options.json)
        on_type_loss = self._request.on_type_loss
        kinds = Kinds(self._options.json)
        columns = fields.kinds(kinds, on_type_loss)
        if self._options.mode == "tail" and on_type_loss == "text":
            columns = dict.fromkeys(columns, kinds.text)  # nobody knows what will come
        is_endless = self._options.mode == "tail"
        losses = self._request.losses
        return FieldRows(columns, on_type_loss, losses, where=self.display_name, is_endless=is_endless)

    def _every_reply(self, connection: Connection) -> Iterator[bytes]:
        replies = self._opened(connection)
        while reply := replies.next():
            yield reply

    def _learned(self, replies: Iterable[bytes]) -> Fields:
        fields = Fields(self._query.names)
        for reply in replies:
            for piece in self._pieces(reply):
                with translating(self.display_name):
                    fields.look(piece)
        return fields

    def _pieces(self, reply: bytes) -> Iterator[Piece]:
        # Half a batch at a time: where they must become Python objects, documents weigh several times what they do as bytes.
        return pieces(reply, self._request.batch_bytes // 2)

    def _batches(self, replies: Replies, first: list[bytes], rows: Rows) -> Iterator[pa.RecordBatch]:
        left = self._request.limit
        while left is None or left > 0:
            reply = first.pop(0) if first else replies.next()
            if reply is None:
                return
            for piece in self._pieces(reply):
                with translating(self.display_name):
                    batch = rows.batch(piece if left is None else piece.first(left))
                self.rows_read = (self.rows_read or 0) + batch.num_rows
                left = None if left is None else left - batch.num_rows
                yield batch

    def _described(self, fields: Fields, arrow_types: dict[str, pa.DataType]) -> tuple[ColumnType, ...]:
        if self._options.shape == "document":
            schema = DocumentRows(self._options.json).schema
            return tuple(ColumnType(field.name, "document", "string", data_type=field.type) for field in schema)
        source_types = fields.source_types()
        note = f"of the first {_DESCRIBED_DOCUMENTS} documents"
        return tuple(
            ColumnType(name, source_types[name], str(kind), note if "|" in source_types[name] else "", kind)
            for name, kind in arrow_types.items()
        )
