"""Find the Python object that owns a descriptor: the one that closes it when it is closed or dropped itself.

The heap is searched for objects of kinds that own descriptors. Some tell their descriptor. A mapped file or a SQLite
database does not; there only the object is found, and matched by the file it has open. No method is called on an object
that could do more than return a number.
"""

from __future__ import annotations

import gc
import io
import os
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from penstock.leaks._looking.heap import instances_of, is_called

__all__ = ["PSYCOPG", "SQLITE", "owners_of"]

PSYCOPG = "psycopg._connection_base.BaseConnection"
SQLITE = "sqlite3.Connection"


class _Owners(list[Any]):
    """A list that is known as one of this package's, when it is asked who refers to what is in it."""


_Reader = Callable[[Any], Iterable[object]]


def owners_of(descriptors: Iterable[int]) -> dict[int, list[Any]]:
    """Return the objects each of ``descriptors`` belongs to, where there are any."""
    wanted: dict[int, list[Any]] = {descriptor: _Owners() for descriptor in descriptors}
    readers: dict[type, _Reader | None] = {}
    for thing in gc.get_objects():
        kind = type(thing)
        if kind not in readers:
            readers[kind] = _reader_for(thing)
        read = readers[kind]
        if read is None:
            continue
        for descriptor in _read_safely(read, thing):
            if isinstance(descriptor, int) and descriptor in wanted:
                wanted[descriptor].append(thing)
    for descriptor, found in wanted.items():
        if not found:
            found += _silent_owners(descriptor)
    return wanted


def _reader_for(thing: object) -> _Reader | None:
    return next((read for name, read in _READERS.items() if is_called(thing, name)), None)


def _read_safely(read: _Reader, thing: Any) -> Iterable[object]:
    try:
        return list(read(thing))
    except Exception:  # noqa: BLE001  other people's objects, closed meanwhile or only half made: they own nothing
        return ()


def _of_file(file: io.FileIO) -> Iterator[int]:
    if file.closefd:  # otherwise somebody else closes it
        yield io.FileIO.fileno(file)


def _of_selector(selector: Any) -> Iterator[int]:
    yield selector._selector.fileno()  # an epoll or kqueue object; poll and select have none


def _of_starter(popen: Any) -> Iterator[object]:
    """Yield the ends of the pipes by which a child of multiprocessing and its parent learn of each other's end."""
    yield popen.sentinel
    yield from getattr(popen.finalizer, "_args", None) or ()


def _attribute(*names: str) -> _Reader:
    return lambda thing: [getattr(thing, name, None) for name in names]


_READERS: dict[str, _Reader] = {
    "_io.FileIO": _of_file,
    "_socket.socket": lambda found: [socket.SocketType.fileno(found)],
    "selectors._BaseSelectorImpl": _of_selector,
    "multiprocessing.connection._ConnectionBase": _attribute("_handle"),
    "multiprocessing.popen_fork.Popen": _of_starter,
    "multiprocessing.shared_memory.SharedMemory": _attribute("_fd"),
    "multiprocessing.heap.Arena": _attribute("fd"),
    "multiprocessing.resource_tracker.ResourceTracker": _attribute("_fd"),
    "multiprocessing.forkserver.ForkServer": _attribute("_forkserver_alive_fd"),
    "trio._unix_pipes._FdHolder": _attribute("fd"),
    PSYCOPG: lambda connection: [connection.pgconn.socket],
    "psycopg2.extensions.connection": lambda connection: [connection.fileno()],
}


# -- objects that do not tell


def _silent_owners(descriptor: int) -> list[Any]:
    try:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        found = os.fstat(descriptor)
    except OSError:
        return []
    if not stat.S_ISREG(found.st_mode):
        return []
    if path.endswith(_SQLITE_COMPANIONS) or _begins_with(descriptor, _SQLITE_MAGIC):
        return [connection for connection in instances_of(SQLITE) if _is_open(connection)]
    if found.st_ino in _mapped_inodes():
        return [each for each in instances_of("mmap.mmap") if _size(each) is not None]
    return []


_SQLITE_MAGIC = b"SQLite format 3\0"
_SQLITE_COMPANIONS = ("-wal", "-shm", "-journal")


def _begins_with(descriptor: int, magic: bytes) -> bool:
    # Not by opening the file once more: closing that would drop the locks this process has on it.
    try:
        return os.pread(descriptor, len(magic), 0) == magic
    except OSError:
        return False  # open for writing only


def _is_open(connection: Any) -> bool:
    try:
        return connection.in_transaction in (True, False)  # asks the connection, and not the database
    except Exception:  # noqa: BLE001  sqlite3.ProgrammingError, which is not imported here: it is closed
        return False


def _mapped_inodes() -> set[int]:
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {int(fields[4]) for fields in map(str.split, lines) if len(fields) > 4}  # the fifth is the inode


def _size(mapped: Any) -> int | None:
    try:
        return len(mapped)
    except ValueError:
        return None  # closed
