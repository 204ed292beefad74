"""Read which objects an active function holds from the interpreter's memory: variables, function object, stack.

CPython shows none of this to the garbage collector while the function runs, and offers no other way to see it. So the
addresses are read from memory, as numbers to compare with ``id()``. They are read through ``/proc/self/mem``, where a
wrong address gives an error and not a crash. No pointer is followed and nothing is written.

The layout is that of CPython 3.11, 3.12 and 3.13 (``Include/internal/pycore_frame.h``). Each frame read is checked: it
must name its own code and its own frame object where the layout says so. On systems without ``/proc/self/mem``, and
on other versions, there is nothing to read, and so nothing is proven.
"""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass
from types import FrameType

__all__ = ["Memory", "RawFrame"]

_WORD = struct.calcsize("P")
_FRAME_POINTER = 3 * _WORD  # in the frame object, after its reference count, its type and f_back
_HEADER_WORDS = 9


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are in the header of ``_PyInterpreterFrame``, in words."""

    function: int
    code: int
    frame_object: int
    previous: int


_LAYOUTS = {
    (3, 11): _Layout(function=0, code=4, frame_object=5, previous=6),
    (3, 12): _Layout(function=2, code=0, frame_object=6, previous=1),
    (3, 13): _Layout(function=2, code=0, frame_object=6, previous=1),
}
_LAYOUT = _LAYOUTS.get(sys.version_info[:2])
_IS_ENTRY_BYTE = 4  # of the last word of the header; in 3.11 only


@dataclass(frozen=True, slots=True)
class RawFrame:
    """The addresses an active function holds references to; 0 for none.

    Attributes:
        address: where the frame itself lies.
        function: of its function object.
        variables: of its local variables and cells.
        stack: of what lies on its evaluation stack. How much of that is in use only ``stack`` can tell.
        caller: where the frame of the evaluation loop lies that it returns to.
        is_entry: in 3.11, whether C called it. From 3.12 on ``caller`` is not the Python function then.
    """

    address: int
    function: int
    variables: tuple[int, ...]
    stack: tuple[int, ...]
    caller: int
    is_entry: bool

    def was_called_through_c(self, by: RawFrame) -> bool:
        """Whether C stands between it and the Python function ``by`` that it returns to."""
        return self.is_entry or self.caller != by.address


class Memory:
    """The memory of this process, to be used in a ``with`` block."""

    def __init__(self) -> None:
        self._file: int | None = None

    def __enter__(self) -> Memory:
        if _LAYOUT is not None:
            try:
                self._file = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._file = None
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._file is not None:
            os.close(self._file)

    @property
    def is_readable(self) -> bool:
        """Whether active functions can be looked into at all."""
        return self._file is not None

    def frame(self, frame: FrameType) -> RawFrame | None:
        """Return what ``frame``, of a function that stands still, holds; None if that cannot be read."""
        if self._file is None or _LAYOUT is None:
            return None
        code = frame.f_code
        cells = [name for name in code.co_cellvars if name not in code.co_varnames]
        count = len(code.co_varnames) + len(cells) + len(code.co_freevars)
        try:
            (address,) = self._words(id(frame) + _FRAME_POINTER, 1)
            words = self._words(address, _HEADER_WORDS + count + code.co_stacksize)
        except OSError:
            return None
        if words[_LAYOUT.code] != id(code) or words[_LAYOUT.frame_object] != id(frame):
            return None
        state = words[_HEADER_WORDS - 1].to_bytes(_WORD, sys.byteorder)
        return RawFrame(
            address=address,
            function=words[_LAYOUT.function],
            variables=words[_HEADER_WORDS : _HEADER_WORDS + count],
            stack=words[_HEADER_WORDS + count :],
            caller=words[_LAYOUT.previous],
            is_entry=sys.version_info < (3, 12) and bool(state[_IS_ENTRY_BYTE]),
        )

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        assert self._file is not None
        read = os.pread(self._file, count * _WORD, address)
        if len(read) != count * _WORD:
            raise OSError("the end of the mapped memory")
        return struct.unpack(f"{count}P", read)
