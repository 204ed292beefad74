"""Database files under temporary names: to be published when they are complete, or to be thrown away."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import AlreadyExists, SinkError

__all__ = ["check_folder", "new_database", "private_database"]

_TEMPORARY_SUFFIX = ".penstock-part"
_COMPANIONS = ("", "-journal", "-wal", "-shm", ".wal")  # what SQLite and DuckDB put beside a database


def check_folder(path: Path, where: str) -> None:
    """Check whether a file could be created at ``path``.

    Raises:
        SinkError: the folder does not exist, or may not be written.
    """
    folder = path.parent
    if not folder.is_dir():
        raise SinkError(f"there is no folder {str(folder)!r}", where=where, hint="create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        hint = f"the user running this may not write in {str(folder)!r}"
        raise SinkError("permission denied", where=where, hint=hint)


@contextmanager
def new_database(path: Path, where: str) -> Iterator[Path]:
    """Give a temporary path beside ``path``. When the block ends without an error, the file there becomes ``path``.

    If the block fails, nothing remains of it. The block must close the database before it ends.

    Raises:
        AlreadyExists: a file has appeared at ``path`` meanwhile; it stays as it is.
    """
    with _temporary_path(path) as temporary:
        yield temporary
        _publish(temporary, path, where)


@contextmanager
def private_database(path: Path, where: str) -> Iterator[Path]:
    """Give an empty file beside ``path``, which only this user may read. It is removed at the end of the block.

    Raises:
        SinkError: it cannot be created.
    """
    with _temporary_path(path) as temporary:
        try:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as exc:
            raise SinkError(exc.strerror or str(exc), where=where) from exc
        yield temporary


@contextmanager
def _temporary_path(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}{_TEMPORARY_SUFFIX}")
    try:
        yield temporary
    finally:
        for suffix in _COMPANIONS:
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def _publish(temporary: Path, path: Path, where: str) -> None:
    try:
        _sync(temporary, os.O_RDONLY)
        _move(temporary, path)
        _sync(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except FileExistsError as exc:
        hint = "another program has just created it; try again"
        raise AlreadyExists("the file exists already", where=where, hint=hint, transient=True) from exc
    except OSError as exc:
        raise SinkError(exc.strerror or str(exc), where=where) from exc


def _move(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)  # unlike a rename, this refuses to replace what is there
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: claim the name, then replace the claim
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        temporary.replace(path)


def _sync(path: Path, flags: int) -> None:
    """Force a file, or the new name in a folder, to the disk: without this, a power cut may lose it."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
