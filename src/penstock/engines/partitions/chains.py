"""The chains of a partitioned plan, one for each range, combined into one ``Work``. Starts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import final

from penstock.core.cancel import CancelScope
from penstock.engines.chain import Chain, Compress
from penstock.engines.failures import Failures
from penstock.engines.partitions.merged import merged
from penstock.engines.partitions.sink import PartSink, Publishing
from penstock.engines.rate import RateLimit
from penstock.engines.stages import Stage, StageStatus
from penstock.errors import StallError
from penstock.flow.contracts import Receipt
from penstock.flow.partitions import Partition, PartitionableSource, Partitions, PartitionsSink, Publication
from penstock.flow.plan import Plan
from penstock.flow.units import format_seconds

__all__ = ["Chains", "opened_chains"]


@contextmanager
def opened_chains(plan: Plan, compress: Compress, failures: Failures, limit: RateLimit | None) -> Iterator[Chains]:
    """Divide the source of ``plan``, begin publishing at its sink, and give the chains in between. Blocks to connect.

    The snapshot that the partitions share is kept until the block is left; all chains must have ended by then.

    Raises:
        StallError: dividing alone took longer than ``plan.stall_timeout``.
    """
    source, sink = plan.source, plan.sink
    assert isinstance(source, PartitionableSource)
    assert isinstance(sink, PartitionsSink)
    with ExitStack() as stack:
        with CancelScope(timeout=plan.stall_timeout) as looking:
            partitions = stack.enter_context(source.partitioned(plan.partitions, plan.partition_by))
            chains = Chains(plan, partitions, sink.publication(), compress, failures, limit)
        if looking.cancelled_caught:
            waited = format_seconds(plan.stall_timeout or 0)
            raise StallError(f"no byte moved for {waited}: {source.display_name} was not divided into partitions yet")
        yield chains


@final
class Chains:
    """A chain for each partition, whose parts are published together.

    Args:
        plan: the plan for each of them.
        partitions: the sources, one for each range.
        publication: where the parts are stored and published.
        compress: the compression function.
        failures: told of every stage that fails.
        limit: the limit on the bytes per second that all sinks together take; None for no limit.

    Attributes:
        stages: the stages of all chains.
    """

    def __init__(
        self,
        plan: Plan,
        partitions: Partitions,
        publication: Publication,
        compress: Compress,
        failures: Failures,
        limit: RateLimit | None,
    ) -> None:
        self._plan = plan
        self._partitions = partitions
        self._publication = publication
        self._publishing = Publishing(publication, len(partitions.each))
        self._chains = [
            self._chain(number, partition, compress, failures, limit)
            for number, partition in enumerate(partitions.each, start=1)
        ]
        self.stages: list[Stage] = [stage for chain in self._chains for stage in chain.stages]

    def _chain(
        self, number: int, partition: Partition, compress: Compress, failures: Failures, limit: RateLimit | None
    ) -> Chain:
        sink = PartSink(
            self._plan.sink.display_name,
            self._publication,
            self._publishing,
            number=number,
            schema=self._partitions.schema,
        )
        plan = replace(self._plan, source=partition.source, sink=sink)
        shared = None if limit is None else limit.shared()
        chain = Chain(plan, compress, failures, shared, which=f" of partition {number}")
        sink.rows = chain.rows
        return chain

    @property
    def receipt(self) -> Receipt | None:
        """What has been published; None until then."""
        receipt, each = self._publishing.receipt, self._partitions.each
        if receipt is None:
            return None
        told = {"partitions": len(each), "ranges": [partition.range for partition in each]}
        return replace(receipt, details={**receipt.details, **told})

    def statuses(self) -> tuple[StageStatus, ...]:
        """Describe the stages as they are now; those of the same name are combined."""
        return merged(chain.statuses() for chain in self._chains)

    def moved_bytes(self) -> int:
        """Return a number that grows whenever any byte moves between two stages."""
        return sum(chain.moved_bytes() for chain in self._chains)

    def rows(self) -> int | None:
        """Return the rows that have passed, in all partitions that have come that far; None before any has."""
        counted = [rows for rows in (chain.rows() for chain in self._chains) if rows is not None]
        return sum(counted) if counted else None

    def encoded_bytes(self) -> int:
        """Return the bytes that have left sources or encoders, before compression."""
        return sum(chain.encoded_bytes() for chain in self._chains)

    def stored_bytes(self) -> int:
        """Return the bytes that the sinks have taken."""
        return sum(chain.stored_bytes() for chain in self._chains)

    @property
    def is_held_back(self) -> bool:
        """Whether a sink waits for nothing but the limit on their bandwidth."""
        return any(chain.is_held_back for chain in self._chains)

    def stacks(self) -> str:
        """Return where each running stage is now, as tracebacks print it."""
        return "\n".join(filter(None, (chain.stacks() for chain in self._chains)))

    def leaks(self) -> tuple[str, ...]:
        """Return what is left behind once every stage has ended: nothing, or there is a bug."""
        return tuple(leak for chain in self._chains for leak in chain.leaks())

    def undo(self) -> list[str]:
        """Remove every part, unless all have been published; return what could not be, a line each."""
        return self._publication.undo()
