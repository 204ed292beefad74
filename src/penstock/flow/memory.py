"""Divide ``max_memory`` among the places where a copy holds data. Pure.

`max_memory` bounds the bytes in flight: everything read from the source and not yet stored. It is not the size of
the process, which also holds Python and the libraries in use (15 MiB bare, about 90 MiB with pyarrow).

    what                                        how much of max_memory
    batches: one being read, two that wait,     4 x batch_bytes, and what a batch's rows weigh as Python objects
    one being encoded                           or as encoded bytes, or a row group of Parquet (4 x batch_bytes
                                                and not one): 1/4 in all
    pipes between stages, at most two           2 x pipe_bytes: 1/16 at most
    parts an upload holds, and the next one     (concurrency + 1) x part_bytes: 5/8
    what libraries buffer on their own          the rest
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import ConfigurationError
from penstock.flow.units import format_bytes

__all__ = ["MINIMUM_BYTES", "MemorySplit", "split_memory"]

_MIB = 1024 * 1024

MINIMUM_BYTES = 16 * _MIB
"""Object stores accept no part below 5 MiB, and an upload needs two of them: one on its way, one being filled."""

_SMALLEST_PART = 5 * _MIB
_LARGEST_DEFAULT_PART = 32 * _MIB  # larger ones only delay the first byte and cost more when sent again
_DEFAULT_CONCURRENCY = 4
_LARGEST_BATCH = 8 * _MIB  # more is no faster: measured, encoders level off near 4 MiB
_LARGEST_PIPE = _MIB // 2  # more is no faster, and only takes longer to be as full as it gets


@dataclass(frozen=True)
class MemorySplit:
    """The shares of one copy, in bytes.

    Attributes:
        max_memory: bytes that may be in flight in all.
        batch_bytes: the size that a source aims at for one Arrow batch.
        pipe_bytes: the buffer of each pipe between two stages.
        part_bytes: the room for each part of a multipart upload.
        concurrency: how many parts are sent at once; there is room for one more, which is being filled.
        part_size: the size of parts the user has asked for, then equal to ``part_bytes``; None lets the sink choose.
    """

    max_memory: int
    batch_bytes: int
    pipe_bytes: int
    part_bytes: int
    concurrency: int
    part_size: int | None = None

    def __str__(self) -> str:
        return (
            f"{format_bytes(self.max_memory)} in flight: batches of {format_bytes(self.batch_bytes)}, "
            f"pipes of {format_bytes(self.pipe_bytes)}, "
            f"room for {self.concurrency + 1} parts of {format_bytes(self.part_bytes)}"
        )


def split_memory(max_memory: int, *, part_size: int | None = None, concurrency: int | None = None) -> MemorySplit:
    """Divide ``max_memory`` bytes.

    Args:
        max_memory: bytes that may be in flight.
        part_size: the part size the user has asked for; None gives parts as much room as fits.
        concurrency: how many parts at once the user has asked for; None for as many as fit, at most 4.

    Raises:
        ConfigurationError: ``max_memory`` is too small, or the parts asked for do not fit into it.
    """
    if max_memory < MINIMUM_BYTES:
        raise ConfigurationError(
            f"max_memory {format_bytes(max_memory)} is too small: at least {format_bytes(MINIMUM_BYTES)}"
        )
    if concurrency is not None and concurrency < 1:
        raise ConfigurationError(f"concurrency must be at least 1, not {concurrency}")
    part_bytes, parts_at_once = _split_parts(max_memory * 5 // 8, part_size, concurrency)
    return MemorySplit(
        max_memory=max_memory,
        batch_bytes=min(max_memory // 32, _LARGEST_BATCH),
        pipe_bytes=min(max_memory // 32, _LARGEST_PIPE),
        part_bytes=part_bytes,
        concurrency=parts_at_once,
        part_size=part_size,
    )


def _split_parts(share: int, part_size: int | None, concurrency: int | None) -> tuple[int, int]:
    """Choose part size and parts at once so that those on their way and the one being filled fit into ``share``."""
    if part_size is None:
        largest = share // _SMALLEST_PART - 1
        concurrency = min(_DEFAULT_CONCURRENCY, largest) if concurrency is None else concurrency
        part_size = max(_SMALLEST_PART, min(_LARGEST_DEFAULT_PART, share // (concurrency + 1) // _MIB * _MIB))
    elif concurrency is None:
        concurrency = max(1, min(_DEFAULT_CONCURRENCY, share // part_size - 1))
    needed = part_size * (concurrency + 1)
    if needed > share:
        raise ConfigurationError(
            f"{concurrency} parts of {format_bytes(part_size)} at once do not fit: max_memory must be at least "
            f"{format_bytes(-(-needed * 8 // 5))}, or part_size or concurrency smaller"
        )
    return part_size, concurrency
