"""Who waits on whom: from the times of the stages to a sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.engines.stages import StageStatus

__all__ = ["describe_now", "verdict"]

_NOTICEABLE = 0.05


def verdict(stages: Sequence[StageStatus]) -> str:
    """Say which stage held up the others: ``"the source waited on the sink 72 % of the time"``.

    The stage with the most work of its own is the one that the others wait on, also through stages in between: a
    source blocked by a compressor that is blocked by the sink waits on the sink.
    """
    if len(stages) < 2:
        return ""
    slowest = max(range(len(stages)), key=lambda index: _share(stages[index].busy_seconds, stages[index]))
    first, last = stages[0], stages[-1]
    before = _share(first.waited_for_output_seconds, first) if slowest > 0 else 0.0
    after = _share(last.waited_for_input_seconds, last) if slowest < len(stages) - 1 else 0.0
    waiter, share = (first.name, before) if before >= after else (last.name, after)
    if share < _NOTICEABLE:
        return "no stage waited on another noticeably"
    return f"the {waiter} waited on the {stages[slowest].name} {share:.0%} of the time".replace("%", " %")


def _share(seconds: float, stage: StageStatus) -> float:
    return min(1.0, seconds / stage.seconds) if stage.seconds > 0 else 0.0


def describe_now(stages: Sequence[StageStatus]) -> str:
    """Say who waits on whom at this moment: ``"the sink waits for the source, the source is busy itself"``."""
    said = [f"the {stage.name} {_activity(stage)}" for stage in reversed(stages) if stage.running]
    return ", ".join(said)


def _activity(stage: StageStatus) -> str:
    return f"waits for the {stage.waits_for}" if stage.waits_for else "does not answer"
