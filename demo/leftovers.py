"""Looks for what should be gone, from the outside: each kind is counted where the operating system or server keeps it."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from demo.command import Commands
from demo.places import HttpEndpoint, ObjectStore

PATIENCE_SECONDS = 5.0


class Leftovers:
    """What was found, by kind: ``found["temporary file"]`` is an empty list when all is well."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self._open_files_before = _open_files()

    def look_at_commands(self, commands: Commands) -> None:
        """A process group without a member does not exist, and each command had a group of its own."""
        self._enter("process", [f"one of group {group}" for group in commands.groups if _exists(group)])
        self._enter("thread", commands.left_inside)

    def look_at_files(self, folder: Path, expected: set[str]) -> None:
        """The commands' own folder, where their temporary files go, too."""
        names = {str(path.relative_to(folder)) for path in folder.rglob("*")}
        self._enter("temporary file", sorted(names - expected))

    def look_at_http(self, endpoint: HttpEndpoint) -> None:
        """Connections the server still has; those just closed may take it a moment to notice."""
        with contextlib.suppress(TimeoutError):
            endpoint.server.wait_until(lambda: endpoint.server.open_connections == 0, PATIENCE_SECONDS)
        self._enter("connection", [f"to {endpoint.server.url}"] * endpoint.server.open_connections)

    def look_at_store(self, store: ObjectStore, expected: dict[str, int]) -> None:
        """Uploads neither completed nor aborted, and objects that are not among the complete ones."""
        self._enter("open upload", store.server.uploads(store.bucket))
        objects = store.server.objects(store.bucket)
        self._enter(
            "partial object", sorted(f"{key}: {size} bytes" for key, size in objects.items() - expected.items())
        )

    def look_at_this_process(self) -> None:
        """The servers have ended by now, so nothing but this thread may run here."""
        others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
        self._enter("thread", others)
        self._enter("open file", sorted(_open_files() - self._open_files_before))
        self._enter("process", ["a child of the demo"] if _has_children() else [])

    def _enter(self, kind: str, what: list[str]) -> None:
        self.found.setdefault(kind, []).extend(what)


def _exists(group: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def _has_children() -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
        return True
    return False


def _open_files() -> set[str]:
    """Numbers of the descriptors of this process, without the one that reads the list."""
    listed = [path.name for path in Path("/dev/fd").iterdir()]
    return {number for number in listed if _is_open(int(number))}


def _is_open(number: int) -> bool:
    with contextlib.suppress(OSError):
        os.fstat(number)
        return True
    return False
