"""The connector of files. To add a sink of your own, start from this package.

A file is published whole: the bytes go to a temporary file in the same folder, are forced to disk, and only then get the
name. At any moment, even after a power cut, a reader of that name sees either the old content or all of the new. Devices
and FIFOs (``/dev/null``) cannot be replaced and are written directly. So are files that are open already
(``/dev/stdout``, ``/dev/fd/3``), as they belong to whoever opened them.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, final
from urllib.parse import unquote, urlsplit

from penstock.connectors._descriptors import is_special, writing_descriptor
from penstock.connectors._requests import IfExists, SinkRequest, SourceRequest
from penstock.connectors._stored import MultiStoredSource, StoredSource
from penstock.connectors.files._reading import has_wildcards, is_regular, matching, reading_file
from penstock.core.cancel import check_cancelled, sleep
from penstock.errors import AlreadyExists, ConfigurationError, SinkError
from penstock.flow.contracts import Receipt
from penstock.flow.streams import as_it_comes

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["FileSink", "sink", "source"]

_LONGEST_NAME_BYTES = 255
_FIFO_RETRY_SECONDS = 0.02
_TEMPORARY_SUFFIX = ".penstock-part"
_OPEN_ALREADY = re.compile(r"/dev/(?P<name>stdout|stderr)|/(?:dev|proc/self)/fd/(?P<number>\d+)")
_STANDARD = {"stdout": 1, "stderr": 2}


def source(request: SourceRequest) -> StoredSource | MultiStoredSource:
    """Make a source that reads a file (regular, device or FIFO), or all that match a pattern (``2024-*.csv``)."""
    path = _path(request.uri)
    if has_wildcards(path):
        return MultiStoredSource(
            request, path, lambda: matching(path), lambda name: partial(reading_file, name, shown=name)
        )
    opener = partial(reading_file, path, shown=request.shown)
    return StoredSource(request, path, opener, can_look=lambda: is_regular(path))


def sink(request: SinkRequest) -> FileSink:
    """Make a sink that writes a file."""
    request.refuse_method()
    return FileSink(_path(request.uri), if_exists=request.if_exists)


def _path(uri: str) -> str:
    if not uri.lower().startswith("file://"):
        if not uri:
            raise ConfigurationError("an empty path")
        return uri
    address = urlsplit(uri)
    if address.netloc not in {"", "localhost"} or not address.path:
        raise ConfigurationError(f"{uri!r} has no path on this machine: write file:///absolute/path")
    path = unquote(address.path)
    if "\0" in path:
        raise ConfigurationError(f"{uri!r}: there is a NUL character in it (%00), which no path can have")
    return path


# --- writing ----------------------------------------------------------------------------------------------------


@final
class FileSink:
    """Writes one file.

    Args:
        path: the path of the file; a symbolic link is followed.
        if_exists: what to do about a regular file that exists.
    """

    def __init__(self, path: str, *, if_exists: IfExists = "fail") -> None:
        self.display_name = path
        self._path = Path(path)
        self._if_exists = if_exists
        self._open_already = _open_descriptor(path)

    def check(self) -> bool:
        """Check the file and its folder. Creates nothing.

        Raises:
            AlreadyExists: the file exists and ``if_exists`` is ``"fail"``.
            SinkError: the folder does not exist, or may not be written.
        """
        with self._as_sink_error():
            mode = self._mode()
            folder = self._target().parent
            is_folder_there = folder.is_dir()
        if mode is not None and stat.S_ISDIR(mode):
            raise SinkError("it is a folder, not a file", where=self.display_name, hint="add a file name")
        if mode is not None and stat.S_ISSOCK(mode) and self._open_already is None:
            raise SinkError("it is a socket, not a file", where=self.display_name, hint="sockets can not be opened")
        if self._is_straight(mode):
            return True
        if self.display_name.endswith("/"):
            raise SinkError("that is the name of a folder", where=self.display_name, hint="add a file name")
        if not is_folder_there:
            absent = folder if self._path.is_symlink() else self._path.parent
            raise SinkError(f"there is no folder {str(absent)!r}", where=self.display_name, hint="create it first")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise self._permission_denied()
        if mode is None or self._if_exists == "overwrite":
            return True
        if self._if_exists == "skip":
            return False
        raise self._already_exists()

    def store(self, stream: ByteReader) -> Receipt:
        """Write ``stream`` to its end, then publish the file under its name.

        Blocks while the disk does. If anything fails, or at a cancel, the temporary file is removed.

        Raises:
            AlreadyExists: a file of that name has appeared meanwhile.
            SinkError: writing failed.
        """
        with self._as_sink_error():
            mode = self._mode()
        written = self._store_straight(stream) if self._is_straight(mode) else self._store_whole(stream)
        return Receipt(location=self.display_name, bytes_stored=written)

    def remove(self) -> None:
        """Remove the file that was published. Does nothing if it is gone already.

        Raises:
            SinkError: it could not be removed.
        """
        with self._as_sink_error():
            target = self._target()
            target.unlink(missing_ok=True)
            _sync_folder(target.parent)

    def _store_whole(self, stream: ByteReader) -> int:
        with self._as_sink_error():
            target = self._target()
            temporary = _temporary_name(target)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            try:
                written = self._fill(descriptor, stream)
                with self._as_sink_error():
                    self._keep_mode(descriptor)
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            check_cancelled()
            with self._as_sink_error():
                self._publish(temporary, target)
                _sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
        return written

    def _fill(self, descriptor: int, stream: ByteReader) -> int:
        written = 0
        for chunk in as_it_comes(stream):
            rest = memoryview(chunk)
            written += len(rest)
            while rest:
                with self._as_sink_error():
                    rest = rest[os.write(descriptor, rest) :]
        return written

    def _publish(self, temporary: Path, target: Path) -> None:
        if self._if_exists == "overwrite":
            temporary.replace(target)
            return
        try:
            target.hardlink_to(temporary)  # unlike a rename, this refuses to replace what is there
        except FileExistsError as exc:
            raise self._already_exists() from exc
        except OSError as exc:
            if exc.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}:
                raise
            self._publish_without_links(temporary, target)

    def _publish_without_links(self, temporary: Path, target: Path) -> None:
        """Publish on a file system without hard links: claim the name with an empty file, then replace that."""
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        except FileExistsError as exc:
            raise self._already_exists() from exc
        temporary.replace(target)

    def _keep_mode(self, descriptor: int) -> None:
        mode = self._mode()
        if mode is not None:
            os.fchmod(descriptor, stat.S_IMODE(mode))

    def _store_straight(self, stream: ByteReader) -> int:
        """Write directly to a device, a FIFO or an open file. What has been written cannot be taken back."""
        descriptor = self._open_straight()
        try:
            written = 0
            with writing_descriptor(descriptor) as out:
                for chunk in as_it_comes(stream):
                    with self._as_sink_error():
                        out.write(chunk)
                    written += len(chunk)
            return written
        finally:
            os.close(descriptor)

    def _open_straight(self) -> int:
        """Open for writing. Blocks until a FIFO has a reader, which has to be polled for; a cancel ends that."""
        if self._open_already is not None:
            # Opened anew, a file would be written from its beginning, and a socket not at all.
            with self._as_sink_error():
                return os.dup(self._open_already)
        while True:
            try:
                with self._as_sink_error():
                    return os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except SinkError as exc:
                if not self._waits_for_a_reader(exc):
                    raise
            sleep(_FIFO_RETRY_SECONDS)

    def _waits_for_a_reader(self, error: SinkError) -> bool:
        """Whether ``error`` means a FIFO without a reader. Sockets and absent devices raise the same, but never stop."""
        is_nobody_there = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENXIO
        return is_nobody_there and stat.S_ISFIFO(self._mode() or 0)

    def _is_straight(self, mode: int | None) -> bool:
        return self._open_already is not None or (mode is not None and is_special(mode))

    def _target(self) -> Path:
        return Path(os.path.realpath(self._path))

    def _mode(self) -> int | None:
        if self._open_already is not None:
            return os.fstat(self._open_already).st_mode
        try:
            return self._path.stat().st_mode
        except FileNotFoundError:
            return None

    @contextmanager
    def _as_sink_error(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as exc:
            raise self._permission_denied() from exc
        except OSError as exc:
            hint = _HINTS.get(exc.errno or 0, "") if self._open_already is None else ""
            raise SinkError(exc.strerror or str(exc), where=self.display_name, hint=hint) from exc

    def _permission_denied(self) -> SinkError:
        hint = f"the user running this may not write in {str(self._path.parent)!r}"
        return SinkError("permission denied", where=self.display_name, hint=hint)

    def _already_exists(self) -> AlreadyExists:
        hint = "if_exists may be overwrite or skip"
        return AlreadyExists("the file exists already", where=self.display_name, hint=hint)


_HINTS = {
    errno.ENOSPC: "the disk is full; nothing was left behind",
    errno.EDQUOT: "the disk quota is used up; nothing was left behind",
    errno.EFBIG: "files may not be larger there; nothing was left behind",
    errno.EROFS: "it can only be read from",
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "a part of the path is a file",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def _open_descriptor(path: str) -> int | None:
    """Return the number of the open descriptor that ``path`` is a name of; None for other files."""
    found = _OPEN_ALREADY.fullmatch(path)
    return None if found is None else _STANDARD.get(found["name"]) or int(found["number"])


def _temporary_name(target: Path) -> Path:
    suffix = f".{secrets.token_hex(6)}{_TEMPORARY_SUFFIX}"
    room = _LONGEST_NAME_BYTES - len(suffix) - 1
    start = os.fsencode(target.name)[:room].decode(sys.getfilesystemencoding(), errors="ignore")
    return target.with_name(f".{start}{suffix}")


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk: without this, a power cut may leave the old one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
