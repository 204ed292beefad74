"""Whether a path may be that of a database file: opening a FIFO would wait, deaf to any cancel, for somebody to write to it."""

from __future__ import annotations

import stat
from pathlib import Path

from penstock.errors import ConnectorError

__all__ = ["refuse_special"]


def refuse_special(path: Path, where: str, error: type[ConnectorError]) -> None:
    """Refuse what is there and no regular file; well if nothing is.

    Raises:
        ConnectorError: of the given kind: it is a folder, a FIFO, a device or a socket.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # opening it says what is wrong
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a FIFO, a device or a socket"
        raise error(f"it is {what}, and not a file", where=where, hint="a database is a file; name that")
