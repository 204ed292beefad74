"""List the references that the functions of a parked thread hold and the garbage collector does not show.

Each is called a *credit*, and explains one reference. A credit is given only for a reference that certainly exists:

* each active function holds its function object, the values of its local variables, and its cells;
* its evaluation stack holds the bound method ``__exit__`` of a ``with`` block, the iterator of a ``for`` loop, and,
  where C is in between, what it called and with which arguments. How high the stack is follows from the bytecode
  (``stack``), what lies there is read (``memory``);
* C holds the bound method ``thread._bootstrap`` that it began the thread with, the bound ``__enter__`` it is in, and
  the values of ``**kwargs`` on their way to a Python function.

The last ones cannot be read. A bound method that C holds is known by its name and object only, so such a credit
counts only when it explains exactly what is there.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Hashable, Iterator, Sequence
from types import BuiltinMethodType, FrameType, FunctionType, MethodType
from typing import Any

from penstock.leaks._looking.frames import MISSING, is_generator, resolve, variables
from penstock.leaks._looking.memory import Memory, RawFrame
from penstock.leaks._looking.stack import CallSite, call_site

__all__ = ["Credit", "bound_key", "credits_of", "is_on_stack"]

#: What is held, as a key: ("id", id) or ("bound", id of the object, name of the method).
Credit = tuple[Hashable, ...]
_EXIT_IS_ON_STACK = sys.version_info < (3, 12)


def credits_of(thread: object | None, frames: Sequence[FrameType], memory: Memory) -> list[Credit]:
    """Return a credit for every reference that the parked thread with these functions, innermost first, holds."""
    held: list[Credit] = []
    if thread is not None:
        held.append(("bound", id(thread), "_bootstrap"))
    inner: RawFrame | None = None
    for index, frame in enumerate(frames):
        raw = memory.frame(frame)
        # What a generator holds shows as the generator's own.
        if raw is not None and not is_generator(frame):
            held += [("id", address) for address in (raw.function, *raw.variables) if address]
            held += _held_for_call(frame, raw, inner, through_c=index == 0 or inner is None)
        inner = raw
    return held


def bound_key(thing: Any) -> Credit | None:
    """Return the credit that may be for ``thing``, a bound method that C holds."""
    if isinstance(thing, MethodType | BuiltinMethodType):
        return ("bound", id(thing.__self__), thing.__name__)
    return None


def is_on_stack(thing: Any, frame: FrameType, memory: Memory) -> bool:
    """Whether the call of C that ``frame`` is in has ``thing``, or a method bound to it, for operand."""
    raw, site = memory.frame(frame), call_site(frame.f_code, frame.f_lasti)
    if raw is None or site is None:
        return False
    operands = raw.stack[max(0, site.below - 1) : site.height]
    return id(thing) in operands or not _methods_of(thing).isdisjoint(operands)


def _methods_of(thing: Any) -> set[int]:
    methods = (found for found in gc.get_referrers(thing) if isinstance(found, MethodType | BuiltinMethodType))
    return {id(method) for method in methods if method.__self__ is thing}


def _held_for_call(frame: FrameType, raw: RawFrame, inner: RawFrame | None, *, through_c: bool) -> Iterator[Credit]:
    site = call_site(frame.f_code, frame.f_lasti)
    if site is None:
        return
    if inner is not None:
        through_c = inner.was_called_through_c(raw)
    stays = site.keeps_operands or (through_c and site.is_call)
    slots = raw.stack[: site.height if stays else site.below]
    if stays and site.instruction == "CALL_FUNCTION_EX" and not _is_tuple(site, frame, slots):
        slots = (*slots[: site.below + 2], *slots[site.below + 3 :])
    elif stays and _is_leaving_block(site, frame):
        slots = (*slots[: site.below], *slots[site.below + 1 :])
        yield from _leaving(site, frame)
    yield from (("id", address) for address in slots if address)
    if through_c and site.instruction == "CALL_FUNCTION_EX":
        yield from _keywords_unpacked(site, frame)
    if site.instruction == "BEFORE_WITH":
        yield from _entering(site, frame, raw)


def _is_leaving_block(site: CallSite, frame: FrameType) -> bool:
    """Whether the call is that of an ``__exit__`` written in Python, on the normal way out of a ``with``."""
    if site.function is None or site.function.how != "bound":
        return False
    manager = resolve(site.function.base, frame, variables(frame))
    return manager is MISSING or isinstance(getattr(type(manager), "__exit__", None), FunctionType)


def _leaving(site: CallSite, frame: FrameType) -> Iterator[Credit]:
    """Credit the bound ``__exit__``. For the length of the call its slot holds the manager, without a reference."""
    assert site.function is not None
    manager = resolve(site.function.base, frame, variables(frame))
    if manager is not MISSING:
        yield ("bound", id(manager), type(manager).__exit__.__name__)


def _is_tuple(site: CallSite, frame: FrameType, slots: Sequence[int]) -> bool:
    """Whether ``*args`` are a tuple in their slot. Others are made into one, which C holds; the slot is out of date."""
    if site.spread is not None and site.spread.how == "tuple":
        return True
    spread = resolve(site.spread, frame, variables(frame))
    return isinstance(spread, tuple) and id(spread) == slots[site.below + 2]


def _keywords_unpacked(site: CallSite, frame: FrameType) -> Iterator[Credit]:
    """Credit the values of ``**kwargs``: a Python function called by way of C gets them in an array of its own."""
    if site.merged is None:
        return
    values = variables(frame)
    if isinstance(resolve(site.function, frame, values), FunctionType | MethodType):
        keywords = resolve(site.merged, frame, values)
        if type(keywords) is dict:
            yield from (("id", id(value)) for value in keywords.values())


def _entering(site: CallSite, frame: FrameType, raw: RawFrame) -> Iterator[Credit]:
    """Credit the bound ``__enter__`` that is being called, and ``__exit__`` that will be.

    Up to 3.11 ``__exit__`` has taken the place of the manager on the stack by then. Since 3.12 both are with C, and what
    lies on the stack is the address of the manager, without a reference.
    """
    manager = resolve(site.receiver, frame, variables(frame))
    if manager is MISSING:
        return
    top = raw.stack[site.height - 1]
    if _EXIT_IS_ON_STACK:
        is_certain = top in _methods_of(manager)
        yield from (("id", address) for address in (top,) if address)
    else:
        is_certain = top == id(manager)
    for name in ("__enter__",) if _EXIT_IS_ON_STACK else ("__enter__", "__exit__"):
        # Semaphore.__enter__ is its acquire(), so the bound method bears that name.
        method = getattr(type(manager), name, None)
        if is_certain:
            yield ("bound", id(manager), getattr(method, "__name__", name))
