"""Work out from its bytecode how high the evaluation stack of a blocked function is, and what it is calling.

A function in the middle of a call keeps more alive than its local variables: the ``__exit__`` of a ``with`` block, the
iterator of a ``for`` loop, the callable and its arguments. How much of the stack is in use is not recorded while the
function runs, but its code determines it. This module steps through the code and notes, for each slot, which expression
filled it. The number of slots tells how much of the memory behind the variables is stack, and the expressions tell what is
being called.

If the stack of some code does not add up, nothing is claimed about it.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

__all__ = ["CallSite", "Symbol", "call_site"]

_MODELLED = sys.version_info < (3, 14)
_SLOTS_A_STRANGER_MAY_CHANGE = 3


@dataclass(frozen=True, slots=True)
class Symbol:
    """An expression whose value fills a slot.

    Attributes:
        how: "fast" (a local variable), "cell" (one shared with other functions), "global", "const", "attr" (an
            attribute of ``base``), "method" (the function of a method call on ``base``), "self" (its first argument:
            ``base``, where that is a method), "bound" (a new bound method of ``base``), "mapping" (a new dict
            with the items of ``base``, or none), "tuple" (a new tuple), "null" (nothing).
        what: the name, or for a constant its value.
        base: the expression it is an attribute of.
    """

    how: str
    what: Any = None
    base: Symbol | None = None

    def depends_on(self, how: str, name: str) -> bool:
        """Whether its value is that of the variable ``name``, or comes from it."""
        if self.base is not None:
            return self.base.depends_on(how, name)
        return self.how == how and self.what == name


Slot = Symbol | None
Stack = tuple[Slot, ...]
_NULL = Symbol("null")
_EMPTY_MAPPING = Symbol("mapping")
_NEW_TUPLE = Symbol("tuple")


@dataclass(frozen=True, slots=True)
class CallSite:
    """What is known of a function while an instruction of it is under way.

    Attributes:
        instruction: the name of the instruction.
        slots: what fills the stack.
        below: how many of these stay there in any case. The others are the operands: a call that enters another Python
            function directly hands them over.
        function: the expression that is called.
        receiver: the first argument of a method call; the manager of a ``with``.
        arguments: further arguments; None when they were passed as ``*args``.
        keywords: names of the last of these arguments.
        spread: the expression passed as ``*args``.
        merged: the expression passed as ``**kwargs``.
    """

    instruction: str
    slots: Stack
    below: int
    function: Slot = None
    receiver: Slot = None
    arguments: Stack | None = None
    keywords: tuple[str, ...] = ()
    spread: Slot = None
    merged: Slot = None

    @property
    def height(self) -> int:
        """How many slots there are."""
        return len(self.slots)

    @property
    def is_call(self) -> bool:
        """Whether the operands stay on the stack while C is called."""
        return self.instruction in ("CALL", "CALL_KW", "CALL_FUNCTION_EX")

    @property
    def keeps_operands(self) -> bool:
        """Whether they stay there in any case, whatever is called."""
        return self.instruction == "FOR_ITER"


def call_site(code: CodeType, offset: int) -> CallSite | None:
    """Return what is on the stack of ``code`` while the instruction at ``offset`` (``f_lasti``) is under way.

    None when that cannot be told.
    """
    return _call_site(code, offset) if _MODELLED else None


@functools.lru_cache(maxsize=512)
def _call_site(code: CodeType, offset: int) -> CallSite | None:
    instructions = list(dis.get_instructions(code))
    index = max((i for i, ins in enumerate(instructions) if ins.offset <= offset), default=None)
    if index is None:
        return None
    stack = _Walk(code, instructions).stack_before(index)
    if stack is None:
        return None
    return _describe(instructions[index], stack, _keywords(code, instructions, index))


def _describe(instruction: dis.Instruction, stack: Stack, keywords: tuple[str, ...]) -> CallSite | None:
    name, argument, height = instruction.opname, instruction.arg or 0, len(stack)
    if name in ("CALL", "CALL_KW"):
        operands = stack
        if name == "CALL_KW":
            operands, names = stack[:-1], stack[-1]
            keywords = names.what if names is not None and names.how == "const" else ("?",) * argument
        below = len(operands) - argument - 2
        function, receiver, *arguments = operands[below:]
        if function == _NULL:  # before 3.13 a plain function stands in the second place
            function, receiver = receiver, None
        return CallSite(name, stack, below, function, receiver, tuple(arguments), keywords)
    if name == "CALL_FUNCTION_EX":
        below = height - 3 - (argument & 1)  # NULL, function, *args and perhaps **kwargs
        function = next((slot for slot in stack[below : below + 2] if slot != _NULL), None)
        mapping = stack[below + 3] if argument & 1 else None
        merged = mapping.base if mapping is not None and mapping.how == "mapping" else None
        return CallSite(name, stack, below, function, spread=stack[below + 2], merged=merged)
    if name == "BEFORE_WITH":
        return CallSite(name, stack, height - 1, receiver=stack[-1])
    if name == "FOR_ITER":
        return CallSite(name, stack, height - 1)
    return CallSite(name, stack, max(0, height - _SLOTS_A_STRANGER_MAY_CHANGE))


def _keywords(code: CodeType, instructions: list[dis.Instruction], index: int) -> tuple[str, ...]:
    """Return the keyword names of a call before 3.13, where an instruction of its own carries them."""
    for instruction in reversed(instructions[max(0, index - 2) : index]):
        if instruction.opname == "KW_NAMES":
            return tuple(code.co_consts[instruction.arg or 0])
        if instruction.opname != "PRECALL":
            break
    return ()


class _Inconsistent(Exception):
    """Two ways to an instruction do not agree on the height of the stack, or it falls below zero."""


class _Walk:
    """Steps through a function on every way it can take."""

    def __init__(self, code: CodeType, instructions: list[dis.Instruction]) -> None:
        self._code = code
        self._instructions = instructions
        self._index = {instruction.offset: i for i, instruction in enumerate(instructions)}
        self._before: dict[int, Stack] = {}
        self._todo: list[int] = []
        self._handlers = list(dis.Bytecode(code).exception_entries)  # type: ignore[attr-defined]

    def stack_before(self, index: int) -> Stack | None:
        """Return the slots before the instruction with that number; None when they cannot be told."""
        try:
            self._reach(0, ())
            while self._todo:
                current = self._todo.pop()
                self._step(current, self._before[current])
        except (_Inconsistent, ValueError, IndexError):
            return None
        return self._before.get(index)

    def _step(self, index: int, stack: Stack) -> None:
        instruction = self._instructions[index]
        for entry in self._handlers:
            if entry.start <= instruction.offset < entry.end:
                self._reach(self._index[entry.target], (*stack[: entry.depth], *(None,) * (1 + bool(entry.lasti))))
        if instruction.opcode in _JUMPS:
            self._reach(self._index[instruction.argval], _after(instruction, stack, jump=True))
        if instruction.opname not in _NO_FALL_THROUGH and index + 1 < len(self._instructions):
            self._reach(index + 1, _after(instruction, stack, jump=False))

    def _reach(self, index: int, stack: Stack) -> None:
        known = self._before.get(index)
        if known is None:
            merged = stack
        elif len(known) != len(stack):
            raise _Inconsistent
        else:
            merged = tuple(a if a == b else None for a, b in zip(known, stack, strict=True))
        if merged != known:
            self._before[index] = merged
            self._todo.append(index)


_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
_NO_FALL_THROUGH = frozenset(
    {"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD"}
    | {"JUMP_BACKWARD_NO_INTERRUPT", "INTERPRETER_EXIT"}
)


def _after(instruction: dis.Instruction, stack: Stack, *, jump: bool) -> Stack:
    """Return the slots after ``instruction``."""
    name = instruction.opname
    if name in _NO_EFFECT:
        return stack
    if name in _LOADS:
        return (*stack, *_LOADS[name](instruction))
    if name in _CHANGES:
        return _CHANGES[name](instruction, stack)
    return _after_stranger(instruction, stack, jump=jump)


def _after_store(instruction: dis.Instruction, stack: Stack) -> Stack:
    stored = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
    if instruction.opname == "STORE_FAST_LOAD_FAST":
        return (*_forget(_lowered(stack, 1), "fast", stored[0]), Symbol("fast", stored[1]))
    how = "cell" if instruction.opname.endswith("_DEREF") else "fast"
    for name in stored:
        stack = _forget(stack if instruction.opname.startswith("DELETE") else _lowered(stack, 1), how, name)
    return stack


def _after_attribute(instruction: dis.Instruction, stack: Stack) -> Stack:
    return (*stack[:-1], *_attribute(instruction, stack[-1]))


def _after_copy(instruction: dis.Instruction, stack: Stack) -> Stack:
    return (*stack, stack[-(instruction.arg or 1)])


def _after_swap(instruction: dis.Instruction, stack: Stack) -> Stack:
    slots = list(stack)
    slots[-1], slots[-(instruction.arg or 1)] = slots[-(instruction.arg or 1)], slots[-1]
    return tuple(slots)


def _after_pop(_: dis.Instruction, stack: Stack) -> Stack:
    return _lowered(stack, 1)


def _after_before_with(_: dis.Instruction, stack: Stack) -> Stack:
    manager = stack[-1]
    return (*stack[:-1], Symbol("bound", "__exit__", manager) if manager is not None else None, None)


def _after_call(instruction: dis.Instruction, stack: Stack) -> Stack:
    name, argument = instruction.opname, instruction.arg or 0
    sizes = {"CALL": argument + 2, "CALL_KW": argument + 3, "CALL_FUNCTION_EX": 3 + (argument & 1)}
    return (*_lowered(stack, sizes[name]), None)


def _after_dict_merge(instruction: dis.Instruction, stack: Stack) -> Stack:
    if instruction.arg != 1:
        return (*stack[:-2], None)
    whole = stack[-2] == _EMPTY_MAPPING and stack[-1] is not None
    return (*stack[:-2], Symbol("mapping", None, stack[-1]) if whole else None)


def _after_intrinsic(instruction: dis.Instruction, stack: Stack) -> Stack:
    is_tuple = instruction.opname == "LIST_TO_TUPLE" or "LIST_TO_TUPLE" in instruction.argrepr
    return (*stack[:-1], _NEW_TUPLE if is_tuple else None)


def _after_build_map(instruction: dis.Instruction, stack: Stack) -> Stack:
    count = instruction.arg or 0
    return (*_lowered(stack, 2 * count), None if count else _EMPTY_MAPPING)


def _after_stranger(instruction: dis.Instruction, stack: Stack, *, jump: bool) -> Stack:
    """Apply the net effect of any other instruction; what it puts there is unknown."""
    argument = instruction.arg if instruction.opcode >= dis.HAVE_ARGUMENT else None
    effect = dis.stack_effect(instruction.opcode, argument, jump=jump)
    height = len(stack) + effect
    takes = _takes(instruction, effect)
    if height < 0:
        raise _Inconsistent
    kept = max(0, len(stack) - takes)
    return (*stack[: min(kept, height)], *(None,) * max(0, height - kept))


def _takes(instruction: dis.Instruction, effect: int) -> int:
    """Return how many slots an instruction reads or changes."""
    name, argument = instruction.opname, instruction.arg or 0
    if name.startswith("POP_JUMP"):
        return 1
    if name.startswith("JUMP_IF_"):
        return 1 if effect else 0
    if name in ("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET", "BUILD_STRING", "BUILD_MAP", "BUILD_SLICE"):
        return argument * (2 if name == "BUILD_MAP" else 1)
    if name in _TAKEN:
        return _TAKEN[name]
    return max(0, -effect) + _SLOTS_A_STRANGER_MAY_CHANGE


def _lowered(stack: Stack, by: int) -> Stack:
    if by > len(stack):
        raise _Inconsistent
    return stack[: len(stack) - by]


def _forget(stack: Stack, how: str, name: str) -> Stack:
    return tuple(None if slot is not None and slot.depends_on(how, name) else slot for slot in stack)


def _attribute(instruction: dis.Instruction, base: Slot) -> Iterator[Slot]:
    name = str(instruction.argval)
    if instruction.opname == "LOAD_ATTR" and not (sys.version_info >= (3, 12) and (instruction.arg or 0) & 1):
        yield Symbol("attr", name, base) if base is not None else None
        return
    yield Symbol("method", name, base) if base is not None else None
    yield Symbol("self", name, base) if base is not None else None


def _load_global(instruction: dis.Instruction) -> Iterator[Slot]:
    symbol = Symbol("global", instruction.argval)
    if not (instruction.arg or 0) & 1:
        yield symbol
    elif sys.version_info < (3, 13):
        yield _NULL
        yield symbol
    else:
        yield symbol
        yield _NULL


def _load_constant(instruction: dis.Instruction) -> Iterator[Slot]:
    yield Symbol("const", instruction.argval) if _is_plain(instruction.argval) else None


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool | type(None)) or (
        isinstance(value, tuple) and all(isinstance(part, str) for part in value)
    )


_LOADS: dict[str, Callable[[dis.Instruction], Iterable[Slot]]] = {
    "LOAD_FAST": lambda ins: (Symbol("fast", ins.argval),),
    "LOAD_FAST_CHECK": lambda ins: (Symbol("fast", ins.argval),),
    "LOAD_FAST_LOAD_FAST": lambda ins: tuple(Symbol("fast", name) for name in ins.argval),
    "LOAD_DEREF": lambda ins: (Symbol("cell", ins.argval),),
    "LOAD_GLOBAL": _load_global,
    "LOAD_NAME": lambda ins: (Symbol("global", ins.argval),),
    "LOAD_CONST": _load_constant,
    "LOAD_CLOSURE": lambda _: (None,),
    "PUSH_NULL": lambda _: (_NULL,),
    "RETURN_GENERATOR": lambda _: (None,),  # what is sent to the generator first
}

_CHANGES: dict[str, Callable[[dis.Instruction, Stack], Stack]] = {
    **dict.fromkeys(("STORE_FAST", "DELETE_FAST", "STORE_DEREF", "DELETE_DEREF"), _after_store),
    **dict.fromkeys(("STORE_FAST_STORE_FAST", "STORE_FAST_LOAD_FAST"), _after_store),
    **dict.fromkeys(("LOAD_ATTR", "LOAD_METHOD"), _after_attribute),
    **dict.fromkeys(("CALL", "CALL_KW", "CALL_FUNCTION_EX"), _after_call),
    "COPY": _after_copy,
    "SWAP": _after_swap,
    "POP_TOP": _after_pop,
    "BEFORE_WITH": _after_before_with,
    "BUILD_MAP": _after_build_map,
    "LIST_TO_TUPLE": _after_intrinsic,
    "CALL_INTRINSIC_1": _after_intrinsic,
    "DICT_MERGE": _after_dict_merge,
}

# How many slots from the top an instruction takes, of those that leave the others alone.
_TAKEN = (
    dict.fromkeys(
        ("FOR_ITER", "LOAD_ASSERTION_ERROR", "LOAD_BUILD_CLASS", "IMPORT_FROM", "GET_LEN", "LOAD_CLASSDEREF"), 0
    )
    | dict.fromkeys(("GET_ITER", "TO_BOOL", "UNARY_NOT", "UNARY_NEGATIVE", "UNARY_INVERT", "UNARY_POSITIVE"), 1)
    | dict.fromkeys(("STORE_GLOBAL", "STORE_NAME", "POP_EXCEPT", "UNPACK_SEQUENCE", "CHECK_EXC_MATCH", "END_FOR"), 1)
    | dict.fromkeys(("LIST_APPEND", "SET_ADD", "LIST_EXTEND", "SET_UPDATE", "DICT_UPDATE", "DICT_MERGE"), 1)
    | dict.fromkeys(("FORMAT_SIMPLE", "CONVERT_VALUE", "CALL_INTRINSIC_1", "PUSH_EXC_INFO", "LIST_TO_TUPLE"), 1)
    | dict.fromkeys(("DELETE_ATTR", "PRINT_EXPR", "GET_AWAITABLE", "YIELD_VALUE"), 1)
    | dict.fromkeys(("COMPARE_OP", "IS_OP", "CONTAINS_OP", "BINARY_OP", "BINARY_SUBSCR", "STORE_ATTR"), 2)
    | dict.fromkeys(("IMPORT_NAME", "DELETE_SUBSCR", "FORMAT_WITH_SPEC", "CALL_INTRINSIC_2", "MAP_ADD"), 2)
    | dict.fromkeys(("STORE_SUBSCR", "BINARY_SLICE"), 3)
)

_NO_EFFECT = frozenset(
    {"PRECALL", "KW_NAMES", "RESUME", "NOP", "CACHE", "COPY_FREE_VARS", "MAKE_CELL", "EXTENDED_ARG"}
) | {
    "JUMP_FORWARD",
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
}
