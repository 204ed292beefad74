"""Describe in words what a thread waits on, and the likely remedy in one sentence."""

from __future__ import annotations

import threading
from typing import Any

from penstock.leaks._looking.waits import Wait

__all__ = ["describe_wait", "fix_for_thread", "open_ends", "origin_of"]

_FIXES = {
    "queue.SimpleQueue.get": "nobody puts into this queue any more: put a sentinel for every reader when you are done",
    "get": "nobody puts into this queue any more: put one sentinel per reader when you are done, or call "
    "queue.shutdown() (Python 3.13)",
    "put": "the queue is full and nobody takes from it any more: let the reader drain it before it leaves, or give "
    "the queue room for what may be left (an early return or a timeout in the reader is the usual cause)",
    "queue.Queue.join": "an item was taken without task_done(): call it in a `finally:` for every get()",
    "threading.Event.wait": "nobody sets this event any more: set() it on every way out, in a `finally:`",
    "threading.Condition.wait": "nobody notifies this condition any more: notify_all() after every change and on "
    "every way out, and wait in a loop that looks at the state first",
    "threading.Condition.wait_for": "nobody notifies this condition any more: notify_all() after every change and on "
    "every way out",
    "threading.Semaphore.acquire": "a permit was not released: use `with semaphore:`",
    "threading.BoundedSemaphore.acquire": "a permit was not released: use `with semaphore:`",
    "threading.Barrier.wait": "not all parties come: give Barrier the number that do, and abort() it when one fails",
    "threading.Lock.acquire": "whoever holds this lock never releases it: use `with lock:`, do not take it twice in "
    "one thread, and take several locks in the same order everywhere",
    "threading.RLock.acquire": "whoever holds this lock never releases it: use `with lock:`, and take several locks "
    "in the same order everywhere",
    "threading.Thread.join": "the thread it joins never ends: end that one first, and join with a timeout",
    "concurrent.futures": "nobody completes this future: set its result or exception on every way out, do not wait "
    "inside a pool for a job of the same pool, and pass a timeout",
    "penstock.ReceiveChannel": "its senders are open and nobody uses them any more: close every send end, best with "
    "`with sender:`",
    "penstock.SendChannel": "its receivers are open and nobody uses them any more: close every receive end, best with "
    "`with receiver:`",
    "penstock.PipeReader": "its write end is open and nobody uses it any more: close it, best with `with writer:`",
    "penstock.PipeWriter": "its read end is open and nobody uses it any more: close it, best with `with reader:`",
    "penstock.select": "the senders of its channels are open and nobody uses them any more: close every send end, best "
    "with `with sender:`",
    "penstock.Future": "nobody completes this future: wait with a timeout, or under a CancelScope",
    "penstock.WorkerPool": "the pool is full and its jobs do not end: see what they wait on",
    "socket.socket.accept": "close the listening socket (server_close()) and join this thread",
    "socket.socket": "shut the socket down and close it, or set a timeout, and join this thread",
    "select": "stop the loop that runs in this thread (shutdown(), loop.call_soon_threadsafe(loop.stop)), and join it",
    "subprocess.Popen.wait": "the child process does not end: terminate() it, or wait with a timeout",
}


def describe_wait(wait: Wait) -> str:
    """Return the operation and its object, such as ``queue.Queue.get() on <Queue at 0x7f...>``."""
    call = f"{wait.operation}()"
    subject = _subject(wait.subject)
    timeout = ", with a timeout" if wait.timed else ""
    return f"{call} on {subject}{timeout}" if subject else f"{call}{timeout}"


def _subject(subject: Any) -> str:
    """Name an object without its repr, which may hold what is nobody's business."""
    if subject is None:
        return ""
    if isinstance(subject, threading.Thread):
        return f"thread {subject.name!r}"
    state = getattr(subject, "_state", None)
    label = getattr(state, "label", None)
    if callable(label) and type(subject).__module__.startswith("penstock."):
        return str(label())
    return f"<{type(subject).__name__} at {id(subject):#x}>"


def fix_for_thread(wait: Wait | None, thread: threading.Thread | None) -> str:
    """Return the likely remedy for a thread in ``wait``."""
    if wait is None:
        return "tell it to stop, and join() it before the scope it belongs to ends"
    if wait.timed:
        how = "" if thread is None or thread.daemon else " (it is no daemon, so the interpreter waits for it)"
        return f"it wakes by itself, but nobody waits for that: tell it to stop, and join() it{how}"
    operation = wait.operation
    while operation:
        if operation in _FIXES:
            return _FIXES[operation]
        operation = operation.rpartition(".")[0]
    last = wait.operation.rpartition(".")[2]
    return _FIXES.get(last, "wake it, or give the wait a timeout, and join() the thread")


def open_ends(wait: Wait | None) -> int | None:
    """Return how many other ends of the pipe or channel it waits on are open."""
    if wait is None or not wait.operation.startswith("penstock."):
        return None
    state = getattr(wait.subject, "_state", None)
    if state is None:
        return None
    if wait.operation.startswith("penstock.ReceiveChannel"):
        return len(state.send_ends)
    if wait.operation.startswith("penstock.SendChannel"):
        return len(state.receive_ends)
    outcome = "write_outcome" if wait.operation.startswith("penstock.PipeReader") else "read_outcome"
    return int(getattr(state, outcome, None) is None) if hasattr(state, outcome) else None


def origin_of(wait: Wait | None) -> str | None:
    """Return where penstock's own object was made, which it remembers itself."""
    origin = getattr(getattr(getattr(wait, "subject", None), "_state", None), "origin", None)
    return str(origin) if origin is not None else None
