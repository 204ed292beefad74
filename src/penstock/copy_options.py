"""The options of a copy as one value, for passing them on; what each means is said by :func:`penstock.copy`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.connectors import IfExists
from penstock.flow.losses import OnTypeLoss

__all__ = ["CopyOptions"]


@dataclass(frozen=True, kw_only=True)
class CopyOptions:
    """The keyword arguments of :func:`penstock.copy`, except ``progress``, with the same meanings and defaults."""

    query: str | None = None
    table: str | None = None
    columns: Sequence[str] | None = None
    where: str | None = None
    limit: int | None = None
    source_format: str | None = None
    source_compression: str | None = None
    source_format_options: Mapping[str, object] | None = None
    source_options: Mapping[str, object] | None = field(default=None, repr=False)  # a header may hold a token
    on_type_loss: OnTypeLoss = "error"
    format: str | None = None
    compression: str | None = None
    format_options: Mapping[str, object] | None = None
    to_table: str | None = None
    if_exists: IfExists = "fail"
    destination_options: Mapping[str, object] | None = field(default=None, repr=False)
    max_memory: int | str = "128MiB"
    part_size: int | str | None = None
    concurrency: int | None = None
    max_file_size: int | str | None = None
    partitions: int = 1
    partition_by: str | None = None
    engine: str = "local"
    bwlimit: float | str | None = None
    method: str | None = None
    timeout: float | str | None = None
    stall_timeout: float | str | None = None
