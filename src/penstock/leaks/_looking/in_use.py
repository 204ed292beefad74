"""Find who is using an object: has it in a variable, or is in a loop over it or in one of its methods.

A half-read cursor, response or asynchronous generator is no leak while another thread or task is still using it, unless
that thread or task has leaked itself.
"""

from __future__ import annotations

import gc
import operator
import sys
import threading
from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from types import CoroutineType, FrameType
from typing import Any

from penstock.leaks._looking.frames import frames_of, own_names, variables
from penstock.leaks._looking.heap import is_a, is_running, referents, running_frames, suspended_frame
from penstock.leaks._looking.holders import Search
from penstock.leaks._looking.memory import Memory
from penstock.leaks._looking.stack import call_site
from penstock.leaks._report.model import Leak

__all__ = ["is_in_order_hands", "users_of"]

_TASKS = ("_asyncio.Task", "asyncio.tasks.Task", "trio._core._run.Task")


def is_in_order_hands(thing: object, reported: Sequence[Leak]) -> bool:
    """Whether another thread or task, one that is not ``reported`` itself, has ``thing`` in hand."""
    leaks = {leak.identity[:2] for leak in reported if isinstance(leak.identity, tuple)}
    return any(user not in leaks for user in users_of(thing))


def users_of(thing: object) -> Iterator[Hashable]:
    """Yield the first two parts of the identities of the threads and tasks that have ``thing`` in hand.

    Never those of the thread and task that asks. Looks at the whole heap.
    """
    todo, known = [thing], {id(thing)}
    for current in todo:  # grows during the loop
        yield from _running_users(current)
        for referrer in gc.get_referrers(current):
            if suspended_frame(referrer) is None or is_running(referrer) or id(referrer) in known:
                continue
            known.add(id(referrer))
            if is_a(referrer, CoroutineType):
                yield from _task_of(referrer)
            else:
                todo.append(referrer)  # whoever is in a loop over this generator


def _running_users(thing: object) -> Iterator[Hashable]:
    others = [(ident, frame) for ident, frame in running_frames() if ident != threading.get_ident()]
    for ident, frame in others:
        if any(value is thing for value in variables(frame).values()):
            yield "thread", ident
    if others and _unseen_references(thing):
        with Memory() as memory:
            for ident, frame in others:
                if _may_be_on_stack(thing, frame, memory):
                    yield "thread", ident


def _task_of(coroutine: Any) -> Iterator[Hashable]:
    task = Search([coroutine]).holding(coroutine).nearest(*_TASKS)
    if task is not None:
        yield "task", id(task)


def _may_be_on_stack(thing: object, frame: FrameType, memory: Memory) -> bool:
    """Whether a function that runs has ``thing`` on its evaluation stack, as far as can be told."""
    raw, site = memory.frame(frame), call_site(frame.f_code, frame.f_lasti)
    return raw is None or site is None or id(thing) in raw.stack[: site.height]


def _unseen_references(thing: object) -> int:
    """Return how many references nobody shows: those on the evaluation stacks of functions that run.

    The count less what the garbage collector shows and less the variables of functions that run. Nothing is said
    without the GIL, where counts are not exact.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return 0
    count = sys.getrefcount(thing) - 1  # its own argument
    shown = set()
    for referrer in gc.get_referrers(thing):
        count -= sum(map(partial(operator.is_, thing), referents(referrer)))
        shown.add(id(suspended_frame(referrer)))  # a generator that runs shows its variables as one that does not
    frames = [frame for innermost in sys._current_frames().values() for frame in frames_of(innermost)]
    while frames:  # none is left: one of them is this function, which would hold itself, and ``thing``, from now on
        if id(frames[-1]) not in shown:
            count -= _variables_that_are(thing, frames[-1])
        frames.pop()
    return count


def _variables_that_are(thing: object, frame: FrameType) -> int:
    values = variables(frame)
    return sum(values.get(name) is thing for name in own_names(frame))
