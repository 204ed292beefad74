"""Recognise interim responses (``100 Continue``, ``102 Processing``, ``103 Early Hints``). Pure.

A server may send them without being asked. They do not say how the request ends, so we must not take one for the final
response and stop sending.
"""

from __future__ import annotations

import re

__all__ = ["is_interim", "may_be_interim", "without_interim"]

_HEAD = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d[^\n]*+\n(?:[^\r\n][^\n]*+\n)*+\r?\n")
_BEGINNINGS = (b"HTTP/1.0 1", b"HTTP/1.1 1")
_SWITCHING = 101  # the end of HTTP on this connection, which we never ask for: no interim answer
_STATUS = slice(9, 12)
_LONGEST_BYTES = 64 << 10


def is_interim(status: int) -> bool:
    """Whether another answer follows the one with this status."""
    return 100 <= status < 200 and status != _SWITCHING


def without_interim(received: bytes) -> bytes:
    """Return what is left of what a server said, without the whole interim answers it begins with."""
    while head := _HEAD.match(received):
        received = received[head.end() :]
    return received


def may_be_interim(received: bytes) -> bool:
    """Whether ``received`` is nothing, or may become an interim answer when more of it has come."""
    is_beginning = any(beginning.startswith(received[: len(beginning)]) for beginning in _BEGINNINGS)
    return is_beginning and received[_STATUS] != b"%d" % _SWITCHING and len(received) <= _LONGEST_BYTES
