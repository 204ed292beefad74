"""How much memory this process holds and has held, as the operating system counts it."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["peak_resident_bytes", "resident_bytes"]

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int | None:
    """Return the bytes of this process that are in memory now; None where the system does not tell."""
    return _status_bytes("VmRSS")


def peak_resident_bytes() -> int | None:
    """Return the most bytes of this process that were ever in memory; None where the system does not tell."""
    peak = _status_bytes("VmHWM")
    return _peak_of_getrusage() if peak is None else peak


def _status_bytes(field: str) -> int | None:
    """Read one field of Linux' /proc; it is preferred because ru_maxrss starts with the parent's peak after exec."""
    try:
        status = _STATUS.read_text(encoding="ascii")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None


def _peak_of_getrusage() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
