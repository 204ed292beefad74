"""Refuse paths that cannot be database files. Opening a FIFO would wait for a writer, and no cancel could end that."""

from __future__ import annotations

import stat
from pathlib import Path

from penstock.errors import ConnectorError

__all__ = ["refuse_special"]


def refuse_special(path: Path, where: str, error: type[ConnectorError]) -> None:
    """Refuse a path at which something other than a regular file exists; nothing at all is fine.

    Raises:
        ConnectorError: of the type given: it is a folder, a FIFO, a device or a socket.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # opening it says what is wrong
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a FIFO, a device or a socket"
        raise error(f"it is {what}, and not a file", where=where, hint="a database is a file; name that")
