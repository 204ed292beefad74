"""The demo: one table to three destinations, in one amount of memory; then what happens when it goes wrong.

`make demo` runs it. Real commands in processes of their own, a real HTTP server and a real object store on this machine;
no network, no root. What each destination received is compared by its hash; what must be gone afterwards is looked for
where the operating system or the server would have it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where demo and tests.servers are

from demo.chapters import FILE, ROWS, Demo
from demo.command import Commands
from demo.leftovers import Leftovers
from demo.places import HttpEndpoint, ObjectStore, Place, StandardOutput, object_store
from demo.screen import Screen
from tests.servers import Unavailable
from tests.servers.http import HttpServer

FEWEST_ROWS = 200_000  # fewer go up in so few parts, so fast, that there is no half-way to stop at


def tell(demo: Demo, endpoint: HttpEndpoint, store: ObjectStore | Unavailable) -> None:
    """Show all chapters; without a store, those that need none."""
    demo.screen.title("One table, three destinations, 32 MiB of data in flight, nothing left behind")
    demo.make_database()
    demo.screen.note(
        "every command runs in a process of its own, with --max-memory 32MiB; the figures are from its --summary"
    )

    demo.screen.chapter("A table goes to standard output, to an HTTP endpoint and to an object store")
    places: list[Place] = [StandardOutput(), endpoint]
    if isinstance(store, ObjectStore):
        places.append(store)
    arrivals = [demo.copy_to(place) for place in places]
    assert len({arrival.sha256 for arrival in arrivals}) == 1, arrivals
    demo.screen.fact(f"the same {arrivals[0].size_bytes:,} bytes each time, SHA-256 {arrivals[0].sha256[:16]}...")

    if isinstance(store, Unavailable):
        demo.screen.said(f"that is all this machine can show: {store}")
        return
    demo.fail_half_way(store)
    demo.stop_half_way(store)


def run(rows: int) -> int:
    """Run the demo; return 0 if nothing was left behind."""
    screen, leftovers, started = Screen(), Leftovers(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as name:
        folder = Path(name)
        with HttpServer(keep_bytes=0) as server, object_store() as store:
            endpoint = HttpEndpoint(server)
            variables = store.server.environment if isinstance(store, ObjectStore) else {}
            demo = Demo(screen, Commands(folder, variables), rows)
            tell(demo, endpoint, store)
            leftovers.look_at_commands(demo.commands)
            leftovers.look_at_http(endpoint)
            if isinstance(store, ObjectStore):
                leftovers.look_at_store(store, {f"{name}.csv": size for name, size in demo.sizes.items()})
        leftovers.look_at_files(folder, {FILE})
    leftovers.look_at_this_process()
    screen.verdict(leftovers.found, time.monotonic() - started)
    return 1 if any(leftovers.found.values()) else 0


def main() -> int:
    """Read the arguments, run the demo, and return the exit code."""
    parser = argparse.ArgumentParser(description="one table, three destinations, nothing left behind")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"at least {FEWEST_ROWS:,}; default: {ROWS:,}")
    rows = parser.parse_args().rows
    if rows < FEWEST_ROWS:
        parser.error(f"--rows must be at least {FEWEST_ROWS:,}, or there is no half of an upload to see")
    # A shell starts what it puts into the background with Ctrl-C ignored, and processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return run(rows)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
