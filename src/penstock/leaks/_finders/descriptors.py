"""Find file descriptors and sockets that were opened and not closed.

The system lists what is open. A descriptor is identified by its number and the file behind it, so a number that was
closed and reused counts as new. Which object a descriptor belongs to is looked up only when the grace is over, for all at
once, because that takes a search of the whole heap.
"""

from __future__ import annotations

import gc
import os
import stat
import sys
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.leaks._finders.belongings import event_loop_of, pool_of, processes_of, remedy_for, servant_of
from penstock.leaks._finders.descriptor_names import LISTING, descriptor_name, is_socket
from penstock.leaks._finders.owners import owners_of
from penstock.leaks._finders.resource_kinds import fix_for, is_open
from penstock.leaks._looking.holders import Holding, Search
from penstock.leaks._noting.origins import Note, note_of, notes
from penstock.leaks._noting.raw_descriptors import Key, key_of, note_opened, note_openings
from penstock.leaks._report.model import Kind, Leak
from penstock.leaks._straggler import Straggler

__all__ = ["DescriptorFinder", "DescriptorStraggler"]


class DescriptorFinder:
    """Finds open descriptors. Without a snapshot, those opened since this module was imported."""

    def baseline(self) -> frozenset[Key]:
        """Return the keys of the descriptors that are open."""
        note_openings()
        return frozenset(_open_descriptors())

    def stragglers(self, since: frozenset[Key] | None) -> list[DescriptorStraggler]:
        """Return those that were not open then."""
        before = since if since is not None else _AT_IMPORT
        left = [key for key in _open_descriptors() if key not in before]
        scene = _Scene(left, were_noted=since is not None)
        return [DescriptorStraggler(key, scene) for key in left]


class DescriptorStraggler(Straggler):
    """An open descriptor."""

    __slots__ = ("_key", "_scene", "kind")

    kind: Kind

    def __init__(self, key: Key, scene: _Scene) -> None:
        self._key = key
        self._scene = scene
        self.kind = "socket" if is_socket(_mode(key)) else "fd"

    @property
    def identity(self) -> Hashable:
        """Its number, and what is behind it."""
        return ("fd", *self._key)

    @property
    def name(self) -> str:
        """The path of a file, the addresses of a socket."""
        return descriptor_name(self._key[0])

    def created_by(self) -> str | None:
        """Return the function that made the socket or, without a Python object, the descriptor, if that was noted."""
        note = note_opened(self._key)
        if note is not None:
            return note.place.function
        if self.kind == "socket":
            for reference in notes.keyrefs():
                thing = reference()
                fileno = getattr(thing, "fileno", None)
                if type(thing).__name__.endswith("socket") and fileno is not None and fileno() == self._key[0]:
                    note = note_of(thing)
                    return note.place.function if note is not None else None
        return None

    def serves(self) -> str | None:
        """Return the reason if it may be open without being a leak, else None."""
        return self._scene.about(self._key).in_order

    def leak(self, waited_seconds: float) -> Leak:
        """Describe it as a leak."""
        about = self._scene.about(self._key)
        note = about.note
        return Leak(
            kind="fd" if about.loop is not None else self.kind,
            name=about.loop or self.name,
            fix=about.fix,
            started_at=str(note.place) if note is not None else about.allocated_at,
            start_stack=tuple(map(str, note.stack)) if note is not None else (),
            holders=about.holders,
            waited_seconds=waited_seconds,
            scope=note.scope if note is not None else None,
            identity=self.identity,
        )

    def covered_by(self, others: Sequence[Leak]) -> bool:
        """Whether the process, response or cursor it belongs to is reported itself."""
        parts = self._scene.about(self._key).part_of
        return any(isinstance(leak.identity, tuple) and leak.identity[:2] in parts for leak in others)


@dataclass(slots=True)
class _About:
    """What was found out about one descriptor.

    Attributes:
        in_order: the reason if it is no leak, else None.
        fix: the likely remedy.
        loop: a name if it belongs to an event loop, the same for all descriptors of that loop.
        part_of: the first two parts of the identities of leaks that point at the same mistake.
    """

    in_order: str | None = None
    fix: str = ""
    loop: str | None = None
    note: Note | None = None
    allocated_at: str | None = None
    holders: tuple[str, ...] = ()
    part_of: frozenset[tuple[Hashable, ...]] = field(default_factory=frozenset)


class _Scene:
    """The descriptors that are left, examined together, once. Keeps none of the objects they belong to."""

    __slots__ = ("_abouts", "_left", "_loops", "_were_noted")

    def __init__(self, left: Sequence[Key], *, were_noted: bool) -> None:
        self._left = left
        self._were_noted = were_noted
        self._abouts: dict[Key, _About] | None = None
        self._loops: set[int] = set()

    def about(self, key: Key) -> _About:
        """Return what was found out about one of them."""
        if self._abouts is None:
            gc.collect()  # garbage is about to close its descriptors anyway
            self._abouts = self._look()
        return self._abouts[key]

    def _look(self) -> dict[Key, _About]:
        owners = owners_of(key[0] for key in self._left)
        search = Search(owner for found in owners.values() for owner in found)
        return {key: self._judge(key, owners[key[0]], search) for key in self._left}

    def _judge(self, key: Key, owners: Sequence[Any], search: Search) -> _About:
        if key_of(key[0]) != key:
            return _About(in_order="it has been closed meanwhile")
        if not owners:
            return _without_owner(key, were_noted=self._were_noted)
        # Several: it is not known which of them it belongs to. If it may be one that is in order, it is.
        abouts = [self._judge_owned(key, owner, search.holding(owner)) for owner in owners]
        return next((about for about in abouts if about.in_order), abouts[0])

    def _judge_owned(self, key: Key, owner: Any, holding: Holding) -> _About:
        about = _About(
            holders=holding.holders, note=note_of(owner) or note_opened(key), allocated_at=_allocated_at(owner)
        )
        about.fix = _fix(key, holding)
        about.part_of = frozenset(_leaks_it_may_be_part_of(holding))
        loop = event_loop_of(owner, holding)
        if loop is not None:
            about.in_order = self._loop_in_order(loop)
            about.loop, about.fix = (
                "event loop",
                "close the event loop: asyncio.run() does, and `with asyncio.Runner()`",
            )
            about.note = note_of(loop)
            self._loops.add(id(loop))
        pool = pool_of(holding)
        if about.in_order is None:
            about.in_order = servant_of(holding)
        if about.in_order is None and pool is not None:
            about.in_order = f"an idle connection in a pool, {pool}"
        if about.in_order is None and holding.module_global is not None:
            about.in_order = f"module global {holding.module_global} can still use it"
        if about.in_order is None and not holding.complete and not holding.holders:
            about.in_order = "too much refers to it, or some of the heap is frozen: who holds it cannot be told"
        return about

    def _loop_in_order(self, loop: Any) -> str | None:
        if loop.is_running():
            return "the own descriptor of an event loop that runs"
        return "told of with another descriptor of the same event loop" if id(loop) in self._loops else None


def _without_owner(key: Key, *, were_noted: bool) -> _About:
    """Judge a descriptor that no Python object owns. ``were_noted``: whether openings were being recorded then."""
    mode, note = _mode(key), note_opened(key)
    if note is not None:
        fix = f"no Python object owns it: os.close() it in a `finally:`, or wrap it at once: {_wrapping(mode)}"
        return _About(fix=fix, note=note)
    if stat.S_ISDIR(mode):
        return _About(fix="if a loop over os.scandir() was left early: `with os.scandir(...) as entries:`")
    if were_noted or is_socket(mode) or not stat.S_IFMT(mode):
        return _About(in_order="Python code has not opened it: a library in C looks after its descriptors itself")
    opened = "os.pipe()" if stat.S_ISFIFO(mode) else "os.open()"
    fix = f"no Python object owns it, as after {opened}: os.close() it in a `finally:`, or wrap it: {_wrapping(mode)}"
    return _About(fix=fix)


def _wrapping(mode: int) -> str:
    if is_socket(mode):
        return "`with socket.socket(fileno=descriptor):`"
    return "`with os.fdopen(descriptor) as file:`"


def _leaks_it_may_be_part_of(holding: Holding) -> Iterator[tuple[Hashable, ...]]:
    for pid in processes_of(holding):
        yield "process", pid
    for thing in holding.chain:
        yield "response", id(thing)
        yield "cursor", id(thing)


def _fix(key: Key, holding: Holding) -> str:
    for thing in holding.chain:
        if is_open(thing):
            return fix_for(thing)
    remedy = remedy_for(holding) or _plain_remedy(key)
    by_generator = bool(holding.holders) and holding.holders[0].startswith("suspended generator")
    if by_generator and holding.nearest("contextlib._GeneratorContextManager") is None:
        return f"close() the generator that holds it, or read it to its end; and {remedy}"
    return remedy


def _plain_remedy(key: Key) -> str:
    if descriptor_name(key[0]).startswith("listening"):
        return "close the listening socket: `with socket.create_server(...) as server:`"
    if is_socket(_mode(key)):
        return "close the socket: `with` around it, or `contextlib.closing`"
    return "close the file: `with open(...) as file:`"


def _allocated_at(owner: object) -> str | None:
    """Return where the object was made, if the program traces allocations; outside the standard library if known."""
    tracemalloc = sys.modules.get("tracemalloc")
    traceback = tracemalloc.get_object_traceback(owner) if tracemalloc is not None else None
    if not traceback:
        return None
    frames = [frame for frame in traceback if not frame.filename.startswith(_STANDARD_LIBRARY)] or traceback
    return f"{frames[-1].filename}:{frames[-1].lineno}"


_STANDARD_LIBRARY = f"{Path(os.__file__).parent}/"


# -- what is open


# They are there from the beginning, and never opened: only turned elsewhere, by a shell or by what captures output.
_STANDARD_STREAMS = frozenset({0, 1, 2})


def _open_descriptors() -> list[Key]:
    if LISTING is None:
        return []
    # Not with pathlib: that takes longer than all the rest.
    keys = [key_of(int(number)) for number in os.listdir(LISTING)]  # noqa: PTH208
    return [key for key in keys if key is not None and key[0] not in _STANDARD_STREAMS]


def _mode(key: Key) -> int:
    """Return the ``st_mode`` of an open descriptor; 0, which is no kind of file, if it is closed or was given out."""
    try:
        return os.fstat(key[0]).st_mode
    except OSError:
        return 0


_AT_IMPORT = frozenset(_open_descriptors())
