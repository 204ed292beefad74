"""Combine the statuses of the same stage in several partitions into one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.engines.stages import StageStatus

__all__ = ["merged"]


def merged(chains: Iterable[Sequence[StageStatus]]) -> tuple[StageStatus, ...]:
    """Return one status for each kind of stage, with the times of all chains added up. All chains have the same stages.

    So shares of time, and who waited on whom, are averages over the chains.
    """
    return tuple(_added_up(alike) for alike in zip(*chains, strict=True))


def _added_up(statuses: Sequence[StageStatus]) -> StageStatus:
    running = [status for status in statuses if status.running]
    waited_for = {status.waits_for for status in running}
    return StageStatus(
        name=statuses[0].name,
        seconds=sum(status.seconds for status in statuses),
        waited_for_input_seconds=sum(status.waited_for_input_seconds for status in statuses),
        waited_for_output_seconds=sum(status.waited_for_output_seconds for status in statuses),
        running=bool(running),
        waits_for=waited_for.pop() if len(waited_for) == 1 else None,
        held_back_seconds=sum(status.held_back_seconds for status in statuses),
    )
