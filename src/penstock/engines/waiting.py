"""Turn the waiting times of the stages into a sentence that says who waits on whom. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.engines.stages import HELD_BACK, StageStatus

__all__ = ["describe_now", "verdict"]

_NOTICEABLE = 0.05


def verdict(stages: Sequence[StageStatus]) -> str:
    """Return which stage held up the others: ``"the source waited on the sink 72 % of the time"``.

    The stage that was busiest itself is the one the others waited on, possibly through stages in between: if the
    compressor blocks the source because the sink blocks the compressor, the source waits on the sink. A bandwidth limit
    counts as a stage here.
    """
    if len(stages) < 2:
        return ""
    held_back = stages[-1].held_back_seconds
    if held_back > max(stage.busy_seconds for stage in stages) and _share(held_back, stages[-1]) >= _NOTICEABLE:
        return _waited(stages[-1].name, HELD_BACK, _share(held_back, stages[-1]))
    slowest = max(range(len(stages)), key=lambda index: _share(stages[index].busy_seconds, stages[index]))
    first, last = stages[0], stages[-1]
    before = _share(first.waited_for_output_seconds, first) if slowest > 0 else 0.0
    after = _share(last.waited_for_input_seconds, last) if slowest < len(stages) - 1 else 0.0
    waiter, share = (first.name, before) if before >= after else (last.name, after)
    if share < _NOTICEABLE:
        return "no stage waited on another noticeably"
    return _waited(waiter, stages[slowest].name, share)


def _waited(waiter: str, on: str, share: float) -> str:
    return f"the {waiter} waited on the {on} {share:.0%} of the time".replace("%", " %")


def _share(seconds: float, stage: StageStatus) -> float:
    return min(1.0, seconds / stage.seconds) if stage.seconds > 0 else 0.0


def describe_now(stages: Sequence[StageStatus]) -> str:
    """Return who waits on whom at this moment: ``"the sink waits for the source, the source is busy itself"``."""
    said = [f"the {stage.name} {_activity(stage)}" for stage in reversed(stages) if stage.running]
    return ", ".join(said)


def _activity(stage: StageStatus) -> str:
    return f"waits for the {stage.waits_for}" if stage.waits_for else "does not answer"
