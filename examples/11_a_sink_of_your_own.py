"""A sink of your own, checked: publish or nothing, errors passed on, awake within 250 ms of a cancel, nothing left behind.

Anything with `display_name`, `check` and `store` is a destination. The kit of `penstock.testing` runs it through every
way a copy can end, and says which promise it breaks. Rows that fail on command show the same from the side of a copy.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import penstock
from penstock.flow.contracts import Receipt
from penstock.testing import check_sink, failing_after


class Inbox:
    """Delivers one file to a folder where another program picks files up as soon as it sees them."""

    def __init__(self, folder: Path) -> None:
        self.display_name = "the inbox"
        self.file = folder / "rows.csv"

    def check(self) -> bool:
        if self.file.exists():
            raise penstock.AlreadyExists("a delivery is waiting there", where=self.display_name)
        return True

    def store(self, stream: BinaryIO) -> Receipt:
        """What one writes first: it works, until something fails."""
        return self.write(stream, self.file)

    def write(self, stream: BinaryIO, file: Path) -> Receipt:
        with file.open("wb") as out:
            while chunk := stream.read(65536):
                out.write(chunk)
        return Receipt(str(self.file), file.stat().st_size)


class CarefulInbox(Inbox):
    """Writes under another name, and renames when all is there."""

    def store(self, stream: BinaryIO) -> Receipt:
        unfinished = self.file.with_suffix(".unfinished")
        try:
            receipt = self.write(stream, unfinished)
            unfinished.rename(self.file)
        finally:
            unfinished.unlink(missing_ok=True)
        return receipt


def judge(kind: type[Inbox], folder: Path) -> str:
    numbers = itertools.count()

    def new_inbox() -> tuple[Inbox, Callable[[], bytes | None]]:
        place = folder / f"{kind.__name__}-{next(numbers)}"
        place.mkdir()
        sink = kind(place)
        return sink, lambda: sink.file.read_bytes() if sink.file.exists() else None

    try:
        check_sink(new_inbox)
    except AssertionError as broken:
        return str(broken)
    return "keeps every promise"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        verdicts = {kind.__name__: judge(kind, folder) for kind in (Inbox, CarefulInbox)}
        for kind, verdict in verdicts.items():
            print(f"{kind + ':':13} {verdict}")
        assert verdicts["Inbox"] != verdicts["CarefulInbox"] == "keeps every promise"

        inbox = CarefulInbox(folder)
        rows = failing_after(({"n": n} for n in range(100_000)), penstock.SourceError("the sensor was unplugged"))
        try:
            penstock.copy(rows, inbox)
        except penstock.SourceError as error:
            print(f"a copy whose source fails: {error}; delivered: {inbox.file.exists()}")
        assert not inbox.file.exists()


if __name__ == "__main__":
    main()
