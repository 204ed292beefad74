"""Record where descriptors without a Python object were opened: by ``os.open``, ``os.dup``, ``os.pipe``, ``detach()``...

A bare number tells nothing about its origin. So while somebody watches, these functions record the line that called them,
as ``origins`` does for those that start threads. This also distinguishes descriptors that Python code has opened, and must
close, from those that a library in C or Rust has opened and takes care of.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from penstock.leaks._noting import origins
from penstock.leaks._noting.origins import Note, note_of

__all__ = ["Key", "key_of", "note_opened", "note_openings"]

#: A descriptor, and device and inode of what is behind it.
Key = tuple[int, int, int]


class _Opened:
    """Stands for a descriptor among the notes, which are about objects."""

    __slots__ = ("__weakref__", "key")

    def __init__(self, key: Key) -> None:
        self.key = key


# Not os.pidfd_open(): asyncio watches its child processes that way, and they are found themselves.
_OPENERS = ("open", "dup", "dup2", "pipe", "pipe2", "openpty", "memfd_create", "eventfd")

_opened: dict[int, _Opened] = {}
_wrapped: list[Any] = []


def key_of(descriptor: int) -> Key | None:
    """Return what tells ``descriptor`` from others that have or had its number; None if it is not open."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return (descriptor, found.st_dev, found.st_ino)


def note_opened(key: Key) -> Note | None:
    """Return what was noted when that descriptor was opened, if it was by one of the functions above."""
    opened = _opened.get(key[0])
    return note_of(opened) if opened is not None and opened.key == key else None


def note_openings() -> None:
    """Wrap the functions, once."""
    if _wrapped:
        return
    for name in _OPENERS:
        original = getattr(os, name, None)  # not every system has them all
        if original is None:
            continue
        wrapper = origins._noting_result(original, _note)
        setattr(os, name, wrapper)
        _wrapped.append(wrapper)
        # These sets tell what os.open() can do here; shutil looks them up before it decides how to delete a tree.
        for abilities in (os.supports_dir_fd, os.supports_fd, os.supports_effective_ids, os.supports_follow_symlinks):
            if original in abilities:
                abilities.add(wrapper)
    socket: Any = sys.modules["socket"].socket
    socket.detach = origins._noting_result(socket.detach, _note)


def _note(result: int | tuple[int, int]) -> None:
    for descriptor in result if isinstance(result, tuple) else (result,):
        key = key_of(descriptor)
        if key is not None:
            opened = _opened[descriptor] = _Opened(key)
            origins._note(opened, depth=3)
