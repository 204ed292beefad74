"""The programs on both sides of ``... | penstock cp - - | ...``, as threads with a real pipe: they stop, or go away."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

__all__ = ["Downstream", "Upstream"]

_PIECE_BYTES = 64 << 10


class _Neighbour:
    """Works in a thread of its own while its ``with`` block runs; then lets go of its end, if it has held it."""

    def __init__(self, *, holds: bool) -> None:
        self._released = threading.Event()
        if not holds:
            self._released.set()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def _run(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._released.set()
        self._thread.join()


class Upstream(_Neighbour):
    """Writes ``data`` into a pipe, perhaps holds it open with nothing more to say, and ends.

    Attributes:
        read_end: descriptor for the program that reads; whoever hands it on closes it.
    """

    def __init__(self, data: bytes, *, holds: bool = False) -> None:
        super().__init__(holds=holds)
        self.read_end, self._write_end = os.pipe()
        self._data = data

    def _run(self) -> None:
        with os.fdopen(self._write_end, "wb", buffering=0) as pipe, suppress(BrokenPipeError):  # it may leave before
            for start in range(0, len(self._data), _PIECE_BYTES):
                _write_all(pipe.fileno(), self._data[start : start + _PIECE_BYTES])
            self._released.wait()


class Downstream(_Neighbour):
    """Reads a pipe to its end, or so many bytes; then perhaps holds it without reading, and leaves.

    Attributes:
        write_end: descriptor for the program that writes; whoever hands it on closes it.
    """

    def __init__(self, limit: int | None = None, *, holds: bool = False) -> None:
        super().__init__(holds=holds)
        self._read_end, self.write_end = os.pipe()
        self._limit = limit
        self._pieces: list[bytes] = []

    def _run(self) -> None:
        with os.fdopen(self._read_end, "rb", buffering=0) as pipe:
            left = self._limit
            while left != 0 and (piece := pipe.read(_PIECE_BYTES if left is None else min(left, _PIECE_BYTES))):
                self._pieces.append(piece)
                left = None if left is None else left - len(piece)
            self._released.wait()

    def received(self) -> bytes:
        """Everything it has read, once its block has ended."""
        self._thread.join()
        return b"".join(self._pieces)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
