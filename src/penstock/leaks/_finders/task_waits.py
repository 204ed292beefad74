"""Find out what a suspended task waits for: the operation, the object, where it was made, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import CellType, FunctionType
from typing import Any

from penstock.leaks._finders.task_operations import LIBRARIES, Operation, operation_of
from penstock.leaks._looking.awaiting import Step, held_by, instance_in
from penstock.leaks._noting.origins import note_of

__all__ = ["TaskWait", "task_wait_of"]

_MOST_NAMED = 3

_FUTURE_FIX = "nobody resolves this future any more: set its result or exception on every way out, or cancel the task"
_TASK_FIX = "the task it waits for does not end: end or cancel that one"
_THREAD_FIX = "the call in the executor does not return: make it end, or give up on it with asyncio.timeout()"


@dataclass(frozen=True, slots=True)
class TaskWait:
    """What a task waits for.

    Attributes:
        on: the operation and the object, for people.
        fix: what to do about it, in one sentence.
        created_at: where the object was made.
        open_ends: how many other ends it has that are open, of pipes and channels.
        serves: whether it is how a service waits for its next piece of work.
    """

    on: str
    fix: str
    created_at: str | None = None
    open_ends: int | None = None
    serves: bool = False


def task_wait_of(steps: Sequence[Step], future: Any = None) -> TaskWait | None:
    """Return what a task waits for that is in ``steps``, outermost first; None if that is nothing we know.

    ``future`` is the asyncio future it is suspended on.
    """
    inwards = list(reversed(steps))
    found = operation_of(step.function for step in inwards)
    if found is not None:
        index, operation = found
        return _in_operation(operation, inwards[index], future)
    if future is not None:
        return _on_future(future, inwards[0] if inwards else None)
    return None


# -- in an operation that is known by name


def _in_operation(operation: Operation, step: Step, future: Any) -> TaskWait:
    subject = instance_in(step)
    call = _call(operation, step, subject)
    if step.module == "penstock" and subject is not None:
        return _in_penstock(operation, call, subject._end._state)
    on = f"{call}()"
    if subject is not None and not type(subject).__name__.startswith("_"):
        on += f" on {_described(subject)}{_facts(subject, call)}"
    others = _others(step, subject)
    if others:
        on = f"{call}() of {_names(others)}"
    elif (source := _chained(future)) is not None:
        on = f"{call}(), a call in a thread that {_condition(source)}"
    return TaskWait(on, operation.fix, _place(subject), _open_ends(step, subject), operation.serves)


def _call(operation: Operation, step: Step, subject: object) -> str:
    """Return how users write the operation, for an object of the class it has."""
    if operation.call:
        return operation.call
    owner, _, method = step.function.rpartition(".")
    owner = owner.rpartition(".")[2]
    cls = type(subject)
    if subject is not None and cls.__module__.partition(".")[0] == step.module:
        owner = cls.__qualname__  # Lock for trio's _LockImpl, PriorityQueue for Queue
    return f"{step.module}.{owner}.{method}" if owner[:1].isupper() else f"{step.module}.{method}"


def _in_penstock(operation: Operation, call: str, state: Any) -> TaskWait:
    """Describe a wait on an end of a pipe or channel; what has a name, a place and a count is their shared half."""
    if call.endswith("Channel.receive"):
        open_ends = len(state.send_ends)
    elif call.endswith("Channel.send"):
        open_ends = len(state.receive_ends)
    elif call.endswith("Reader.receive"):
        open_ends = int(state.write_outcome is None)
    else:
        open_ends = int(state.read_outcome is None)
    return TaskWait(f"{call}() on {state.label()}", operation.fix, str(state.origin), open_ends, operation.serves)


def _open_ends(step: Step, subject: Any) -> int | None:
    """Return how many other ends a memory channel of trio or memory stream of AnyIO has that are open."""
    state = getattr(subject, "_state", None)
    if step.function.endswith(("MemoryReceiveChannel.receive", "MemoryObjectReceiveStream.receive")):
        return getattr(state, "open_send_channels", None)
    if step.function.endswith(("MemorySendChannel.send", "MemoryObjectSendStream.send")):
        return getattr(state, "open_receive_channels", None)
    return None


def _others(step: Step, subject: Any) -> list[Any]:
    """Return the tasks and futures that an operation on several of them still waits for."""
    if step.function.endswith("TaskGroup.__aexit__"):
        return _pending(getattr(subject, "_tasks", ()))
    if step.function == "trio._core._run.Nursery._nested_child_finished":
        return list(getattr(subject, "child_tasks", ()))
    if step.function == "asyncio.tasks._wait":
        groups = (held for held in held_by(step.suspended) if isinstance(held, set | frozenset | list | tuple))
        return next((pending for group in groups if (pending := _pending(group))), [])
    if step.function == "asyncio.tasks.wait_for":
        return _pending(held_by(step.suspended))[:1]
    return []


def _pending(things: Iterable[Any]) -> list[Any]:
    futures = sys.modules["asyncio"].Future
    return [thing for thing in things if isinstance(thing, futures) and not thing.done()]


# -- on a future that the task awaits itself


def _on_future(future: Any, step: Step | None) -> TaskWait:
    asyncio = sys.modules["asyncio"]
    if isinstance(future, asyncio.Task):
        return TaskWait(_name(future), _TASK_FIX, _place(future))
    children = getattr(future, "_children", None)
    if isinstance(children, list):  # what gather() returns
        return TaskWait(f"asyncio.gather() of {_names(_pending(children))}", _TASK_FIX, _place(future))
    source = _chained(future)
    if source is not None:
        return TaskWait(f"loop.run_in_executor(), a call that {_condition(source)}", _THREAD_FIX, _place(source))
    shielded = _from_callback(future, "shield.<locals>._outer_done_callback", asyncio.Future)
    if shielded is not None:
        return TaskWait(f"asyncio.shield() of {_name(shielded)}", _TASK_FIX, _place(shielded))
    return TaskWait(_in_function(step), _FUTURE_FIX, _place(future))


def _in_function(step: Step | None) -> str:
    if step is None:
        return "a future"
    owner = instance_in(step) if step.module not in LIBRARIES else None
    return f"a future, in {step.function}()" + (f" of {_described(owner)}" if owner is not None else "")


def _chained(future: Any) -> Any | None:
    """Return the future of ``concurrent.futures`` whose outcome an asyncio future will have, if there is one."""
    executors = sys.modules.get("concurrent.futures")
    if executors is None or future is None:
        return None
    return _from_callback(future, "_chain_future.<locals>._call_check_cancel", executors.Future)


def _from_callback(future: Any, name: str, kind: type) -> Any | None:
    """Return the variable of type ``kind`` of the function ``name`` that will be called back when ``future`` is done.

    asyncio ties futures together by functions that share variables, and by nothing else.
    """
    for callback, *_ in getattr(future, "_callbacks", None) or ():
        if isinstance(callback, FunctionType) and callback.__qualname__ == name:
            shared = [cell.cell_contents for cell in callback.__closure__ or () if _is_filled(cell)]
            return next((thing for thing in shared if isinstance(thing, kind) and thing is not future), None)
    return None


def _is_filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018  raises when it is empty
    except ValueError:
        return False
    return True


# -- words


def _condition(call: Any) -> str:
    return "runs" if call.running() else "has ended" if call.done() else "no worker has begun"


def _names(futures: Sequence[Any]) -> str:
    named = [_name(future) for future in futures[:_MOST_NAMED]]
    if len(futures) > _MOST_NAMED:
        named.append(f"{len(futures) - _MOST_NAMED} more")
    return " and ".join(named) if named else "what has ended"


def _name(future: Any) -> str:
    name = future.get_name() if hasattr(future, "get_name") else getattr(future, "name", None)
    return f"task {name!r}" if name is not None else "a future"


def _described(subject: Any) -> str:
    """Name an object by its type, its condition and its address. Not its repr, which may show what is in it."""
    cls = type(subject)
    package = cls.__module__.partition(".")[0]
    module = package if package in LIBRARIES else cls.__module__
    return f"<{module}.{cls.__qualname__} at {id(subject):#x}>"


def _facts(subject: Any, call: str) -> str:
    """Return what of an object's condition explains why nothing moves."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and isinstance(subject, asyncio.Queue):
        filled = "full" if subject.full() else "empty" if subject.empty() else f"{subject.qsize()} waiting"
        return f", {filled}, {subject._unfinished_tasks} not done" if call.endswith(".join") else f", {filled}"
    if asyncio is not None and isinstance(subject, asyncio.Barrier):
        return f", {subject.n_waiting} of {subject.parties} parties"
    return ""


def _place(subject: Any) -> str | None:
    note = note_of(subject) if subject is not None else None
    return str(note.place) if note is not None else None
