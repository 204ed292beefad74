"""The operations that a task can wait in (of asyncio, trio, AnyIO and penstock), and what to do if one never ends.

They are keyed by the function a waiting task is in, as ``module.qualified_name``. The module is the one in which the
function is defined; users know most of them by a shorter name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["LIBRARIES", "OPERATIONS", "Operation", "operation_of"]

#: Packages whose functions do not tell what a task is for.
LIBRARIES = frozenset({"anyio", "asyncio", "contextlib", "penstock", "trio"})


@dataclass(frozen=True, slots=True)
class Operation:
    """A way to wait.

    Attributes:
        fix: what to do when it never ends, in one sentence.
        call: how users write it; empty: told by the function's name.
        covers: the operations it is made of, which say less than it does.
        serves: this is how a service waits for the next piece of work.
    """

    fix: str
    call: str = ""
    covers: frozenset[str] = frozenset()
    serves: bool = False


_CANCEL = "or cancel the task"
_GET = f"nobody puts into this queue any more: send a sentinel, shut the queue down (Python 3.13) {_CANCEL}"
_PUT = f"nobody takes from this full queue any more: keep a consumer for as long as there is a producer, {_CANCEL}"
_JOIN = "an item of this queue was never followed by task_done(): call it once for every get(), in a finally"
_LOCK = "whoever holds this lock does not release it: hold it in an `async with` only, and not while waiting for others"
_SEMAPHORE = "whoever acquired this does not release it: hold it in an `async with` only"
_EVENT = f"nobody sets this event any more: set it on every way out, {_CANCEL}"
_CONDITION = f"nobody notifies this condition any more: notify it on every way out, {_CANCEL}"
_BARRIER = "a party never came: let every party wait, or abort() the barrier when one fails"
_SLEEP = "it will wake, but it has outlived whoever started it: await it or cancel it before leaving"
_OTHERS = "what it waits for does not end: end or cancel that"
_CHILD = "a child does not end: end it, or cancel the group"
_READ = "the other side sends nothing and has not closed: close the connection, or read under a timeout"
_WRITE = "the other side does not read: close the connection, or write under a timeout"
_SERVER = "the server was never told to stop: cancel this task, or close the server, before leaving"
_CONNECTIONS = "a connection of this server is still open: close it, or leave by a timeout"
_PROCESS = "the process does not end: terminate() it, and then wait for it"
_THREAD = "the function it runs in a thread does not return: make that end"
_RECEIVE = f"no open sender sends any more: close every sender when it is done (`with sender:`), {_CANCEL}"
_SEND = f"no open receiver receives any more: close every receiver when it is done (`with receiver:`), {_CANCEL}"
_PIPE_READ = f"the write end is open and nobody writes: close it when done (`with writer:`), {_CANCEL}"
_PIPE_WRITE = f"the read end is open and nobody reads: close it when done (`with reader:`), {_CANCEL}"

_ASYNCIO_EVENT = "asyncio.locks.Event.wait"
_ASYNCIO_CONDITION = "asyncio.locks.Condition.wait"
_TRIO_EVENT = "trio._sync.Event.wait"
_EVENTS = frozenset(
    {_ASYNCIO_EVENT, _TRIO_EVENT, "anyio._backends._asyncio.Event.wait", "anyio._backends._trio.Event.wait"}
)


def _covering(*operations: str) -> frozenset[str]:
    return frozenset(operations)


def _alike(functions: Iterable[str], operation: Operation) -> dict[str, Operation]:
    return dict.fromkeys(functions, operation)


_ASYNCIO = {
    "asyncio.queues.Queue.get": Operation(_GET, serves=True),
    "asyncio.queues.Queue.put": Operation(_PUT),
    "asyncio.queues.Queue.join": Operation(_JOIN, covers=_covering(_ASYNCIO_EVENT)),
    "asyncio.locks.Lock.acquire": Operation(_LOCK),
    _ASYNCIO_EVENT: Operation(_EVENT, serves=True),
    _ASYNCIO_CONDITION: Operation(_CONDITION, serves=True),
    f"{_ASYNCIO_CONDITION}_for": Operation(_CONDITION, covers=_covering(_ASYNCIO_CONDITION), serves=True),
    "asyncio.locks.Semaphore.acquire": Operation(_SEMAPHORE),
    "asyncio.locks.Barrier.wait": Operation(
        _BARRIER, covers=_covering(_ASYNCIO_CONDITION, f"{_ASYNCIO_CONDITION}_for", "asyncio.locks.Lock.acquire")
    ),
    "asyncio.tasks.sleep": Operation(_SLEEP),
    "asyncio.tasks.wait_for": Operation(_OTHERS),
    "asyncio.tasks._wait": Operation(_OTHERS, "asyncio.wait"),
    "asyncio.tasks.as_completed.<locals>._wait_for_one": Operation(
        _OTHERS, "asyncio.as_completed", _covering("asyncio.queues.Queue.get")
    ),
    "asyncio.tasks._AsCompletedIterator._wait_for_one": Operation(
        _OTHERS, "asyncio.as_completed", _covering("asyncio.queues.Queue.get")
    ),
    "asyncio.taskgroups.TaskGroup.__aexit__": Operation(_CHILD),
    "asyncio.streams.StreamReader.read": Operation(_READ),
    "asyncio.streams.StreamReader.readexactly": Operation(_READ),
    "asyncio.streams.StreamReader.readuntil": Operation(_READ),
    "asyncio.streams.StreamReader.readline": Operation(
        _READ, covers=_covering("asyncio.streams.StreamReader.readuntil")
    ),
    "asyncio.streams.StreamWriter.drain": Operation(_WRITE),
    "asyncio.base_events.Server.serve_forever": Operation(_SERVER),
    "asyncio.base_events.Server.wait_closed": Operation(_CONNECTIONS),
    "asyncio.subprocess.Process.wait": Operation(_PROCESS, "asyncio.subprocess.Process.wait"),
    "asyncio.subprocess.Process.communicate": Operation(_PROCESS, "asyncio.subprocess.Process.communicate"),
    "asyncio.threads.to_thread": Operation(_THREAD),
    **_alike(
        (f"asyncio.selector_events.BaseSelectorEventLoop.sock_{what}" for what in ("accept", "recv", "recv_into")),
        Operation(_READ),
    ),
}

_TRIO = {
    _TRIO_EVENT: Operation(_EVENT, serves=True),
    "trio._sync._LockImpl.acquire": Operation(_LOCK),
    "trio._sync.Semaphore.acquire": Operation(_SEMAPHORE),
    "trio._sync.CapacityLimiter.acquire_on_behalf_of": Operation(_SEMAPHORE, "trio.CapacityLimiter.acquire"),
    "trio._sync.Condition.wait": Operation(_CONDITION, serves=True),
    "trio._channel.MemoryReceiveChannel.receive": Operation(_RECEIVE, serves=True),
    "trio._channel.MemorySendChannel.send": Operation(_SEND),
    "trio._timeouts.sleep_forever": Operation("it sleeps until it is cancelled: cancel its nursery's cancel_scope"),
    "trio._timeouts.sleep_until": Operation(_SLEEP, covers=_covering("trio._timeouts.sleep_forever")),
    "trio._timeouts.sleep": Operation(
        _SLEEP, covers=_covering("trio._timeouts.sleep_forever", "trio._timeouts.sleep_until")
    ),
    "trio._core._run.Nursery._nested_child_finished": Operation(_CHILD, "trio.Nursery.__aexit__"),
    "trio._threads.to_thread_run_sync": Operation(_THREAD, "trio.to_thread.run_sync"),
    "trio._highlevel_socket.SocketStream.receive_some": Operation(_READ),
    "trio._highlevel_socket.SocketListener.accept": Operation(_SERVER),
}

_ANYIO = {
    **_alike(
        ("anyio._backends._asyncio.Event.wait", "anyio._backends._trio.Event.wait"),
        Operation(_EVENT, "anyio.Event.wait", _covering(_ASYNCIO_EVENT, _TRIO_EVENT), serves=True),
    ),
    "anyio.streams.memory.MemoryObjectReceiveStream.receive": Operation(
        _RECEIVE, "anyio.MemoryObjectReceiveStream.receive", _EVENTS, serves=True
    ),
    "anyio.streams.memory.MemoryObjectSendStream.send": Operation(_SEND, "anyio.MemoryObjectSendStream.send", _EVENTS),
    "anyio._backends._asyncio.Lock.acquire": Operation(_LOCK, "anyio.Lock.acquire"),
    "anyio._backends._asyncio.Semaphore.acquire": Operation(_SEMAPHORE, "anyio.Semaphore.acquire"),
    "anyio._backends._asyncio.CapacityLimiter.acquire_on_behalf_of": Operation(
        _SEMAPHORE, "anyio.CapacityLimiter.acquire", _covering(_ASYNCIO_EVENT)
    ),
    "anyio._backends._asyncio.TaskGroup.__aexit__": Operation(_CHILD),
    "anyio._backends._asyncio.AsyncIOBackend.run_sync_in_worker_thread": Operation(_THREAD, "anyio.to_thread.run_sync"),
}

_PENSTOCK = {
    "penstock.core.channel._aio.AsyncReceiveChannel.receive": Operation(_RECEIVE, covers=_EVENTS, serves=True),
    "penstock.core.channel._aio.AsyncSendChannel.send": Operation(_SEND, covers=_EVENTS),
    "penstock.core.pipe._aio.AsyncPipeReader.receive": Operation(_PIPE_READ, covers=_EVENTS),
    "penstock.core.pipe._aio.AsyncPipeWriter.send": Operation(_PIPE_WRITE, covers=_EVENTS),
}

OPERATIONS: dict[str, Operation] = {**_ASYNCIO, **_TRIO, **_ANYIO, **_PENSTOCK}


def operation_of(functions: Iterable[str]) -> tuple[int, Operation] | None:
    """Return the operation that the innermost of ``functions`` belong to, and which of them it is.

    Walks outwards through functions of ``LIBRARIES``, as one operation is often made of others.
    """
    found: tuple[int, Operation] | None = None
    made_of = ""
    for index, function in enumerate(functions):
        operation = OPERATIONS.get(function)
        if operation is not None:
            if found is not None and made_of not in operation.covers:
                break
            found, made_of = (index, operation), function
        elif function.partition(".")[0] not in LIBRARIES:
            break
    return found
