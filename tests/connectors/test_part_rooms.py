"""The memory of the parts of an upload: made once, used in turn, never more than there is room for."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from penstock.connectors.objects._part_body import MemoryBody, read_part
from penstock.connectors.objects._part_rooms import PartRooms

MIB = 1 << 20


def rooms_for(most: int, limit_bytes: int = 100 * MIB) -> tuple[PartRooms, MemoryBody]:
    first = MemoryBody(MIB)
    return PartRooms(most, limit_bytes, first), first


def test_rooms_are_taken_in_turn() -> None:
    """There are as many as parts at once, the first part's included; who was given back first is used first."""
    rooms, first = rooms_for(3)
    second, third = rooms.take(MIB), rooms.take(MIB)
    assert len({id(first), id(second), id(third)}) == 3
    for body in (third, first, second):
        rooms.give_back(body)
    assert [rooms.take(MIB) for _ in range(3)] == [third, first, second]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux counts shared memory for each process")
def test_the_memory_is_there_from_the_start() -> None:
    """The system has given all of it before the second part is read, so that it cannot be short of it later."""
    before = shared_bytes()
    rooms, first = rooms_for(5)
    assert shared_bytes() - before >= 4 * MIB
    rooms.close()
    first.close()
    assert shared_bytes() - before < MIB


def shared_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("RssShmem:")[2].split()[0]) << 10


def test_rooms_are_no_more_than_memory_has_room_for() -> None:
    """Parts that have grown are fewer, and the small ones still on their way count."""
    rooms, on_its_way = rooms_for(5, 6 * MIB)
    large = rooms.take(3 * MIB)
    rooms.give_back(large)
    assert rooms.take(3 * MIB) is large
    rooms.give_back(large)
    rooms.give_back(on_its_way)
    assert rooms.take(3 * MIB) is not large


def test_a_room_is_empty_when_it_is_used_again() -> None:
    """Nothing of an earlier part is in a later one, if that is shorter."""
    rooms, first = rooms_for(1)
    body = read_part(io.BytesIO(b"longer than the next"), MIB, first)
    assert body.read() == b"longer than the next"
    rooms.give_back(body)
    again = read_part(io.BytesIO(b"short"), MIB, rooms.take(MIB))
    assert again is body
    assert (again.size, again.read(3), again.read(), again.read()) == (5, b"sho", b"rt", b"")


def test_rooms_grow_with_the_parts() -> None:
    """Those that are too small for the next part go first, so that they do not take memory beside it."""
    rooms, first = rooms_for(3)
    small = [first, rooms.take(MIB), rooms.take(MIB)]
    for body in small:
        rooms.give_back(body)
    assert rooms.take(2 * MIB).room_bytes == 2 * MIB
    for body in small:
        with pytest.raises(ValueError, match="closed"):
            body.tell()


def test_closing_gives_back_what_no_part_is_in() -> None:
    """What is still in use is closed by whoever has it."""
    rooms, free = rooms_for(2)
    in_use = rooms.take(MIB)
    rooms.give_back(free)
    rooms.close()
    with pytest.raises(ValueError, match="closed"):
        free.tell()
    assert in_use.tell() == 0
