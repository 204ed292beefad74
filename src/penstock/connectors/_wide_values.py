"""Make an Arrow column of a single large value without copying the value."""

from __future__ import annotations

import ctypes
import struct
from functools import cache
from typing import Any

from penstock._extras import need

__all__ = ["WIDE_BYTES", "column_of"]

WIDE_BYTES = 64 << 10
"""From here on a value is worth it."""


def column_of(value: Any, kind: Any) -> Any:
    """Return a column of one value, which stays where it is.

    Args:
        value: text, bytes, or anything that has a buffer; of text that is not all ASCII, CPython makes a copy in UTF-8.
        kind: ``string`` or ``binary``.

    Raises:
        ArrowInvalid: bytes that are to be text are no UTF-8.
        UnicodeEncodeError: text has half of a surrogate pair.
    """
    arrow = need("pyarrow", extra="arrow", why="hold tables")
    data = _utf8(value) if isinstance(value, str) else arrow.py_buffer(value)
    offsets = arrow.py_buffer(struct.pack("=ii", 0, data.size))
    column = arrow.Array.from_buffers(kind, 1, [None, offsets, data])
    column.validate(full=True)
    return column


def _utf8(text: str) -> Any:
    """Return the bytes that CPython itself keeps of ``text``, which are the text itself where it is ASCII."""
    arrow = need("pyarrow", extra="arrow", why="hold tables")
    size = ctypes.c_ssize_t()
    address = _as_utf8_and_size()(text, ctypes.byref(size))
    return arrow.foreign_buffer(address, size.value, base=text)


@cache
def _as_utf8_and_size() -> Any:
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.POINTER(ctypes.c_ssize_t))
    return prototype(("PyUnicode_AsUTF8AndSize", ctypes.pythonapi))
