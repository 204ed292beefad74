"""Publish several files as a whole: all parts, then the manifest that lists them, or nothing.

The manifest, written last, is what makes the parts a whole. If anything fails before that, every part stored so far is
removed again. When a destination is overwritten, the new parts get names that the old ones do not have; the old manifest
and the old parts stay until the new manifest has replaced the old one.
"""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal, cast, final

from penstock.core._last_wait import last_wait
from penstock.core.cancel import CancelScope
from penstock.errors import AlreadyExists, SinkError, SourceError
from penstock.flow.contracts import Receipt, RemovableSink
from penstock.flow.manifest import Manifest, PartEntry
from penstock.flow.part_names import PartNames
from penstock.flow.parts import PartToStore

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["FilesPublication", "OpenSink", "PartFiles"]

_log = logging.getLogger("penstock.engine")

_CLEANING_SECONDS = 60.0  # removing takes one request per part, and the store may be slow just then

IfExists = Literal["fail", "overwrite", "skip", "append"]
OpenSink = Callable[[str, IfExists], RemovableSink]
"""Makes the sink of one file, given its address and what to do if it is there. Touches nothing."""


@final
@dataclass(frozen=True)
class PartFiles:
    """A destination of several files: their names, and how each is written. A ``PartitionsSink``.

    Attributes:
        names: the names of the files.
        open_sink: makes the sink for one file.
        read: returns the whole content at an address; used for the manifest of a destination to be overwritten.
        if_exists: what to do about a manifest that exists.
        format_name: the format of the parts.
        compression: their compression; None for none.
    """

    names: PartNames
    open_sink: OpenSink
    read: Callable[[str], bytes]
    if_exists: IfExists
    format_name: str
    compression: str | None

    @property
    def display_name(self) -> str:
        """The name of the manifest for messages."""
        return self.manifest_sink().display_name

    def check(self) -> bool:
        """Check whether there is a manifest, or a first part without one. Creates nothing.

        Raises:
            AlreadyExists: there is a manifest and ``if_exists`` is ``"fail"``; or there is a part, but no manifest.
            SinkError: nothing can be written there at all.
        """
        wanted = self.manifest_sink().check()
        if wanted and self.if_exists != "overwrite":
            self._check_first_part()
        return wanted

    def _check_first_part(self) -> None:
        part = self.part_sink(self.names.name(1), "fail")
        try:
            part.check()
        except AlreadyExists as exc:
            hint = "it may be left of a copy that was killed; remove it, or if_exists may be overwrite"
            raise AlreadyExists("a part exists already, but no manifest", where=part.display_name, hint=hint) from exc

    def publication(self) -> FilesPublication:
        """Begin to write the files. Blocks to read a manifest that is to be overwritten.

        Raises:
            SinkError: that manifest cannot be read.
        """
        return FilesPublication(self, self._old_parts())

    def _old_parts(self) -> list[str]:
        """Return the names of the parts that are to be replaced."""
        if self.if_exists != "overwrite" or self.open_sink(self.names.manifest, "skip").check():
            return []
        try:
            manifest = Manifest.from_json(self.read(self.names.manifest))
        except (ValueError, SourceError) as exc:
            raise SinkError(
                f"the manifest that is there can not be read: {exc}", where=self.display_name, hint="remove it yourself"
            ) from exc
        return [part.name for part in manifest.parts]

    def manifest_sink(self) -> RemovableSink:
        """Make the sink of the manifest."""
        return self.open_sink(self.names.manifest, self.if_exists)

    def part_sink(self, name: str, if_exists: IfExists) -> RemovableSink:
        """Make the sink of the part called ``name``."""
        return self.open_sink(self.names.address(name), if_exists)


@final
class FilesPublication:
    """The parts written by one run. Made by :meth:`PartFiles.publication`.

    Args:
        files: the destination.
        old: the names of existing parts, which will be replaced.
    """

    def __init__(self, files: PartFiles, old: list[str]) -> None:
        self._files = files
        self._old = old
        self._names = files.names.names(taken=frozenset(old))
        self._given_names: list[str] = []
        self._stored: list[RemovableSink] = []
        self._entries: dict[int, PartEntry] = {}
        self._columns: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._is_published = False

    def store(self, number: int, part: PartToStore) -> Receipt:
        """Store part ``number``, counted from 1. Blocks as its sink does; may be called from any thread.

        Raises:
            AlreadyExists: a file of that name has appeared meanwhile.
            SinkError: storing the part failed.
        """
        name = self._name(number)
        sink = self._files.part_sink(name, "overwrite" if self._files.if_exists == "overwrite" else "fail")
        hashed = _Hashed(part.stream)
        receipt = sink.store(cast("BinaryIO", hashed))
        self._stored.append(sink)
        if not hashed.has_ended:
            raise SinkError("it stopped reading before the end", where=sink.display_name)
        self._entries[number] = PartEntry(name, part.part.rows, receipt.bytes_stored, hashed.digest())
        self._columns = [(field.name, str(field.type)) for field in part.part.schema]
        return receipt

    def _name(self, number: int) -> str:
        with self._lock:
            while len(self._given_names) < number:
                self._given_names.append(next(self._names))
            return self._given_names[number - 1]

    def publish(self) -> Receipt:
        """Write the manifest of all parts stored, then remove the old parts they replace. Blocks as its sink does.

        Raises:
            AlreadyExists: a manifest has appeared meanwhile.
            SinkError: storing the manifest failed.
        """
        files = self._files
        entries = [self._entries[number] for number in sorted(self._entries)]
        manifest = Manifest(files.format_name, files.compression, self._columns, entries)
        files.manifest_sink().store(io.BytesIO(manifest.to_json().encode()))
        self._is_published = True
        for problem in self._remove([files.part_sink(name, "overwrite") for name in self._old]):
            _log.warning("%s", problem)
        details = {"parts": len(manifest.parts), "rows": manifest.rows}
        return Receipt(location=files.display_name, bytes_stored=manifest.bytes_stored, details=details)

    def undo(self) -> list[str]:
        """Remove every part stored, unless they are published; return what could not be removed, by line. Blocks."""
        return [] if self._is_published else self._remove(self._stored)

    def _remove(self, sinks: list[RemovableSink]) -> list[str]:
        """Remove what these sinks have stored, even under a cancel; return what could not be removed, by line."""
        problems = []
        with (
            last_wait(self._files.display_name, "removing parts", _CLEANING_SECONDS),
            CancelScope(shield=True, timeout=_CLEANING_SECONDS) as scope,
        ):
            for sink in sinks:
                try:
                    sink.remove()
                except SinkError as exc:
                    problems.append(f"a part could not be removed: {exc}")
        if scope.cancelled_caught:
            problems.append(f"{self._files.display_name}: parts may remain there, removing them took too long")
        return problems


@final
class _Hashed:
    """A stream that computes the SHA-256 of its bytes as they are read."""

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
