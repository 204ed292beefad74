"""Cut a stream of bytes into blocks that end where a record ends.

Arrow's own streaming readers do this too, but read ahead in threads of their own, where no cancel scope can interrupt a
read, and closing the reader does not end it. Here every read happens in the thread that iterates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from penstock.errors import BudgetExceeded

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["BLOCK_BYTES", "MAX_RECORD_BYTES", "last_newline", "whole_records"]

BLOCK_BYTES = 1 << 20
MAX_RECORD_BYTES = 128 << 20  # a value of 64 MiB as base64, and what stands beside it


def whole_records(
    stream: ByteReader,
    end_of_records: Callable[[bytes], int],
    *,
    block_bytes: int = BLOCK_BYTES,
    first_block_bytes: int | None = None,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Iterator[bytes]:
    """Yield ``stream`` in blocks of about ``block_bytes`` bytes, each ending after a whole record.

    What follows the last record end comes as the last block; whether it is a whole record is for the caller to see.

    Args:
        stream: read with ``read(n)``; an exception of it passes through as it is.
        end_of_records: called with each chunk of the stream, in order; returns the offset just after the last whole record
            in it, or 0 when no record ends there.
        block_bytes: how much to read at a time.
        first_block_bytes: the same for the first block, where the types are found.
        max_record_bytes: the longest record allowed; memory is bounded by it.

    Raises:
        BudgetExceeded: a record is longer than ``max_record_bytes``.
    """
    position = size = 0
    pending: list[bytes] = []  # joined once, when the record has ended: the work stays linear in its length
    wanted = first_block_bytes or block_bytes
    while chunk := stream.read(wanted):
        wanted = block_bytes
        end = end_of_records(chunk)
        if end:
            pending.append(chunk[:end])
            position += size + end
            yield _taken(pending)
            chunk, size = chunk[end:], 0
        if chunk:
            pending.append(chunk)
            size += len(chunk)
        if size > max_record_bytes:
            raise BudgetExceeded(
                f"a record at byte {position} is longer than {max_record_bytes} bytes "
                "(is the format right, and is every quoted field closed?)"
            )
    if pending:
        yield _taken(pending)


def _taken(pieces: list[bytes]) -> bytes:
    """Return the pieces joined, and empty the list."""
    joined = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    pieces.clear()
    return joined


def last_newline(block: bytes) -> int:
    """Return the offset just after the last line end, 0 when there is none."""
    return block.rfind(b"\n") + 1
