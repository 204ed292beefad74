"""Find child processes that still exist: running, or ended and not waited for (zombies).

Nothing here waits for a child, polls it or reaps it, or the code that started it would get a wrong exit code, or none.
The kernel lists the children; on systems without ``/proc``, they are found through the objects they were started with.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Literal

from penstock.leaks._finders.children import KERNEL_CAN_BE_ASKED, Child, children
from penstock.leaks._finders.masking import masked_command, masked_line
from penstock.leaks._looking.heap import instances_of, is_called
from penstock.leaks._looking.holders import Holding, Search
from penstock.leaks._noting.origins import note_of, notes
from penstock.leaks._report.model import Leak
from penstock.leaks._straggler import Straggler

__all__ = ["ProcessFinder", "ProcessStraggler"]

_PROC = Path("/proc")
_POPEN, _PROCESS = "subprocess.Popen", "multiprocessing.process.BaseProcess"
_ASYNCIO_TRANSPORT = "asyncio.base_subprocess.BaseSubprocessTransport"
_POOLS = ("concurrent.futures.process.ProcessPoolExecutor", "multiprocessing.pool.Pool")

# Started once on behalf of all, kept until the interpreter exits, and ended by closing a pipe then. Nobody who uses
# multiprocessing can wait for them.
_SERVANTS = (
    ("multiprocessing.resource_tracker", "_resource_tracker", "_pid"),
    ("multiprocessing.forkserver", "_forkserver", "_forkserver_pid"),
)


class ProcessFinder:
    """Finds child processes."""

    def baseline(self) -> frozenset[Child]:
        """Return what tells apart the children there are."""
        return frozenset(_present())

    def stragglers(self, since: frozenset[Child] | None) -> list[ProcessStraggler]:
        """Return the children that were not there then; without multiprocessing's own servants."""
        fresh = [child for child in _present() if since is None or child not in since]
        if not fresh:
            return []
        servants = {
            getattr(getattr(sys.modules.get(module), name, None), field, None) for module, name, field in _SERVANTS
        }
        return [ProcessStraggler(child) for child in fresh if child.pid not in servants]


class ProcessStraggler(Straggler):
    """A child process that nobody has waited for."""

    __slots__ = ("_child",)

    kind: Literal["process"] = "process"

    def __init__(self, child: Child) -> None:
        self._child = child

    @property
    def identity(self) -> Hashable:
        """Its number, and when it was started."""
        return ("process", self._child.pid, self._child.started)

    @property
    def name(self) -> str:
        """Its command line, without secrets; for a child of multiprocessing the name it was given."""
        return _name(self._child.pid, _noted_object(self._child.pid))

    def created_by(self) -> str | None:
        """Return the function it was started by, if that was noted."""
        note = note_of(_noted_object(self._child.pid))
        return note.place.function if note is not None else None

    def serves(self) -> str | None:
        """Return the reason if it is no leak (it has ended, or idles in a pool still in use), else None."""
        if self._child not in _present():
            return "it has been waited for meanwhile"
        started_with = _object_of(self._child.pid)
        if started_with is not None:
            holding = Search([started_with]).holding(started_with)
            if holding.module_global is not None and holding.nearest(*_POOLS) is not None:
                return f"an idle worker of a pool that module global {holding.module_global} holds"
        return None

    def leak(self, waited_seconds: float) -> Leak:
        """Describe it as a leak."""
        started_with = _object_of(self._child.pid)
        note = note_of(started_with)
        holding = Search([started_with]).holding(started_with) if started_with is not None else None
        return Leak(
            kind=self.kind,
            name=_name(self._child.pid, started_with),
            fix=_fix(started_with, holding),
            started_at=str(note.place) if note is not None else None,
            start_stack=tuple(map(str, note.stack)) if note is not None else (),
            blocked_on=_state(self._child.pid),
            holders=holding.holders if holding is not None else (),
            waited_seconds=waited_seconds,
            scope=note.scope if note is not None else None,
            identity=self.identity,
        )


def _present() -> list[Child]:
    return children() if KERNEL_CAN_BE_ASKED else [Child(pid) for pid in _pids_of_objects()]


# -- the objects they were started with


def _pids_of_objects() -> Iterator[int]:
    """Yield the children that are known to be there, where the kernel cannot be asked."""
    for thing in _known_objects():
        if getattr(thing, "returncode", None) is None and (pid := _pid_of(thing)) is not None:
            yield pid


def _known_objects() -> Iterator[Any]:
    """Yield Popen and Process objects, those that can be found without a look at the whole heap."""
    yield from (thing for reference in notes.keyrefs() if _is_process(thing := reference()))
    yield from list(getattr(sys.modules.get("subprocess"), "_active", None) or ())  # dropped while they ran
    yield from list(getattr(sys.modules.get("multiprocessing.process"), "_children", ()))


def _noted_object(pid: int) -> Any | None:
    return next((thing for thing in _known_objects() if _pid_of(thing) == pid), None)


def _object_of(pid: int) -> Any | None:
    """Return the Popen or Process object of that child, if there is one. Looks at the whole heap if it must."""
    noted = _noted_object(pid)
    if noted is not None:
        return noted
    return next((thing for thing in instances_of(_POPEN, _PROCESS) if _pid_of(thing) == pid), None)


def _is_process(thing: object) -> bool:
    return is_called(thing, _POPEN, _PROCESS)


def _pid_of(thing: Any) -> int | None:
    # A Process keeps the number in the object that started it, a Popen in itself.
    pid = getattr(getattr(thing, "_popen", thing), "pid", None)
    return pid if isinstance(pid, int) else None


# -- in words


def _name(pid: int, started_with: Any | None) -> str:
    if started_with is not None and hasattr(started_with, "_popen"):
        return f"{type(started_with).__name__} {started_with.name!r}"
    given = getattr(started_with, "args", None)
    if given is None:
        return _command(pid)
    if isinstance(given, str):  # for a shell
        return masked_line(given)
    return masked_command(map(os.fsdecode, [given] if isinstance(given, bytes | os.PathLike) else given))


def _command(pid: int) -> str:
    try:
        arguments = _PROC.joinpath(str(pid), "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        program = _PROC.joinpath(str(pid), "comm").read_text(errors="replace").strip()
    except OSError:
        return f"process {pid}"
    # A zombie has lost its arguments.
    return masked_command(map(os.fsdecode, arguments)) if any(arguments) else f"{program} (process {pid})"


def _state(pid: int) -> str:
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (AttributeError, ChildProcessError):
        return "not waited for"
    if ended is None:
        return "not waited for: still running"
    if ended.si_code == os.CLD_EXITED:
        return f"not waited for: exited with {ended.si_status}, a zombie"
    return f"not waited for: killed by {_signal_name(ended.si_status)}, a zombie"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _fix(started_with: Any | None, holding: Holding | None) -> str:
    if started_with is None or holding is None:
        return (
            "nothing in this process stands for it: wait for it with os.waitpid(), after os.fork() or os.posix_spawn()"
        )
    pool = holding.nearest(*_POOLS)
    if pool is not None:
        name = type(pool).__name__
        how = "shut the executor down" if name.endswith("Executor") else "close() and join() the pool"
        return f"a worker of a {name} that goes on: {how}, best by `with {name}(...)`"
    if hasattr(started_with, "_popen"):
        return "join() it, and terminate() it before if it does not end by itself"
    if holding.nearest(_ASYNCIO_TRANSPORT) is not None:
        return "`await process.wait()`, and terminate() it before if it does not end by itself"
    return "wait() for it, or use `with Popen(...)`; terminate() or kill() it before if it does not end by itself"
