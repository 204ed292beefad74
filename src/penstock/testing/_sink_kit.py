"""``check_sink``: check that a sink of bytes keeps the contract of ``penstock.flow.contracts.Sink``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import BinaryIO, cast, final

from penstock.flow.contracts import ByteReader, Receipt, Removable, Sink
from penstock.leaks import Ignore, leakcheck
from penstock.testing._calls import Call
from penstock.testing._expect import OutOfTheBlue, expect, expect_raised, expect_soon, name_of
from penstock.testing._sources import stall

__all__ = ["check_sink"]

_PIECE = b"0123456789abcdef" * 4096  # 64 KiB


@final
class _Played:
    """A stream that keeps the contract of ``ByteReader``. An exception among its chunks is raised, a function called."""

    def __init__(self, chunks: Iterable[bytes | BaseException | Callable[[], object]]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            if isinstance(chunk, BaseException):
                raise chunk
            if callable(chunk):
                chunk()
            else:
                self._rest += chunk
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        self._rest = b""


def _stream(*chunks: bytes | BaseException | Callable[[], object]) -> ByteReader:
    return cast(BinaryIO, _Played(chunks))


def check_sink(
    destination: Callable[[], tuple[Sink, Callable[[], bytes | None]]],
    *,
    stalled: Callable[[], tuple[Sink, Callable[[], bytes | None]]] | None = None,
    large_bytes: int = 12 << 20,
    within_seconds: float = 0.25,
    ignore: Iterable[Ignore] = (),
) -> None:
    """Check that a sink publishes everything or nothing, passes errors on, wakes on a cancel, and leaves nothing behind.

    Blocks for some seconds; everything it has started has ended when it returns.

    Args:
        destination: makes a sink for a place where nothing exists yet, and a function that returns what exists there:
            the bytes as they were sent to the sink, or None. It must use a new place each time.
        stalled: the same, for a place that accepts no data, or soon stops accepting it, as a peer that does not read.
            None leaves out the check that a cancel interrupts a write.
        large_bytes: an amount of data that does not fit the sink's first part, block or buffer.
        within_seconds: how soon after a cancel everything must have ended.
        ignore: rules for what is no leak, as for :func:`penstock.leaks.leakcheck`, such as what a server in the same
            process keeps.

    Raises:
        AssertionError: the sink does not keep the contract of :class:`penstock.flow.contracts.Sink`; says how.
    """
    large = _PIECE * max(1, large_bytes // len(_PIECE))
    for data in (b"", b"x", large):
        with leakcheck(ignore=ignore):
            _stores(destination, data)
    for before in (b"", b"x", large):
        with leakcheck(ignore=ignore):
            _passes_an_error_on(destination, before)
        with leakcheck(ignore=ignore):
            _is_cancelled(destination, (before,), within_seconds)
    if stalled is not None:
        with leakcheck(ignore=ignore):
            _is_cancelled_while_writing(stalled, within_seconds)


def _stores(destination: Callable[[], tuple[Sink, Callable[[], bytes | None]]], data: bytes) -> None:
    sink, read = destination()
    name = name_of(sink)
    expect(read() is None, f"{name}: destination() is to give a place where nothing is")
    expect(sink.check() is True, f"{name}: check() of a place where nothing is does not return True")
    expect(read() is None, f"{name}: check() made something appear")
    receipt: object = sink.store(_stream(data))
    expect(isinstance(receipt, Receipt), f"{name}: store() returned {receipt!r}, which is no Receipt")
    expect(read() == data, f"{name}: {len(data):,} bytes were stored, and they are not what can be read there")
    if isinstance(sink, Removable):
        sink.remove()
        expect(read() is None, f"{name}: remove() left something there")
        sink.remove()  # well if it is not there any more


def _passes_an_error_on(destination: Callable[[], tuple[Sink, Callable[[], bytes | None]]], before: bytes) -> None:
    sink, read = destination()
    name, error = name_of(sink), OutOfTheBlue("the stream broke")
    expect_raised(lambda: sink.store(_stream(before, error)), error, f"{name}: after {len(before):,} bytes")
    expect(read() is None, f"{name}: the stream failed after {len(before):,} bytes, and something was published")


def _is_cancelled(
    destination: Callable[[], tuple[Sink, Callable[[], bytes | None]]], chunks: tuple[bytes, ...], within: float
) -> None:
    sink, read = destination()
    name, silent = name_of(sink), threading.Event()
    call = Call(lambda: sink.store(_stream(*chunks, silent.set, stall)), what=f"store() of {name}")
    call.wait_for(silent, "it had read what there was")
    expect_soon(call.cancel(), within, f"{name}: a cancel while the stream is silent")
    expect(read() is None, f"{name}: it was cancelled, and something was published")


def _is_cancelled_while_writing(stalled: Callable[[], tuple[Sink, Callable[[], bytes | None]]], within: float) -> None:
    sink, read = stalled()
    name = name_of(sink)
    call = Call(
        lambda: sink.store(cast(BinaryIO, _Played(repeat(_PIECE)))), what=f"store() of {name}, which takes nothing"
    )
    call.wait_still()
    expect_soon(call.cancel(), within, f"{name}: a cancel while the destination takes nothing")
    expect(read() is None, f"{name}: it was cancelled while the destination took nothing, and something was published")
