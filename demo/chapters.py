"""What the demo shows, one chapter after the other. Every claim that is printed has been checked before."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from demo.command import Commands, Ended, Running
from demo.events import TABLE, damaged, make_events
from demo.places import Arrival, ObjectStore, Place
from demo.screen import MIB, Screen

FILE = "events.db"
SOURCE = f"sqlite:///{FILE}"
ROWS = 1_000_000
SMALL_PART = 10  # the small copy is a tenth of the whole
FLAT = 1.15  # times the memory that ten times the rows may take; 1.0 to 1.1, as a tenth does not quite fill the buffers
SOURCE_FAILED, INTERRUPTED = 3, 130  # exit codes
PATIENCE_SECONDS = 30


@dataclass
class Demo:
    """What every chapter needs, and how large the copies were that had to arrive."""

    screen: Screen
    commands: Commands
    rows: int
    sizes: dict[str, int] = field(default_factory=dict)
    parts: int = 0

    def make_database(self) -> None:
        """Make the table that everything else copies."""
        started = time.monotonic()
        with self.screen.working(f"making {self.rows:,} events"):
            make_events(self.commands.folder / FILE, self.rows)
        size_mib, seconds = (self.commands.folder / FILE).stat().st_size / MIB, time.monotonic() - started
        self.screen.note(f"{FILE}: {self.rows:,} rows in SQLite, {size_mib:.0f} MiB, made in {seconds:.1f} s")

    def copy_to(self, place: Place) -> Arrival:
        """Copy a tenth of the table, then all of it, to see that memory does not care."""
        self.screen.command(SOURCE, place.address("events"), "-t", TABLE)
        few, _ = self._copy("a-tenth", place, "--limit", str(self.rows // SMALL_PART))
        whole, arrival = self._copy("events", place)
        self.parts = whole.report["details"].get("parts", 0)
        if self.rows >= ROWS:  # a tenth of fewer fills hardly anything
            assert whole.peak_memory_bytes <= FLAT * few.peak_memory_bytes, (few.report, whole.report)
        self.screen.copied(
            rows=whole.report["rows"],
            seconds=whole.report["seconds"],
            peaks={ended.report["rows"]: ended.peak_memory_bytes for ended in (few, whole)},
            facts=arrival.facts,
        )
        return arrival

    def _copy(self, name: str, place: Place, *flags: str) -> tuple[Ended, Arrival]:
        place.begin()
        with self.screen.working(f"copying {name.replace('-', ' ')}"):
            ended = self.commands.run(SOURCE, place.address(name), "-t", TABLE, *flags)
        assert ended.code == 0, ended.words
        arrival = place.arrival(name, ended)
        expected = self.sizes.setdefault(name, arrival.size_bytes)
        assert arrival.size_bytes == ended.report["bytes"] == expected, (arrival, ended.report)
        return ended, arrival

    def fail_half_way(self, store: ObjectStore) -> None:
        """Let the source fail: the copy must not look like a table with half the rows."""
        self.screen.chapter("The disk has lost a page in the middle of the table")
        address = store.address("damaged")
        self.screen.command(SOURCE, address, "-t", TABLE)
        store.begin()
        with self.screen.working("until it fails"), damaged(self.commands.folder / FILE):
            ended = self.commands.run(SOURCE, address, "-t", TABLE)
        assert ended.code == SOURCE_FAILED, ended.words
        self.screen.said(ended.words)
        self._show_that_nothing_remains(store, ended)

    def stop_half_way(self, store: ObjectStore) -> None:
        """Do what Ctrl-C does, when half of the parts are there."""
        self.screen.chapter("Somebody presses Ctrl-C half-way")
        address = store.address("stopped")
        self.screen.command(SOURCE, address, "-t", TABLE)
        store.begin()
        with (
            self.screen.working("until half of it is there"),
            self.commands.running(SOURCE, address, "-t", TABLE) as command,
        ):
            _wait_for_parts(store, self.parts // 2, command)
            sent = time.monotonic()
            command.interrupt()
            ended = command.wait()
        assert ended.code == INTERRUPTED, ended.words
        self.screen.said(f"{ended.words} ({time.monotonic() - sent:.2f} s later it was gone)")
        self._show_that_nothing_remains(store, ended)

    def _show_that_nothing_remains(self, store: ObjectStore, ended: Ended) -> None:
        """There was an upload, and parts in it; now there is neither upload nor object."""
        parts = store.requests("UploadPart")
        assert 0 < parts < self.parts, parts
        assert store.requests("AbortMultipartUpload") == 1
        objects = store.server.objects(store.bucket).keys() - {f"{name}.csv" for name in self.sizes}
        uploads = store.server.uploads(store.bucket)
        assert (len(objects), uploads) == (0, [])
        self.screen.fact(
            f"exit code {ended.code}; {parts} of {self.parts} parts had been sent, and the upload was aborted: "
            f"{len(objects)} objects and {len(uploads)} uploads remain"
        )


def _wait_for_parts(store: ObjectStore, parts: int, command: Running) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while store.requests("UploadPart") < parts:
        assert command.process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline, f"{parts} parts were not there within {PATIENCE_SECONDS} s"
        time.sleep(0.01)
