"""The sink of a stream that is cut into several files: it writes one part after another, then the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from penstock.engines.parts.files import PartFiles
from penstock.flow.contracts import Receipt
from penstock.flow.parts import PartToStore

__all__ = ["SplitSink"]


@final
class SplitSink:
    """Writes parts and a manifest.

    Args:
        files: the destination.
        max_part_bytes: how many bytes a part may have, as stored. The stage that cuts the data observes it.
    """

    def __init__(self, files: PartFiles, *, max_part_bytes: int) -> None:
        self.max_part_bytes = max_part_bytes
        self.display_name = files.display_name
        self._files = files

    def check(self) -> bool:
        """Check whether there is a manifest, or a first part without one. Creates nothing.

        Raises:
            AlreadyExists: there is a manifest and ``if_exists`` is ``"fail"``; or there is a part, but no manifest.
            SinkError: nothing can be written there at all.
        """
        return self._files.check()

    def store_parts(self, parts: Iterator[PartToStore]) -> Receipt:
        """Store every part, then the manifest. Blocks as the sinks of the parts do.

        If anything fails, or at a cancel, the parts stored by then are removed.

        Raises:
            AlreadyExists: a part or the manifest has appeared meanwhile.
            SinkError: storing one of them failed.
        """
        publication = self._files.publication()
        try:
            for number, part in enumerate(parts, start=1):
                publication.store(number, part)
            return publication.publish()
        except BaseException as error:
            for problem in publication.undo():
                error.add_note(problem)
            raise
