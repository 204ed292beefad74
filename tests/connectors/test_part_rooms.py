"""The memory of the parts of an upload: made once, used in turn, never more than there is room for."""

from __future__ import annotations

import io

import pytest

from penstock.connectors.objects._part_body import read_part
from penstock.connectors.objects._part_rooms import PartRooms

MIB = 1 << 20


def test_the_first_parts_have_new_memory_and_all_others_what_is_free() -> None:
    """However fast a store takes parts, an upload has all its memory after a few of them, and no more later."""
    rooms = PartRooms(2)
    first = rooms.take(MIB)
    rooms.give_back(first)
    second = rooms.take(MIB)
    assert second is not first
    assert rooms.take(MIB) is first
    rooms.give_back(second)
    assert rooms.take(MIB) is second


def test_a_part_never_waits_for_a_room() -> None:
    """More at once than were announced have memory, too."""
    rooms = PartRooms(1)
    assert rooms.take(MIB) is not rooms.take(MIB)


def test_a_room_is_empty_when_it_is_used_again() -> None:
    """Nothing of an earlier part is in a later one, if that is shorter."""
    rooms = PartRooms(1)
    body = read_part(io.BytesIO(b"longer than the next"), MIB, rooms.take(MIB))
    assert body.read() == b"longer than the next"
    rooms.give_back(body)
    again = read_part(io.BytesIO(b"short"), MIB, rooms.take(MIB))
    assert again is body
    assert (again.size, again.read(3), again.read(), again.read()) == (5, b"sho", b"rt", b"")


def test_rooms_grow_with_the_parts() -> None:
    """Those that are too small for the next part go first, so that they do not take memory beside it."""
    rooms = PartRooms(3)
    small = [rooms.take(MIB) for _ in range(3)]
    for body in small:
        rooms.give_back(body)
    large = [rooms.take(2 * MIB) for _ in range(3)]
    assert [body.room_bytes for body in large] == [2 * MIB] * 3
    rooms.give_back(large[0])
    assert rooms.take(2 * MIB) is large[0]
    for body in small:
        with pytest.raises(ValueError, match="closed"):
            body.tell()


def test_closing_gives_back_what_no_part_is_in() -> None:
    """What is still in use is closed by whoever has it."""
    rooms = PartRooms(2)
    free, in_use = rooms.take(MIB), rooms.take(MIB)
    rooms.give_back(free)
    rooms.close()
    with pytest.raises(ValueError, match="closed"):
        free.tell()
    assert in_use.tell() == 0
