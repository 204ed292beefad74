"""One memory number, divided."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from penstock.errors import ConfigurationError
from penstock.flow.memory import MINIMUM_BYTES, MemorySplit, split_memory

MIB = 1024**2


def in_flight(split: MemorySplit) -> int:
    """Return the most that the shares can hold at once: two batches, two pipes, the parts and the one being filled."""
    return 2 * split.batch_bytes + 2 * split.pipe_bytes + (split.concurrency + 1) * split.part_bytes


@given(st.integers(MINIMUM_BYTES, 1024**4), st.none() | st.integers(1, 64))
def test_the_shares_fit_into_the_number(max_memory: int, concurrency: int | None) -> None:
    """Whatever the number, what its shares can hold is no more, and parts are as large as object stores demand."""
    try:
        split = split_memory(max_memory, concurrency=concurrency)
    except ConfigurationError:
        assert concurrency is not None, "the defaults always fit"
        return
    assert in_flight(split) <= max_memory
    assert split.part_bytes >= 5 * MIB
    assert split.concurrency >= 1


def test_the_default_is_four_parts_at_once() -> None:
    """128 MiB are batches of 4 MiB, pipes of a half and four uploads of 16."""
    assert split_memory(128 * MIB) == MemorySplit(128 * MIB, 4 * MIB, MIB // 2, 16 * MIB, 4)


def test_a_part_size_decides_how_many_go_at_once() -> None:
    """Larger parts, fewer at once; the number stays the same."""
    assert split_memory(128 * MIB, part_size=40 * MIB).concurrency == 1
    assert split_memory(128 * MIB, part_size=5 * MIB).concurrency == 4


@pytest.mark.parametrize(
    ("max_memory", "options", "complaint"),
    [
        (MINIMUM_BYTES - 1, {}, "at least 16.0 MiB"),
        (128 * MIB, {"part_size": 64 * MIB}, "max_memory must be at least 204.8 MiB"),
        (128 * MIB, {"part_size": 16 * MIB, "concurrency": 8}, "max_memory must be at least"),
        (32 * MIB, {"concurrency": 8}, "max_memory must be at least"),
        (128 * MIB, {"concurrency": 0}, "concurrency must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(max_memory: int, options: dict[str, int], complaint: str) -> None:
    """A wish that the number cannot hold is an error that says what would, not a larger process."""
    with pytest.raises(ConfigurationError, match=complaint):
        split_memory(max_memory, **options)
