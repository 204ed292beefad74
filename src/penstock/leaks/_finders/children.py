"""List the child processes of this process, as the kernel knows them, without waiting for, polling or reaping any.

This happens at every check, so it takes as few system calls as possible: one if there is no child.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KERNEL_CAN_BE_ASKED", "Child", "children"]

_PROC = Path("/proc")
KERNEL_CAN_BE_ASKED = hasattr(os, "waitid") and _PROC.joinpath("self", "stat").exists()
_KERNEL_LISTS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()
_FEW_THREADS, _FEW_PROCESSES, _ATTEMPTS = 16, 64, 3


@dataclass(frozen=True, slots=True)
class Child:
    """A child process; the time it was started at tells it from others that had its number."""

    pid: int
    started: int = 0


def children() -> list[Child]:
    """Return the children of this process, zombies included. Where the kernel cannot be asked, none."""
    if not KERNEL_CAN_BE_ASKED:
        return []
    try:
        # With WNOWAIT this changes nothing, and it fails at once where there is no child at all, as nearly always.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    return [child for pid in dict.fromkeys(_candidates()) if (child := _child(pid)) is not None]


def _child(pid: int) -> Child | None:
    """Return that child of this process; None if it is somebody else's, a thread, or gone."""
    try:
        # The name of the program stands in brackets and may hold any character, brackets as well.
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if int(fields[1]) != os.getpid() or f"\nTgid:\t{pid}\n".encode() not in _read(f"/proc/{pid}/status"):
            return None
    except OSError:
        return None
    return Child(pid, int(fields[19]))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123  several times faster, and done often
        return file.read()


def _candidates() -> Iterable[int]:
    """Return numbers of processes among which all children are."""
    if not _KERNEL_LISTS_CHILDREN:
        return _sought.candidates(_all_processes)
    tasks = _threads()
    found = _children_of(tasks) if len(tasks) <= _FEW_THREADS else _sought.candidates(_listed)
    return found if found is not None else _listed()


def _threads() -> list[str]:
    return os.listdir("/proc/self/task")  # noqa: PTH208  likewise


def _children_of(tasks: Iterable[str]) -> set[int] | None:
    """Return the children of these threads, or None if one of them has ended, and left its children to another."""
    try:
        return {int(pid) for task in tasks for pid in _read(f"/proc/self/task/{task}/children").split()}
    except OSError:
        return None


def _listed() -> Iterable[int]:
    for _ in range(_ATTEMPTS):
        found = _children_of(_threads())
        if found is not None:
            return found
    return _all_processes()


def _all_processes() -> Iterable[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdecimal()]  # noqa: PTH208  likewise


class _Sought:
    """Looks for children where the kernel has no list of them, or one for each of very many threads.

    Numbers are given out in ascending order, to threads as well, and the last one is known. So what has come since
    the look before is what has the numbers in between; unless these are many, or have started from the bottom again.
    """

    def __init__(self) -> None:
        self._look: tuple[int | None, frozenset[int]] = (None, frozenset())  # one value: several threads may look

    def candidates(self, all_of_them: Callable[[], Iterable[int]]) -> Iterable[int]:
        """Return numbers among which all children are. ``all_of_them`` returns such without what was known before."""
        (before, known), last = self._look, _last_number()
        if before is not None and last is not None and 0 <= last - before <= _FEW_PROCESSES:
            found: Iterable[int] = known.union(range(before + 1, last + 1))
        else:
            found = all_of_them()
        children = frozenset(pid for pid in found if _child(pid) is not None)
        self._look = (last, children)
        return children


def _last_number() -> int | None:
    try:
        return int(_read("/proc/sys/kernel/ns_last_pid"))
    except OSError:
        return None  # a kernel that does not tell


_sought = _Sought()
