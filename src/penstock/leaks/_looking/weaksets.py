"""Read a ``WeakSet`` safely while other threads may be changing it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any
from weakref import WeakSet, ref

from penstock.leaks._noting.origins import OwnWeakSet

__all__ = ["references", "remembered"]


def references(weak: WeakSet[Any]) -> frozenset[ref[Any]]:
    """Return the weak references that ``weak`` consists of.

    Iterating over a WeakSet is a loop in Python, which raises when another thread adds something in the middle of it.
    Copying the set inside is one step of the interpreter. And weak references to the same thing are equal while it
    lives, so what has come since an earlier copy is a difference of sets.
    """
    return frozenset(weak.data)  # type: ignore[attr-defined]  # the set inside, in every version there is


def remembered(those: AbstractSet[ref[Any]]) -> OwnWeakSet:
    """Return a weak set of what ``those`` refer to, to be compared with later by its ``references``.

    Made of the same references, which takes no loop; so what goes away leaves its dead reference in it.
    """
    known = OwnWeakSet()
    known.data |= those  # type: ignore[attr-defined]
    return known
