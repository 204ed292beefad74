"""``ignore()``: rules for what a check does not report, and how they are matched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from penstock.errors import ConfigurationError
from penstock.leaks._straggler import Straggler

__all__ = ["Ignore", "ignore", "ignored"]

_WAITS = (
    *("threading.", "queue.", "selectors.", "socket.", "asyncio.", "concurrent.futures._base.", "penstock.core."),
    "multiprocessing.connection.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """A rule: things that match every given field are not reported. Made by :func:`ignore`, which describes the fields."""

    kind: str | None = None
    name: str | None = None
    top_function: str | None = None
    any_function: str | None = None
    created_by: str | None = None
    reason: str = ""
    unless: Callable[[Straggler], bool] | None = None

    def matches(self, straggler: Straggler) -> bool:
        """Whether the rule applies to ``straggler``."""
        return (
            (self.kind is None or self.kind == straggler.kind)
            and (self.name is None or fnmatchcase(straggler.name, self.name))
            and (self.created_by is None or _is_called(straggler.created_by(), self.created_by))
            and (self.top_function is None or any(_is_called(f, self.top_function) for f in _top(straggler)))
            and (self.any_function is None or any(_is_called(f, self.any_function) for f in straggler.functions()))
            and not (self.unless is not None and self.unless(straggler))
        )


def ignore(
    *,
    kind: str | None = None,
    name: str | None = None,
    top_function: str | None = None,
    any_function: str | None = None,
    created_by: str | None = None,
    reason: str = "",
) -> Ignore:
    """Return a rule for the ``ignore=`` of a check. Things that match all of the given conditions are not reported.

    Functions are given as ``module.qualified_name`` or any tail of it: ``worker`` matches ``jobs.Pool.worker``. Except
    for ``kind``, the wildcards ``*``, ``?`` and ``[...]`` may be used.

    Args:
        kind: the kind of thing: ``"thread"``, ``"task"``, ``"fd"`` and so on, as in :class:`Leak`.
        name: the name of the thread or task, the command line of the process, the path of the file.
        top_function: the innermost Python function it is in; or the innermost one outside ``threading``, ``queue``,
            ``asyncio`` and the like, whose functions only wait.
        any_function: a function anywhere on its stack.
        created_by: the function that started or made it. Known for things started during a check, under the pytest
            plugin, or while ``trace_starts()`` is on.
        reason: why the rule exists, for whoever reads it later.

    Raises:
        ConfigurationError: nothing but a reason was given, which would ignore everything.
    """
    rule = Ignore(
        kind=kind, name=name, top_function=top_function, any_function=any_function, created_by=created_by, reason=reason
    )
    if rule == Ignore(reason=reason):
        raise ConfigurationError("ignore() without any condition would ignore every leak: give kind=, name= or another")
    return rule


def ignored(straggler: Straggler, rules: Iterable[Ignore]) -> bool:
    """Whether one of ``rules`` applies to ``straggler``."""
    return any(rule.matches(straggler) for rule in rules)


def _top(straggler: Straggler) -> list[str]:
    functions = straggler.functions()
    beyond = [function for function in functions if not function.startswith(_WAITS)]
    return [*functions[:1], *beyond[:1]]


def _is_called(function: str | None, pattern: str) -> bool:
    """Whether ``pattern`` matches the dotted name ``function``, or a tail of it."""
    if function is None:
        return False
    plain = function.replace("<locals>.", "")
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}") for name in (function, plain))
