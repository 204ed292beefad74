"""The memory of the parts of an upload: made once, used in turn, never more than there is room for."""

from __future__ import annotations

import io

import pytest

from penstock.connectors.objects._part_body import read_part
from penstock.connectors.objects._part_rooms import PartRooms

MIB = 1 << 20


def test_there_are_as_many_as_parts_at_once() -> None:
    """A part takes over the memory of one that was sent; it has new memory only while all others are on their way."""
    rooms = PartRooms()
    first, second = rooms.take(MIB), rooms.take(MIB)
    assert second is not first
    rooms.give_back(first)
    assert rooms.take(MIB) is first
    rooms.give_back(second)
    assert rooms.take(MIB) is second


def test_a_room_is_empty_when_it_is_used_again() -> None:
    """Nothing of an earlier part is in a later one, if that is shorter."""
    rooms = PartRooms()
    body = read_part(io.BytesIO(b"longer than the next"), MIB, rooms.take(MIB))
    assert body.read() == b"longer than the next"
    rooms.give_back(body)
    again = read_part(io.BytesIO(b"short"), MIB, rooms.take(MIB))
    assert again is body
    assert (again.size, again.read(3), again.read(), again.read()) == (5, b"sho", b"rt", b"")


def test_rooms_grow_with_the_parts() -> None:
    """Those that are too small for the next part go first, so that they do not take memory beside it."""
    rooms = PartRooms()
    small = [rooms.take(MIB) for _ in range(3)]
    for body in small:
        rooms.give_back(body)
    assert rooms.take(2 * MIB).room_bytes == 2 * MIB
    for body in small:
        with pytest.raises(ValueError, match="closed"):
            body.tell()


def test_closing_gives_back_what_no_part_is_in() -> None:
    """What is still in use is closed by whoever has it."""
    rooms = PartRooms()
    free, in_use = rooms.take(MIB), rooms.take(MIB)
    rooms.give_back(free)
    rooms.close()
    with pytest.raises(ValueError, match="closed"):
        free.tell()
    assert in_use.tell() == 0
