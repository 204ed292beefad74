"""The base class for penstock's own objects as stragglers: who holds them, and who could still close them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.core import _origin
from penstock.leaks._looking.holders import Holding, Search
from penstock.leaks._reach.graph import look_behind
from penstock.leaks._straggler import Straggler

__all__ = ["OwnStraggler", "counted"]

_CORE = str(Path(_origin.__file__).parent)
# Their globals reach everything that waits in an event loop or runs in a thread, and would not close any of it.
_NO_OWNERS = frozenset({"anyio", "asyncio", "concurrent", "penstock", "threading", "trio"})


@dataclass(frozen=True, slots=True)
class _Owner:
    """Who holds something: in words, and the global of a module among them."""

    holders: tuple[str, ...]
    module: str | None


class OwnStraggler(Straggler):
    """Something of penstock's that has to be closed."""

    __slots__ = ("_owner", "thing")

    def __init__(self, thing: Any) -> None:
        self.thing = thing
        self._owner: _Owner | None = None

    @property
    def identity(self) -> Hashable:
        """The object's own."""
        return (self.kind, id(self.thing))

    @abstractmethod
    def is_open(self) -> bool:
        """Whether somebody still has to close it."""

    @abstractmethod
    def held(self) -> list[Any]:
        """Return what one has to hold to be able to close it."""

    def holders(self) -> tuple[str, ...]:
        """Return who could close it, in words."""
        return self._owned_by().holders

    def is_garbage(self) -> bool:
        """Whether only the collector of cycles can reach it any more."""
        graph = look_behind(self.held(), {})
        return graph.complete and not graph.roots

    def serves(self) -> str | None:
        """Return the module global that can still use and close it, if there is one."""
        if not self.is_open():
            return "it was closed while the check went on"
        module = self._owned_by().module
        return f"the module global {module} can still use and close it" if module is not None else None

    def _owned_by(self) -> _Owner:
        # Looks at the whole heap, so only once.
        if self._owner is None:
            search = Search(self.held())
            self._owner = _owner([search.holding(thing) for thing in self.held()])
        return self._owner


def _owner(holdings: Sequence[Holding]) -> _Owner:
    holders = dict.fromkeys(holder for holding in holdings for holder in holding.holders)
    outside = tuple(holder for holder in holders if _CORE not in holder)
    modules = (holding.module_global for holding in holdings if holding.module_global is not None)
    module = next((module for module in modules if module.partition(".")[0] not in _NO_OWNERS), None)
    return _Owner(outside or (("only those who wait in it",) if holders else ()), module)


def counted(counts: dict[str, int]) -> str:
    """Return ``{"sender": 2, "receiver": 1, "waiter": 0}`` as "2 senders and 1 receiver"."""
    return " and ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count)
