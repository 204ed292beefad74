"""Open files to read them: one by its path, or all that a pattern matches."""

from __future__ import annotations

import glob
import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from penstock.connectors._descriptors import reading_descriptor
from penstock.core.cancel import check_cancelled
from penstock.errors import SourceError
from penstock.flow.suggest import did_you_mean

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from penstock.flow.contracts import ByteReader

__all__ = ["has_wildcards", "is_regular", "matching", "reading_file"]

_PIECE_BYTES = 1 << 20  # a cancel waits for at most so much to come from the disk


def has_wildcards(path: str) -> bool:
    """Whether ``path`` looks like a pattern. A file with exactly that name is still read; see :func:`matching`."""
    return glob.has_magic(path)


def is_regular(path: str) -> bool:
    """Whether reading the file takes no data away from another reader; True if it does not exist."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return True  # opening it says what is wrong


def matching(pattern: str) -> Sequence[str]:
    """Return the files that match, sorted by name. ``*`` and ``?`` stay within a folder, ``**`` is folders of any depth.

    As in a shell, names that begin with a dot match only where the pattern has that dot.
    """
    if Path(pattern).is_file():
        return [pattern]
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob matches hidden names, and no absolute patterns
    return sorted(name for name in found if not Path(name).is_dir())


@contextmanager
def reading_file(path: str, seekable: bool = False, *, shown: str) -> Iterator[ByteReader]:
    """Open a file of any kind. Reading from it blocks until there is data, the end, or a cancel.

    Args:
        path: of the file.
        seekable: whether ``seek`` and ``tell`` are wanted; only a regular file has them.
        shown: what messages call it.

    Raises:
        SourceError: it cannot be opened or (while reading) read.
    """
    with _as_source_error(path, shown):
        # Non-blocking, or opening a FIFO would wait, deaf to any cancel, for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise SourceError("it is a folder, not a file", where=shown)
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
        if seekable and size is not None:
            yield cast(BinaryIO, _RandomAccess(descriptor, size, path, shown))
        else:
            with reading_descriptor(descriptor) as stream:
                yield cast(BinaryIO, _Translated(stream, size, path, shown))
    finally:
        os.close(descriptor)


class _Translated:
    """A stream whose failures are raised as ``SourceError``."""

    def __init__(self, stream: ByteReader, size_bytes: int | None, path: str, shown: str) -> None:
        self.size_bytes = size_bytes
        self._stream = stream
        self._path = path
        self._shown = shown

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1, /) -> bytes:
        with _as_source_error(self._path, self._shown):
            return self._stream.read(size)


class _RandomAccess(io.RawIOBase):
    """A regular file with random access, read in pieces so that a cancel can be noticed between them."""

    def __init__(self, descriptor: int, size_bytes: int, path: str, shown: str) -> None:
        super().__init__()
        self.size_bytes = size_bytes
        self._descriptor = descriptor
        self._path = path
        self._shown = shown
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size_bytes}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        rest = memoryview(buffer).cast("B")
        taken = 0
        while rest:
            check_cancelled()
            with _as_source_error(self._path, self._shown):
                count = os.preadv(self._descriptor, [rest[:_PIECE_BYTES]], self._position)
            if not count:
                break
            self._position += count
            taken += count
            rest = rest[count:]
        return taken


@contextmanager
def _as_source_error(path: str, shown: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        hint = _leads_nowhere(Path(path)) or _similar_names(Path(path))
        raise SourceError("no such file", where=shown, hint=hint) from exc
    except PermissionError as exc:
        raise SourceError("permission denied", where=shown, hint="the user running this may not read it") from exc
    except OSError as exc:
        raise SourceError(exc.strerror or str(exc), where=shown) from exc


def _leads_nowhere(path: Path) -> str:
    return f"it is a link to {os.fspath(path.readlink())!r}, which is not there" if path.is_symlink() else ""


def _similar_names(path: Path) -> str:
    folder = path.parent
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return f"there is no folder {str(folder)!r}"
    return did_you_mean(path.name, names, otherwise="is the path right?")
