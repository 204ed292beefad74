"""Find out what a blocked thread waits for, from the functions it is in.

If a waiting function of the standard library is written in Python, its variables hold the object. If it is written in C
(``lock.acquire()``, ``SimpleQueue.get()``), it shows as an instruction of the function that called it, whose operands
``stack`` works out.
"""

from __future__ import annotations

import _queue
import _thread
import concurrent.futures._base
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinMethodType, CodeType, FrameType, ModuleType
from typing import Any

from penstock.core import _parking
from penstock.leaks._looking.frames import MISSING, resolve, variables
from penstock.leaks._looking.stack import CallSite, call_site

__all__ = ["Wait", "wait_of"]


@dataclass(frozen=True, slots=True)
class Wait:
    """What a thread waits in.

    Attributes:
        operation: such as ``queue.Queue.get``.
        subject: the object a user knows: the queue, event, future, thread, channel. None when that is unknown.
        primitive: the lock or C queue whose release alone ends the wait; the thread, for a join. None when it is
            not known, or when something outside the process may end the wait.
        timed: whether a timeout will end it. None: cannot be told.
        depth: how many of the innermost functions belong to the operation.
    """

    operation: str
    subject: Any = None
    primitive: Any = None
    timed: bool | None = False
    depth: int = 0

    @property
    def is_for_good(self) -> bool:
        """Whether only somebody else in this process can end it."""
        return self.primitive is not None and self.timed is False


_LOCK = type(_thread.allocate_lock())
_RLOCK = type(_thread.RLock())
_HANDLE: type | None = getattr(_thread, "_ThreadHandle", None)


def wait_of(frames: Sequence[FrameType]) -> Wait | None:
    """Return what the thread with these functions, innermost first, waits in; None when it runs or is not known."""
    if not frames:
        return None
    innermost = _in_c(frames[0])
    if innermost is None:
        return None
    return _named_after_caller(innermost, frames)


# -- the innermost function: which call of C it is in


def _in_c(frame: FrameType) -> Wait | None:
    code = frame.f_code
    values = variables(frame)
    if code is _JOIN_CODE:
        return _join(values)
    site = call_site(code, frame.f_lasti)
    if site is None:
        return _unresolved(frame, values)
    function = resolve(site.function, frame, values)
    receiver = resolve(site.receiver, frame, values)
    if site.instruction == "BEFORE_WITH":
        return _lock_wait(receiver, timed=False) if isinstance(receiver, _LOCK | _RLOCK) else None
    if receiver is MISSING:
        receiver = function.__self__ if isinstance(function, BuiltinMethodType) else MISSING
    name = getattr(function, "__name__", "")
    if isinstance(receiver, _LOCK | _RLOCK) and name in ("acquire", "__enter__"):
        return _lock_wait(receiver, timed=_is_timed(site, frame, values, ("blocking", "timeout"), forever=-1))
    if isinstance(receiver, _queue.SimpleQueue) and name == "get":
        timed = _is_timed(site, frame, values, ("block", "timeout"), forever=None)
        return Wait("queue.SimpleQueue.get", receiver, receiver if receiver.empty() else None, timed, 1)
    if function is time.sleep:
        return Wait("time.sleep", timed=True, depth=1)
    if isinstance(receiver, socket.socket) or type(receiver).__name__ == "_SSLSocket":
        return _socket_wait(receiver, name)
    return _unresolved(frame, values, name, receiver)


def _lock_wait(lock: Any, *, timed: bool | None) -> Wait:
    kind = "RLock" if isinstance(lock, _RLOCK) else "Lock"
    return Wait(f"threading.{kind}.acquire", lock, lock if _is_locked(lock) else None, timed, 1)


def _is_locked(lock: Any) -> bool:
    # An RLock tells with locked() only from 3.14 on; before, its repr begins with the word.
    return bool(lock.locked()) if hasattr(lock, "locked") else repr(lock).startswith("<locked")


def _is_timed(
    site: CallSite, frame: FrameType, values: Mapping[str, Any], parameters: tuple[str, str], *, forever: object
) -> bool | None:
    """Whether an ``acquire(blocking, timeout)`` or ``get(block, timeout)`` has a timeout; None if unknown."""
    given = _arguments(site, frame, values, parameters)
    if given is None:
        return None
    blocking, timeout = given.get(parameters[0], True), given.get(parameters[1], forever)
    if MISSING in (blocking, timeout):
        return None
    return not blocking or timeout != forever


def _arguments(
    site: CallSite, frame: FrameType, values: Mapping[str, Any], parameters: tuple[str, str]
) -> dict[str, Any] | None:
    """Return the arguments of the call by name, MISSING for those whose value is not known; None if none are."""
    if site.arguments is None:
        spread = resolve(site.spread, frame, values)
        named = resolve(site.merged, frame, values) if site.merged is not None else {}
        if not isinstance(spread, tuple) or not isinstance(named, dict):
            return None
        return dict(zip(parameters, spread, strict=False)) | named
    arguments = [resolve(slot, frame, values) for slot in site.arguments]
    positional = len(arguments) - len(site.keywords)
    return dict(zip(parameters, arguments[:positional], strict=False)) | dict(
        zip(site.keywords, arguments[positional:], strict=True)
    )


def _socket_wait(receiver: Any, name: str) -> Wait | None:
    timeout = receiver.gettimeout() if isinstance(receiver, socket.socket) else None
    return Wait(f"socket.socket.{name}", receiver, None, timed=timeout is not None, depth=1)


def _unresolved(frame: FrameType, values: dict[str, Any], name: str = "", receiver: object = MISSING) -> Wait | None:
    module = frame.f_globals.get("__name__") or ""
    if module == "selectors":
        timeout = values.get("timeout")  # epoll's "for ever" is -1
        return Wait("select", values.get("self"), None, timed=timeout is not None and timeout >= 0, depth=1)
    if module == "subprocess":
        return Wait("subprocess.Popen.wait", values.get("self"), None, timed=values.get("timeout") is not None, depth=1)
    if name in ("select", "poll", "epoll_wait", "recv", "recv_into", "accept", "read", "readinto", "readline", "wait"):
        subject = None if receiver is MISSING or isinstance(receiver, ModuleType) else receiver
        return Wait(name, subject, None, timed=None, depth=1)
    return None


# -- Thread.join


_JOIN_CODE: CodeType = (
    threading.Thread.join.__code__ if sys.version_info >= (3, 13) else threading.Thread._wait_for_tstate_lock.__code__  # type: ignore[attr-defined]
)


def _join(values: dict[str, Any]) -> Wait | None:
    thread = values.get("self")
    if not isinstance(thread, threading.Thread) or not thread.is_alive():
        return None
    timeout = values.get("timeout")
    timed = (timeout is not None) if sys.version_info >= (3, 13) else (timeout != -1 or not values.get("block", True))
    return Wait("threading.Thread.join", thread, thread, timed, 1)


# -- the functions around it: what the user called

Renamed = tuple[str, Callable[[dict[str, Any]], Any]]


def _self(values: dict[str, Any]) -> Any:
    return values.get("self")


def _methods(*methods: tuple[Any, str]) -> dict[CodeType, Renamed]:
    return {function.__code__: (name, _self) for function, name in methods if hasattr(function, "__code__")}


_OPERATIONS: dict[CodeType, Renamed] = _methods(
    (threading.Condition.wait, "threading.Condition.wait"),
    (threading.Condition.wait_for, "threading.Condition.wait_for"),
    (threading.Condition.__enter__, "threading.Condition.acquire"),
    (threading.Event.wait, "threading.Event.wait"),
    (threading.Semaphore.acquire, "threading.Semaphore.acquire"),
    (threading.Barrier.wait, "threading.Barrier.wait"),
    (threading.Barrier._enter, "threading.Barrier.wait"),  # type: ignore[attr-defined]
    (threading.Barrier._wait, "threading.Barrier.wait"),  # type: ignore[attr-defined]
    (threading.Thread.join, "threading.Thread.join"),
    (queue.Queue.get, "queue.Queue.get"),
    (queue.Queue.put, "queue.Queue.put"),
    (queue.Queue.join, "queue.Queue.join"),
    (concurrent.futures._base.Future.result, "concurrent.futures.Future.result"),
    (concurrent.futures._base.Future.exception, "concurrent.futures.Future.exception"),
) | {
    concurrent.futures.wait.__code__: ("concurrent.futures.wait", lambda values: values.get("waiter")),
    concurrent.futures.as_completed.__code__: ("concurrent.futures.as_completed", lambda values: values.get("waiter")),
    _parking.ThreadWaiter._acquire.__code__: ("penstock wait", _self),
    _parking.ThreadWaiter.park.__code__: ("penstock wait", _self),
}


def _named_after_caller(wait: Wait, frames: Sequence[FrameType]) -> Wait:
    """Walk outwards while the functions are the standard library's own ways of waiting, or penstock's."""
    operation, subject, depth = wait.operation, wait.subject, wait.depth
    for i, frame in enumerate(frames):
        known = _OPERATIONS.get(frame.f_code)
        if known is not None:
            operation, find_subject = known
            subject, depth = find_subject(variables(frame)), i + 1
        elif _is_penstock(frame):
            name, found = _penstock_operation(frame)
            if name is not None:
                operation, subject = name, found
            depth = i + 1
        elif i >= 1 or depth == 0 or frame.f_code is not _JOIN_CODE:
            break
    return Wait(_public_name(operation, subject), subject, wait.primitive, wait.timed, depth)


def _public_name(operation: str, subject: object) -> str:
    """Name the operation after the class of its object, where that is a subclass of the standard library's."""
    module = operation.partition(".")[0]
    if module in ("queue", "threading") and type(subject).__name__ in _SUBCLASSES:
        return f"{module}.{type(subject).__name__}.{operation.rpartition('.')[2]}"
    return operation


_SUBCLASSES = frozenset({"BoundedSemaphore", "LifoQueue", "PriorityQueue"})


def _is_penstock(frame: FrameType) -> bool:
    return (frame.f_globals.get("__name__") or "").startswith("penstock.core.")


def _penstock_operation(frame: FrameType) -> tuple[str | None, Any]:
    """Return the public method of penstock this is, such as ``ReceiveChannel.receive``, and its object."""
    owner, _, method = frame.f_code.co_qualname.rpartition(".")
    if not owner and method in _PENSTOCK_FUNCTIONS:
        return f"penstock.{method}", None
    if not owner or owner.startswith("_") or (method.startswith("_") and not method.startswith("__")):
        return None, None
    values = variables(frame)
    subject = values.get("self")
    if owner not in _PENSTOCK_CLASSES or subject is None:
        return None, None
    name = {"__next__": "receive", "__exit__": "__exit__"}.get(method, method)
    return f"penstock.{owner}.{name}", subject


_PENSTOCK_FUNCTIONS = frozenset({"gather", "select", "sleep"})
_PENSTOCK_CLASSES = frozenset(
    {"Future", "PipeReader", "PipeWriter", "ReceiveChannel", "SendChannel", "TaskGroup", "WorkerPool"}
)
