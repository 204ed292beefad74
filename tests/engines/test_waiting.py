"""Who waited on whom, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.engines.stages import StageStatus
from penstock.engines.waiting import describe_now, verdict


def stage(
    name: str, for_input: float = 0.0, for_output: float = 0.0, *, seconds: float = 10.0, waits_for: str | None = None
) -> StageStatus:
    return StageStatus(name, seconds, for_input, for_output, running=True, waits_for=waits_for)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([stage("source", 0, 7.2), stage("sink", 0.3)], "the source waited on the sink 72 % of the time"),
        ([stage("source", 0, 0.1), stage("sink", 9.0)], "the sink waited on the source 90 % of the time"),
        ([stage("source", 0, 0.2), stage("sink", 0.3)], "no stage waited on another noticeably"),
        (
            [stage("source", 0, 6), stage("encoder", 1, 6), stage("compressor", 0.5), stage("sink", 4)],
            "the source waited on the compressor 60 % of the time",
        ),
        (
            [stage("source", 0, 1), stage("encoder", 0.5, 0), stage("sink", 8)],
            "the sink waited on the encoder 80 % of the time",
        ),
        (
            [stage("source", 0, 9), stage("encoder", 0, 9), stage("sink", 0.1)],
            "the source waited on the sink 90 % of the time",
        ),
        (
            [stage("source", 0, 9), replace(stage("sink", 0.5), held_back_seconds=7)],
            "the sink waited on the bandwidth limit 70 % of the time",
        ),
        (
            [stage("source", 0, 9), replace(stage("sink", 0.5), held_back_seconds=2)],
            "the source waited on the sink 90 % of the time",
        ),
        ([stage("source", seconds=0), stage("sink", seconds=0)], "no stage waited on another noticeably"),
        ([], ""),
    ],
)
def test_the_verdict_names_the_slowest_stage_and_who_waited_on_it(stages: list[StageStatus], said: str) -> None:
    """The stage with most work of its own is named, also when the waiting passed through stages in between."""
    assert verdict(stages) == said


def test_what_a_stage_did_itself_is_what_it_did_not_wait() -> None:
    """Busy is the rest of the time, never below zero."""
    assert stage("encoder", 2, 3).busy_seconds == 5
    assert stage("encoder", 8, 8).busy_seconds == 0


def test_the_present_is_told_from_the_sink_backwards() -> None:
    """Who waits for whom, and who does not answer."""
    stages = [stage("source"), stage("encoder", waits_for="source"), stage("sink", waits_for="encoder")]
    assert describe_now(stages) == (
        "the sink waits for the encoder, the encoder waits for the source, the source does not answer"
    )
