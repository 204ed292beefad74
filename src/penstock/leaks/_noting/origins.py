"""Record where threads, tasks, queues and so on were started or made, and by which test; ``trace_starts()``.

Nothing in the standard library says afterwards where a thread was started or a queue was made. So while a snapshot is
alive, or ``trace_starts()`` is on, the methods that start threads, tasks and processes, and those that make queues,
events and the like, are wrapped and record the line that called them: about a microsecond each. Once installed the
wrappers stay, since others may have wrapped them in turn; while nobody watches they only call the original.

The records refer to things weakly, so they keep nothing alive.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from time import monotonic
from types import CodeType, FrameType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from penstock.leaks._noting.targets import MAKERS, RESOURCES, STARTERS, Target

__all__ = [
    "Note",
    "OwnWeakSet",
    "Place",
    "current_scope",
    "note_of",
    "note_starts",
    "notes",
    "own_weak_sets",
    "place_of",
    "resources",
    "trace_starts",
    "watched",
]

_MAX_STACK = 30

# Modules that start or make things on behalf of their callers; the place noted is the caller's.
_GO_BETWEENS = frozenset(
    {"anyio", "asyncio", "concurrent", "contextlib", "functools", "multiprocessing", "penstock", "queue", "selectors"}
    | {"socket", "socketserver", "subprocess", "tempfile", "threading", "trio"}
    | {"aiohttp", "http", "httpcore", "httpx", "psycopg", "psycopg_pool", "pymongo", "requests", "urllib", "urllib3"}
)

# Modules whose objects contain other objects that are noted too.
_MADE_OF_PARTS = frozenset({"concurrent.futures._base", "queue", "threading"})

#: The test, or other owner, of everything started now. Threads and tasks inherit it from their starter.
current_scope: ContextVar[str | None] = ContextVar("penstock_leak_scope", default=None)


class Place:
    """A line of code. The line number is computed only on demand, as places are noted often and read rarely."""

    __slots__ = ("_offset", "code", "module")

    def __init__(self, code: CodeType, offset: int, module: str) -> None:
        self.code = code
        self._offset = offset
        self.module = module

    @property
    def line(self) -> int:
        """The line number."""
        lines = (line for begin, end, line in self.code.co_lines() if begin <= self._offset < end)
        return next(lines, None) or self.code.co_firstlineno

    @property
    def function(self) -> str:
        """The function, as ``module.qualified_name``."""
        return f"{self.module}.{self.code.co_qualname}"

    def __str__(self) -> str:
        return f"{self.code.co_filename}:{self.line} in {self.code.co_qualname}"


class Note:
    """The record made when something was started or made.

    Attributes:
        place: the line of user code that did it.
        scope: the value of ``current_scope``.
        at: when that was, on the monotonic clock.
    """

    __slots__ = ("_stack", "at", "place", "scope")

    def __init__(self, place: Place, stack: list[tuple[CodeType, int]], scope: str | None) -> None:
        self.place = place
        self._stack = stack
        self.scope = scope
        self.at = monotonic()

    @property
    def stack(self) -> tuple[Place, ...]:
        """The calls that led there, outermost first; empty unless ``trace_starts()`` was on."""
        return tuple(Place(code, offset, "") for code, offset in reversed(self._stack))


class OwnWeakSet(WeakSet[Any]):
    """A weak set of this package's own, known to wake nothing, which proofs therefore ignore. Snapshots consist of these."""

    def __init__(self, things: Iterable[Any] = ()) -> None:
        super().__init__(things)
        _own_weak_sets.add(self)

    # A WeakSet is not hashable, and this one has to be: it is a member of another.
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


def own_weak_sets() -> list[set[Any]]:
    """Return the sets of weak references that the living weak sets of this package consist of."""
    return [own.data for own in list(_own_weak_sets)]  # type: ignore[attr-defined]


notes: WeakKeyDictionary[Any, Note] = WeakKeyDictionary()

#: Cursors, responses and the like that were made while somebody watched and still exist.
resources: WeakKeyDictionary[Any, None] = WeakKeyDictionary()

_own_weak_sets: WeakSet[OwnWeakSet] = WeakSet()
_watchers: dict[int, object] = {}
_tracers: dict[int, object] = {}
_wrapped: set[tuple[str, str]] = set()


def note_of(thing: object) -> Note | None:
    """Return the record for ``thing``, if there is one."""
    try:
        return notes.get(thing)
    except TypeError:  # not hashable, or no weak references to it
        return None


def place_of(frame: FrameType) -> Place:
    """Return the place where ``frame`` is."""
    return Place(frame.f_code, frame.f_lasti, frame.f_globals.get("__name__") or "?")


def watched(owner: object) -> None:
    """Note starts from now on until ``owner`` is gone."""
    key = id(owner)
    _watchers[key] = None
    weakref.finalize(owner, _watchers.pop, key, None).atexit = False
    note_starts()


def note_starts() -> None:
    """Wrap the methods that start and make things, in every module that is loaded by now and was not wrapped before."""
    for target in (*STARTERS, *MAKERS, *RESOURCES):
        if (target.module, target.attribute) not in _wrapped and _is_loaded(target.module):
            _wrapped.add((target.module, target.attribute))
            _wrap(target)


class trace_starts:  # noqa: N801  reads as the call it is
    """From now on, record the whole stack wherever a thread, task or process is started or a primitive is made.

    Costs some microseconds for each. Without it reports know only the line, and only of things started while a
    ``leakcheck()`` runs or a ``snapshot()`` is held. It stays on until :meth:`stop`, or to the end of the block in
    ``with trace_starts():``.
    """

    def __init__(self) -> None:
        _tracers[id(self)] = _watchers[id(self)] = self
        note_starts()

    def stop(self) -> None:
        """Stop recording stacks. Idempotent."""
        _tracers.pop(id(self), None)
        _watchers.pop(id(self), None)

    def __enter__(self) -> trace_starts:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def _is_loaded(name: str) -> bool:
    module = sys.modules.get(name)
    # A module that is being imported, by another thread perhaps, does not have everything yet.
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def _wrap(target: Target) -> None:
    *path, name = target.attribute.split(".")
    owner: Any = sys.modules[target.module]
    for part in path:
        owner = getattr(owner, part, None)
        if owner is None:
            return  # another version of that library; what it makes stays without a note
    original = owner.__dict__.get(name)
    if callable(original):
        note = _note_resource if target in RESOURCES else _note
        setattr(owner, name, (_noting_result if target.returns else _noting_self)(original, note))


def _noting_self(original: Callable[..., Any], note: Callable[[Any], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if _watchers:
            note(self)
        return original(self, *args, **kwargs)

    return wrapper


def _noting_result(original: Callable[..., Any], note: Callable[[Any], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if _watchers:
            note(result)
        return result

    return wrapper


def _note_resource(thing: Any) -> None:
    _note(thing, depth=3)
    resources[thing] = None


def _note(thing: Any, depth: int = 2) -> None:
    frame = sys._getframe(depth)
    if frame.f_globals.get("__name__") in _MADE_OF_PARTS:
        return  # the condition inside an event, the three inside a queue
    while frame.f_back is not None and _goes_between(frame):
        frame = frame.f_back
    try:
        # The innermost maker is the first to be called and the last to note, so the outermost place stands.
        notes[thing] = Note(place_of(frame), _stack_of(frame) if _tracers else [], _scope())
    except TypeError:
        return  # not hashable, or no weak references to it: it stays without a note


def _goes_between(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__") or ""
    return name.partition(".")[0] in _GO_BETWEENS and not name.startswith("penstock.__main__")


def _stack_of(frame: FrameType | None) -> list[tuple[CodeType, int]]:
    """Return where the calls that led here are, innermost first."""
    places: list[tuple[CodeType, int]] = []
    while frame is not None and len(places) < _MAX_STACK:
        places.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return places


def _scope() -> str | None:
    scope = current_scope.get()
    if scope is not None:
        return scope
    # A thread does not inherit context variables (before 3.14), so what a thread starts belongs to whom it belongs.
    threading = sys.modules.get("threading")
    thread = threading._active.get(threading.get_ident()) if threading is not None else None
    note = notes.get(thread) if thread is not None else None
    return note.scope if note is not None else None
