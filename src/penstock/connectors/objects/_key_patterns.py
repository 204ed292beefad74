"""Match keys of objects against patterns, as a shell matches files. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["fixed_prefix", "matcher_of"]

_SPECIAL = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]")


def fixed_prefix(pattern: str) -> str:
    """Return the folders in front of the first wildcard, with the slash: ``"2024/"`` of ``"2024/*.csv"``."""
    first = _SPECIAL.search(pattern)
    before = pattern if first is None else pattern[: first.start()]
    return before[: before.rfind("/") + 1]


def matcher_of(pattern: str) -> Callable[[str], bool]:
    """Return a function that says whether a key matches.

    ``*`` and ``?`` stay within a folder, ``**`` is folders of any depth, ``[a-z]`` one of these, ``[!a-z]`` one of the
    others. A wildcard at the beginning of a name does not match a dot there.
    """
    parts = []
    position = 0
    for found in _SPECIAL.finditer(pattern):
        parts.append(re.escape(pattern[position : found.start()]))
        at_start = found.start() == 0 or pattern[found.start() - 1] == "/"
        parts.append(_translated(found[0], no_dot=r"(?!\.)" if at_start else ""))
        position = found.end()
    parts.append(re.escape(pattern[position:]))
    compiled = re.compile("".join(parts), re.DOTALL)
    return lambda key: compiled.fullmatch(key) is not None


def _translated(wildcard: str, *, no_dot: str) -> str:
    if wildcard == "**/":
        return r"(?:(?!\.)[^/]+/)*"
    if wildcard in {"*", "**"}:
        return f"{no_dot}[^/]*" if wildcard == "*" else f"{no_dot}.*"
    if wildcard == "?":
        return f"{no_dot}[^/]"
    inside = wildcard[1:-1].replace("\\", r"\\")
    inside = f"^{inside[1:]}" if inside.startswith("!") else re.sub(r"^\^", r"\^", inside)
    return f"{no_dot}(?!/)[{inside}]"
