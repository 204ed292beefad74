"""The sizes of the parts of an upload: no number of bytes runs out of part numbers."""

from __future__ import annotations

import itertools

import pytest

from penstock.connectors.objects import part_plan
from penstock.connectors.objects._part_plan import PartPlan
from penstock.flow.memory import split_memory

MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40


def plan_within(max_memory: int, scheme: str = "s3") -> PartPlan:
    memory = split_memory(max_memory)
    return part_plan(f"{scheme}://bucket/key", memory.part_bytes, memory.concurrency)


@pytest.mark.parametrize("max_memory", [16 * MIB, 64 * MIB, 128 * MIB, GIB, 16 * GIB])
def test_the_largest_object_of_s3_is_reached_in_any_memory(max_memory: int) -> None:
    """5 TiB, for long the largest object of all, with parts that S3 takes."""
    plan = plan_within(max_memory)
    sizes = list(plan.sizes())
    assert plan.largest_object_bytes >= 5 * TIB
    assert len(sizes) == 10_000
    assert min(sizes) >= 5 * MIB
    assert max(sizes) <= 5 * GIB


def test_parts_never_shrink() -> None:
    """The size depends on the number of the part and on what was sent, and both only grow."""
    sizes = list(plan_within(128 * MIB).sizes())
    assert all(before <= after for before, after in itertools.pairwise(sizes))


def test_memory_lasts_for_long() -> None:
    """With the memory of the default, the first temporary file is made beyond 170 GiB."""
    plan = plan_within(128 * MIB)
    in_memory = itertools.takewhile(lambda size: size <= plan.largest_in_memory, plan.sizes())
    assert sum(in_memory) > 170 * GIB


def test_two_parts_fit_into_memory() -> None:
    """A part in memory is at most half of what all in flight may take: one is filled while one is sent."""
    plan = plan_within(128 * MIB)
    assert 2 * plan.largest_in_memory <= plan.memory_bytes


def test_small_objects_have_parts_as_asked_for() -> None:
    """A thousand parts of the size that was asked for come first."""
    plan = part_plan("s3://bucket/key", 16 * MIB, 4, part_size=12 * MIB)
    assert list(itertools.islice(plan.sizes(), 1000)) == [12 * MIB] * 1000
    assert plan.size_of(1000, 999 * 12 * MIB) == 12 * MIB


def test_parts_to_s3_begin_small() -> None:
    """Of 8 MiB unless asked for, whatever room there is: they grow later."""
    assert plan_within(GIB).part_bytes == 8 * MIB
    assert plan_within(16 * MIB).part_bytes == 5 * MIB


@pytest.mark.parametrize(
    ("total", "parts"), [(0, 1), (1, 1), (8 * MIB, 1), (8 * MIB + 1, 2), (80 * MIB, 10), (TIB, 7164), (10**16, None)]
)
def test_how_many_parts_an_object_takes(total: int, parts: int | None) -> None:
    """One at least; None where it does not fit."""
    assert part_plan("s3://bucket/key", 8 * MIB, 4, part_size=8 * MIB).parts_for(total) == parts


def test_obstore_cuts_all_parts_alike() -> None:
    """Google and Azure are written to through obstore, so they end at a number of parts of one size."""
    assert plan_within(128 * MIB, "gs").largest_object_bytes == 10_000 * 16 * MIB
    assert plan_within(128 * MIB, "az").largest_object_bytes == 50_000 * 16 * MIB
    assert part_plan("gs://bucket/key", 8 * MIB, 4).size_of(10_001, 10_000 * 8 * MIB) is None
