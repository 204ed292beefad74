"""A module holds a file that is mapped into memory: the map has a descriptor of its own, and does not tell it."""

import mmap
import tempfile

maps: list[mmap.mmap] = []


def program() -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(4096)
        maps.append(mmap.mmap(file.fileno(), 0))
    maps[0][:4] = b"text"
