"""Inspect the functions a thread is in: their places, their variables, and the values of expressions in them.

This changes nothing: attributes are looked up without running any code. Up to 3.12 CPython makes a copy of a function's
variables, which is emptied again, because it would keep every value alive until the function ends. (Unless the function
has called ``locals()`` itself, as that is the same dict.)
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import BuiltinMethodType, FrameType, FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType
from typing import Any

from penstock.leaks._looking.stack import Symbol

__all__ = [
    "MISSING",
    "attribute",
    "frames_of",
    "function_name",
    "is_generator",
    "location",
    "own_names",
    "resolve",
    "variables",
]

CO_OPTIMIZED = 0x1
_CO_GENERATOR_LIKE = 0x20 | 0x80 | 0x200  # generators, coroutines, asynchronous generators


_HELD_BY_FRAME_ONLY = 3  # the frame, the variable here, and the argument of getrefcount


class _Missing:
    __slots__ = ()


MISSING = _Missing()


def frames_of(innermost: FrameType | None) -> list[FrameType]:
    """Return the functions that are active, innermost first."""
    frames = []
    while innermost is not None:
        frames.append(innermost)
        innermost = innermost.f_back
    return frames


def function_name(frame: FrameType) -> str:
    """Return ``module.qualified_name``."""
    return f"{frame.f_globals.get('__name__') or '?'}.{frame.f_code.co_qualname}"


def location(frame: FrameType) -> str:
    """Return ``file:line in function``."""
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno or code.co_firstlineno} in {code.co_qualname}"


def is_generator(frame: FrameType) -> bool:
    """Whether the function is a generator or coroutine: then its variables belong to that object, and show there."""
    return bool(frame.f_code.co_flags & _CO_GENERATOR_LIKE)


def own_names(frame: FrameType) -> Sequence[str]:
    """Return the names of variables that live in the function itself, and not in cells or a module's dict."""
    code = frame.f_code
    if not code.co_flags & CO_OPTIMIZED:
        return ()
    return [name for name in code.co_varnames if name not in code.co_cellvars]


def variables(frame: FrameType) -> dict[str, Any]:
    """Return the variables of the function by name. Empty for the body of a module or class."""
    if not frame.f_code.co_flags & CO_OPTIMIZED:
        return {}
    values = frame.f_locals
    copied = dict(values)
    if sys.version_info < (3, 13) and sys.getrefcount(values) <= _HELD_BY_FRAME_ONLY:
        values.clear()
    return copied


def resolve(symbol: Symbol | None, frame: FrameType, values: Mapping[str, Any]) -> Any:
    """Return the object ``symbol`` stands for in ``frame``, whose variables are ``values``; MISSING if unknown.

    A ``bound`` symbol stands for a new object that cannot be named; for a method call, "method" gives the function
    and "self" the object it is called on.
    """
    if symbol is None:
        return MISSING
    if symbol.how in ("fast", "cell"):
        return values.get(symbol.what, MISSING)
    if symbol.how == "const":
        return symbol.what
    if symbol.how == "global":
        found = frame.f_globals.get(symbol.what, MISSING)
        return vars(builtins).get(symbol.what, MISSING) if found is MISSING else found
    base = resolve(symbol.base, frame, values)
    if base is MISSING:
        return MISSING
    if symbol.how == "attr":
        return attribute(base, symbol.what)
    if symbol.how == "method":
        method = _method(base, symbol.what)
        return attribute(base, symbol.what) if method is MISSING else method
    if symbol.how == "self":
        return base if _method(base, symbol.what) is not MISSING else MISSING
    return MISSING


def _method(base: Any, name: str) -> Any:
    """Return the function that ``base.name()`` calls with ``base`` as its first argument; MISSING if it is not one."""
    if isinstance(base, type) or name in _instance_attributes(base):
        return MISSING
    for cls in type(base).__mro__:
        if name in vars(cls):
            found = vars(cls)[name]
            return found if isinstance(found, FunctionType) or type(found).__name__ == "method_descriptor" else MISSING
    return MISSING


def attribute(base: Any, name: str) -> Any:
    """Return ``base.name`` where that is stored data or a plain function; MISSING where code would have to run."""
    own = _instance_attributes(base)
    for cls in _classes(base):
        found = vars(cls).get(name, MISSING)
        if found is MISSING:
            continue
        if isinstance(found, MemberDescriptorType | GetSetDescriptorType) and not isinstance(base, type):
            try:
                return found.__get__(base)
            except AttributeError:
                return MISSING
        return own.get(name, MISSING) if name in own else (MISSING if hasattr(found, "__get__") else found)
    return own.get(name, MISSING)


def _classes(base: Any) -> Iterator[type]:
    # The attributes of a class are those of its own family; a metaclass is of no interest here.
    return iter(base.__mro__ if isinstance(base, type) else type(base).__mro__)


def _instance_attributes(base: Any) -> Mapping[str, Any]:
    if isinstance(base, type | MethodType | BuiltinMethodType):
        return {}
    try:
        own = object.__getattribute__(base, "__dict__")
    except AttributeError:
        return {}
    return own if isinstance(own, dict) else {}
