"""400 million floats (1.6 GB): made, streamed through a pipe to where they are used, and proven released.

On the way they are copied a megabyte at a time, so using them takes no further memory. Then the proof, from three sides:
a weak reference says the array is gone, tracemalloc that its memory is, and the operating system that it has it back.
"""

from __future__ import annotations

import argparse
import tracemalloc
import weakref
from array import array

from _local import resident_mib

from penstock import PipeReader, writing_to

MIB = 1024 * 1024
FLOAT_BYTES = array("f").itemsize


def add_up(reader: PipeReader) -> tuple[int, float]:
    """Count the floats that arrive, and add up every 1,024th of them."""
    count, total = 0, 0.0
    while block := reader.read(MIB):
        floats = memoryview(block).cast("f")
        count += len(floats)
        total += sum(floats[::1024])
    return count, total


def make_and_use(items: int) -> weakref.ref[array[float]]:
    floats = array("f", [0.25]) * items
    print(f"made {items:,} floats, {items * FLOAT_BYTES / MIB:,.0f} MiB: {memory()}")

    with writing_to(add_up) as consumer, memoryview(floats) as view:
        for start in range(0, items, MIB):
            consumer.writer.write(view[start : start + MIB])
    count, total = consumer.result()
    print(f"used {count:,} of them, every 1,024th adds up to {total:,.2f}: {memory()}")
    assert count == items
    assert total == 0.25 * -(-items // 1024)
    return weakref.ref(floats)


def memory() -> str:
    objects_mib = tracemalloc.get_traced_memory()[0] / MIB
    return f"memory {resident_mib():,.0f} MiB, of which Python objects {objects_mib:,.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=400_000_000, help="how many floats; 4 bytes each")
    items = parser.parse_args().items
    tracemalloc.start()
    before_mib = resident_mib()
    print(f"before: {memory()}")
    reference = make_and_use(items)
    most_mib = tracemalloc.get_traced_memory()[1] / MIB
    print(f"released: {memory()}; the array is {'gone' if reference() is None else 'still there'}")
    assert reference() is None
    assert tracemalloc.get_traced_memory()[0] < MIB
    assert most_mib < items * FLOAT_BYTES / MIB + 8
    assert resident_mib() < before_mib + 16


if __name__ == "__main__":
    main()
