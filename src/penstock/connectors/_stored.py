"""Sources of bytes that are stored in some format: what files, HTTP, object stores and standard input have in common.

A connector supplies an *opener*: ``opener(seekable)`` opens the stored bytes and gives a reader. With ``seekable=True``
the reader should have ``seek`` and ``tell`` (for Parquet); an opener without random access gives the reader it has, and
the error is raised here. A reader may have an attribute ``size_bytes``, the number of stored bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

from penstock.connectors._batches import Batches
from penstock.connectors._encoding import Encoding, Opener
from penstock.connectors._located import located
from penstock.connectors._requests import SourceRequest
from penstock.connectors._selection import Selection
from penstock.errors import SourceError
from penstock.flow.contracts import BatchStream, ByteReader
from penstock.flow.description import ColumnType, Description

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MultiStoredSource", "Opener", "StoredSource"]

_CHUNK_BYTES = 256 << 10


class _Stored:
    """What one and many stored objects have in common."""

    def __init__(self, request: SourceRequest, name: str) -> None:
        request.refuse(
            "query", "where", because="nothing here speaks SQL; read it with duckdb:///:memory: and a query over files"
        )
        request.refuse("table", because="it is for databases")
        self.display_name = request.shown
        self.rows_read: int | None = None
        self._encoding = Encoding(request, name)
        self._selection = Selection(request.columns, request.limit)

    @property
    def _dialects(self) -> frozenset[str]:
        """The dialect the bytes are in; none where some of them are to be left out."""
        return frozenset() if self._selection else frozenset([self._encoding.format.dialect])

    def _is_known(self, format_name: str) -> bool:
        return format_name in {self._encoding.format.name, self._encoding.format.dialect}

    def _counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.rows_read = (self.rows_read or 0) + batch.num_rows
            yield batch
            del batch  # or it would be kept alive while the next one is read

    def _described(self, batches: BatchStream, size_bytes: int | None, *, passes_through: bool) -> Description:
        with located(self.display_name):
            schema = self._selection.schema(batches.schema)
        rows: int | None = getattr(batches, "total_rows", None)
        return Description(
            reading=f"{self._encoding}, {'bytes passed through' if passes_through else 'read as batches'}",
            why="the destination has the same format" if passes_through else "",
            consistency="one reading from beginning to end",
            columns=tuple(
                ColumnType(field.name, str(field.type), "" if passes_through else str(field.type), data_type=field.type)
                for field in schema
            ),
            estimated_rows=rows if rows is None else self._selection.at_most(rows),
            estimated_bytes=size_bytes,
        )


@final
class StoredSource(_Stored):
    """Reads stored bytes, and decodes them with the formats it was lent.

    Args:
        request: what was asked for; its format and compression, or what ``name`` tells, say what the bytes are.
        name: path or key whose suffixes may tell format and compression.
        opener: opens the stored bytes; see above. What it gives raises ``SourceError`` itself when reading fails, and
            never ends early.
        can_look: whether they can be opened just to look at them, and be read from their beginning afterwards.

    Raises:
        ConfigurationError: the format is not told by anything, or options were given that only databases have.
    """

    def __init__(
        self, request: SourceRequest, name: str, opener: Opener, *, can_look: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__(request, name)
        self._opener = opener
        self._can_look = can_look

    @property
    def byte_formats(self) -> frozenset[str]:
        """The one dialect the bytes are in; none where columns or rows are to be left out."""
        return self._dialects

    @contextmanager
    def open_bytes(self, format_name: str) -> Iterator[Iterator[bytes]]:
        """Open the stored bytes, decompressed."""
        assert self._is_known(format_name)
        with self._encoding.plain(self._opener, self.display_name) as stream:
            yield _chunks(stream, self.display_name)

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Open the stored bytes, decompressed and decoded."""
        with self._encoding.decoded(self._opener, self.display_name) as (batches, _size):
            with located(self.display_name):
                schema = self._selection.schema(batches.schema)
            self.rows_read = 0
            chosen = self._selection.batches(_located_batches(batches, self.display_name))
            yield Batches(schema, self._counted(chosen))

    def describe(self, format_name: str | None) -> Description:
        """Read the beginning, as far as it tells the columns. A pipe is not opened: what is read from it is gone.

        Raises:
            SourceError: as ``open_batches`` would.
        """
        if not self._can_look():
            return Description(reading=f"{self._encoding}, from a pipe", why="looking would take the data away")
        with self._encoding.decoded(self._opener, self.display_name) as (batches, size):
            return self._described(batches, size, passes_through=format_name is not None)


@final
class MultiStoredSource(_Stored):
    """Reads several stored objects as one: the rows of the first, then those of the second, and so on.

    All must have the same columns. Bytes pass through only in formats whose files may simply follow each other
    (NDJSON); a CSV file begins with a header line, so it is decoded.

    Args:
        request: what was asked for.
        pattern: the name that was given, whose suffixes may tell format and compression of all of them.
        list_names: looks which there are; returns them in order, as messages show them. May raise ``SourceError``.
        opener_for: returns the opener of the object of such a name.

    Raises:
        ConfigurationError: as :class:`StoredSource`.
    """

    def __init__(
        self,
        request: SourceRequest,
        pattern: str,
        list_names: Callable[[], Sequence[str]],
        opener_for: Callable[[str], Opener],
    ) -> None:
        super().__init__(request, pattern)
        self._list_names = list_names
        self._opener_for = opener_for

    @property
    def byte_formats(self) -> frozenset[str]:
        """The dialect they are in, if files of it may follow each other; else none."""
        return self._dialects if self._encoding.format.concatenates else frozenset()

    @contextmanager
    def open_bytes(self, format_name: str) -> Iterator[Iterator[bytes]]:
        """Open them all as bytes, decompressed, each ending with a line end."""
        assert self._is_known(format_name)
        with closing(self._joined(self._names())) as chunks:
            yield chunks

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Open the first, decompressed and decoded; the others follow while iterating."""
        names = self._names()
        with closing(self._one_after_another(names)) as parts:
            found = next(parts)
            with located(names[0]):
                schema = self._selection.schema(found)
            self.rows_read = 0
            yield Batches(schema, self._counted(self._selection.batches(parts)))

    def describe(self, format_name: str | None) -> Description:
        """List the names, and read the beginning of the first.

        Raises:
            SourceError: as ``open_batches`` would.
        """
        names = self._names()
        with self._encoding.decoded(self._opener_for(names[0]), names[0], names[0]) as (batches, size):
            first = self._described(batches, size, passes_through=format_name is not None)
        how_many = f"{len(names)} of them, from {names[0]} to {names[-1]}"
        only = len(names) == 1
        return replace(
            first,
            reading=f"{first.reading}: {how_many}",
            consistency="each is read from beginning to end, one after another",
            estimated_rows=first.estimated_rows if only else None,
            estimated_bytes=first.estimated_bytes if only else None,
        )

    def _names(self) -> Sequence[str]:
        names = self._list_names()
        if not names:
            raise SourceError("nothing matches this pattern", where=self.display_name, hint="is the path right?")
        return names

    def _joined(self, names: Sequence[str]) -> Generator[bytes, None, None]:
        for name in names:
            last = b"\n"
            with self._encoding.plain(self._opener_for(name), name, name) as stream:
                for chunk in _chunks(stream, name):
                    yield chunk
                    last = chunk[-1:]
            if last != b"\n":
                yield b"\n"

    def _one_after_another(self, names: Sequence[str]) -> Generator[Any, None, None]:
        """Yield the schema first, then the batches of all. One that is empty has no columns, and decides nothing."""
        schema: pa.Schema | None = None
        for name in names:
            with self._encoding.decoded(self._opener_for(name), name, name, schema=schema) as (batches, _size):
                if schema is None and (batches.schema.names or name == names[-1]):
                    schema = batches.schema
                    yield schema
                if batches.schema.names:
                    yield from _located_batches(batches, name)


def _chunks(stream: ByteReader, where: str) -> Iterator[bytes]:
    with located(where):
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _located_batches(batches: BatchStream, where: str) -> Iterator[pa.RecordBatch]:
    with located(where):
        yield from batches
