"""Check that a source, the other options and the memory allow reading in ``partitions``. Used by :mod:`penstock.api`."""

from __future__ import annotations

from penstock.copy_options import CopyOptions
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Source
from penstock.flow.memory import MINIMUM_BYTES, MemorySplit, split_memory
from penstock.flow.partitions import PartitionableSource
from penstock.flow.units import format_bytes, parse_size

__all__ = ["check_partitioned", "split_options"]


def split_options(options: CopyOptions) -> MemorySplit:
    """Divide ``max_memory`` among the links of one partition; all partitions have equal shares.

    Raises:
        ConfigurationError: there is too little memory, or ``partitions`` makes no sense.
    """
    _check_count(options)
    part_size = None if options.part_size is None else parse_size(options.part_size, name="part_size")
    max_memory = parse_size(options.max_memory, name="max_memory")
    share = max_memory // options.partitions
    if options.partitions > 1 and share < MINIMUM_BYTES:
        raise ConfigurationError(
            f"max_memory {format_bytes(max_memory)} is {format_bytes(share)} for each of {options.partitions} partitions, "
            f"and each needs {format_bytes(MINIMUM_BYTES)}: {_way_out(max_memory, options.partitions)}"
        )
    return split_memory(share, part_size=part_size, concurrency=options.concurrency)


def _way_out(max_memory: int, partitions: int) -> str:
    enough = f"max_memory may be {format_bytes(MINIMUM_BYTES * partitions)}"
    fitting = max_memory // MINIMUM_BYTES
    return f"{enough}, or partitions {fitting}" if fitting > 1 else enough


def _check_count(options: CopyOptions) -> None:
    if isinstance(options.partitions, bool) or not isinstance(options.partitions, int) or options.partitions < 1:
        raise ConfigurationError(f"partitions must be a whole number above zero, not {options.partitions!r}")
    if options.partition_by is not None and options.partitions == 1:
        raise ConfigurationError("partition_by needs partitions: say into how many ranges that column divides the rows")


def check_partitioned(source: Source, options: CopyOptions, *, has_steps: bool) -> None:
    """Refuse a source that cannot be divided as ``options`` ask, as far as can be told without connecting to it.

    Args:
        source: the source of the copy.
        options: the options of the copy.
        has_steps: whether steps are applied to the rows on the way.

    Raises:
        ConfigurationError: the source cannot be divided that way.
    """
    if options.partitions == 1:
        return
    if has_steps:
        raise ConfigurationError(
            f"{source.display_name}: steps see the rows one after the other, so partitions can not be used with them"
        )
    if not isinstance(source, PartitionableSource):
        raise ConfigurationError(
            f"{source.display_name}: it can not be read in partitions, which must all be of one snapshot: only tables of "
            "PostgreSQL and MySQL can, and with partition_by views and queries of PostgreSQL"
        )
    source.partitioned(options.partitions, options.partition_by)  # raises what it has against it; connects to nothing
