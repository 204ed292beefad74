"""Publish several files as one: all parts, then the manifest that names them, or nothing.

The manifest is what makes the parts a whole, and it is written last. Whatever fails before that, every part published
so far is removed again. A destination that is overwritten keeps its old manifest and old parts until the new manifest
has taken the place of the old one: the new parts have names that the old ones have not.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Literal, cast, final

from penstock.core.cancel import CancelScope
from penstock.errors import AlreadyExists, SinkError, SourceError
from penstock.flow.contracts import PartToStore, Receipt, RemovableSink
from penstock.flow.manifest import Manifest, PartEntry
from penstock.flow.part_names import PartNames

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["OpenSink", "SplitSink"]

_log = logging.getLogger("penstock.engine")

_CLEANING_SECONDS = 60.0  # a request for each part, to a store that may be slow just now

IfExists = Literal["fail", "overwrite", "skip", "append"]
OpenSink = Callable[[str, IfExists], RemovableSink]
"""Makes the sink of one file, given its address and what to do if it is there. Touches nothing."""


@final
class SplitSink:
    """Writes parts and a manifest.

    Args:
        names: what they are called.
        open_sink: makes the sink of one of them.
        read: returns what is at an address, whole; asked for the manifest of what is to be overwritten.
        if_exists: what to do about a manifest that is there.
        max_part_bytes: what one part may have, as stored. Whoever cuts the data keeps to it.
        format_name: what the bytes of a part mean.
        compression: how they are compressed; None for not at all.
    """

    def __init__(
        self,
        names: PartNames,
        open_sink: OpenSink,
        read: Callable[[str], bytes],
        *,
        if_exists: IfExists,
        max_part_bytes: int,
        format_name: str,
        compression: str | None,
    ) -> None:
        self.max_part_bytes = max_part_bytes
        self._names = names
        self._open_sink = open_sink
        self._read = read
        self._if_exists: IfExists = if_exists
        self._format_name = format_name
        self._compression = compression
        self.display_name = open_sink(names.manifest, if_exists).display_name

    def check(self) -> bool:
        """Look for the manifest, and for a first part that has none. Creates nothing.

        Raises:
            AlreadyExists: the manifest is there and ``if_exists`` is ``"fail"``; or a part is there, but no manifest.
            SinkError: nothing can be written there at all.
        """
        wanted = self._manifest_sink().check()
        if wanted and self._if_exists != "overwrite":
            self._check_first_part()
        return wanted

    def _check_first_part(self) -> None:
        part = self._part_sink(self._names.name(1), "fail")
        try:
            part.check()
        except AlreadyExists as exc:
            hint = "it may be left of a copy that was killed; remove it, or if_exists may be overwrite"
            raise AlreadyExists("a part exists already, but no manifest", where=part.display_name, hint=hint) from exc

    def store_parts(self, parts: Iterator[PartToStore]) -> Receipt:
        """Store every part, then the manifest. Blocks as the sinks of the parts do.

        When anything fails, or at a cancel, the parts that are there by then are removed.

        Raises:
            AlreadyExists: a part or the manifest appeared there meanwhile.
            SinkError: storing one of them failed.
        """
        old = self._old_parts()
        stored: list[RemovableSink] = []
        try:
            manifest = self._store_all(parts, frozenset(old), stored)
            text = io.BytesIO(manifest.to_json().encode())
            self._manifest_sink().store(text)
        except BaseException as error:
            for problem in self._remove(stored):
                error.add_note(problem)
            raise
        for problem in self._remove([self._part_sink(name, "overwrite") for name in old]):
            _log.warning("%s", problem)
        details = {"parts": len(manifest.parts), "rows": manifest.rows}
        return Receipt(location=self.display_name, bytes_stored=manifest.bytes_stored, details=details)

    def _store_all(self, parts: Iterator[PartToStore], taken: frozenset[str], stored: list[RemovableSink]) -> Manifest:
        """Store the parts; those that are there are added to ``stored``."""
        entries: list[PartEntry] = []
        columns: list[tuple[str, str]] = []
        names = self._names.names(taken=taken)
        for part in parts:
            name = next(names)
            sink = self._part_sink(name, "overwrite" if self._if_exists == "overwrite" else "fail")
            hashed = _Hashed(part.stream)
            receipt = sink.store(cast("BinaryIO", hashed))
            stored.append(sink)
            if not hashed.has_ended:
                raise SinkError("it stopped reading before the end", where=sink.display_name)
            entries.append(PartEntry(name, part.part.rows, receipt.bytes_stored, hashed.digest()))
            columns = [(field.name, str(field.type)) for field in part.part.schema]
        return Manifest(self._format_name, self._compression, columns, entries)

    def _old_parts(self) -> list[str]:
        """Return the names of the parts that are to be replaced."""
        if self._if_exists != "overwrite" or self._open_sink(self._names.manifest, "skip").check():
            return []
        try:
            manifest = Manifest.from_json(self._read(self._names.manifest))
        except (ValueError, SourceError) as exc:
            raise SinkError(
                f"the manifest that is there can not be read: {exc}", where=self.display_name, hint="remove it yourself"
            ) from exc
        return [part.name for part in manifest.parts]

    def _remove(self, sinks: list[RemovableSink]) -> list[str]:
        """Remove what these have published, whoever may have cancelled us; return what could not be, a line each."""
        problems = []
        with CancelScope(shield=True, timeout=_CLEANING_SECONDS) as scope:
            for sink in sinks:
                try:
                    sink.remove()
                except SinkError as exc:
                    problems.append(f"a part could not be removed: {exc}")
        if scope.cancelled_caught:
            problems.append(f"{self.display_name}: parts may remain there, removing them took too long")
        return problems

    def _manifest_sink(self) -> RemovableSink:
        return self._open_sink(self._names.manifest, self._if_exists)

    def _part_sink(self, name: str, if_exists: IfExists) -> RemovableSink:
        return self._open_sink(self._names.address(name), if_exists)


@final
class _Hashed:
    """A stream whose bytes are added up to their SHA-256 as they are read."""

    def __init__(self, stream: ByteReader) -> None:
        self.has_ended = False
        self._stream = stream
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        self.has_ended = self.has_ended or size < 0 or (not data and size > 0)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()
