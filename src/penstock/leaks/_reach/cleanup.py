"""Tell whether dropping an object may run code, which is the one way in which garbage can wake somebody.

A waiting thread keeps everything in its functions alive, so none of that is ever dropped. But a task that nobody else can
reach is garbage, together with all it holds. Python will drop it sooner or later, and a finalizer or ``finally:`` in there
could then complete what the task waits for.
"""

from __future__ import annotations

import dis
import functools
import sys
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType
from typing import Any

__all__ = ["is_asyncio_task", "may_be_called_by_address", "may_run_code_when_dropped"]

_HARMLESS = ("asyncio.",)  # its waits only take themselves off the list of waiters


def is_asyncio_task(thing: object) -> bool:
    """Whether ``thing`` is a task of asyncio."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(thing, asyncio.Task)


def may_be_called_by_address(thing: object) -> bool:
    """Whether C may call ``thing`` without a reference to it: a callback of ctypes or cffi."""
    return any(cls.__module__ in ("_ctypes", "_cffi_backend", "ctypes") for cls in type(thing).__mro__)


def may_run_code_when_dropped(thing: Any) -> bool:
    """Whether dropping ``thing`` runs Python code that is not known to be harmless."""
    if isinstance(thing, CoroutineType):
        return _would_clean_up(thing.cr_frame, thing.cr_code)
    if isinstance(thing, GeneratorType):
        return _would_clean_up(thing.gi_frame, thing.gi_code)
    if isinstance(thing, AsyncGeneratorType):
        return _would_clean_up(thing.ag_frame, thing.ag_code)
    return any(isinstance(vars(cls).get("__del__"), FunctionType) for cls in type(thing).__mro__)


def _would_clean_up(frame: Any, code: CodeType) -> bool:
    """Whether it is suspended inside a ``try`` or ``with``."""
    if frame is None or frame.f_lasti < 0:
        return False
    module = frame.f_globals.get("__name__") or ""
    return not module.startswith(_HARMLESS) and _is_covered(code, frame.f_lasti)


@functools.lru_cache(maxsize=256)
def _is_covered(code: CodeType, offset: int) -> bool:
    entries = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
    entry = next((entry for entry in entries if entry.start <= offset < entry.end), None)
    if entry is None or entry.target == _last_handler(code):
        return False
    # Since 3.12 the compiler wraps each await; what counts is what its handler is wrapped in.
    names = {instruction.offset: instruction.opname for instruction in dis.get_instructions(code)}
    return names[entry.target] != "CLEANUP_THROW" or _is_covered(code, entry.target)


def _last_handler(code: CodeType) -> int | None:
    """Return where the handler begins that covers the whole body, to turn StopIteration into RuntimeError."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "CALL_INTRINSIC_1" and "STOPITERATION" in instruction.argrepr:
            return instruction.offset
    return None
