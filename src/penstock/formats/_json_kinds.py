"""Find out which kinds of JSON values the first lines have in each column, and where they clash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

from penstock.core.cancel import check_cancelled
from penstock.formats._json_misfits import kind_of, record_of

__all__ = ["Clash", "FirstKinds"]

_Kind = Any  # None: nothing but null so far; a word; ("array", kind); ("object", {name: kind})


@final
class Clash(Exception):
    """Two values at one place are of kinds that no one type holds."""

    def __init__(self, place: str, found: str, before: str) -> None:
        super().__init__(f"{place!r} is {_with_article(found)}, where it was {_with_article(before)} before")
        self.found = found
        self.before = before


@final
class FirstKinds:
    """What each column holds. The first value that is not null decides, and objects and arrays gain what comes new."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def take(self, name: str, value: Any) -> None:
        """Note one more value of a column.

        Raises:
            Clash: it is of another kind than those before; nothing is noted then.
        """
        self._kinds[name] = _merged(self._kinds.get(name), _shape(value, name), name)

    def kept(self, name: str, value: Any) -> Any:
        """Take one more value of a column; return it, or None where it is of another kind than those before."""
        try:
            self.take(name, value)
        except Clash:
            return None
        return value

    def clashes(self, block: bytes) -> Iterator[tuple[int, str, Clash]]:
        """Take all lines of a block; yield line (from 0), column and clash of each value that is of another kind."""
        for number, line in enumerate(block.split(b"\n")):
            check_cancelled()
            for name, value in (record_of(line) or {}).items():
                try:
                    self.take(name, value)
                except Clash as clash:
                    yield number, name, clash


def _shape(value: Any, place: str) -> _Kind:
    word = kind_of(value)
    if word == "null":
        return None
    if word == "array":
        items: _Kind = None
        for item in value:
            items = _merged(items, _shape(item, f"{place}[]"), f"{place}[]")
        return ("array", items)
    if word == "object":
        return ("object", {name: _shape(item, f"{place}.{name}") for name, item in value.items()})
    return word


def _merged(before: _Kind, found: _Kind, place: str) -> _Kind:
    if before is None or found is None:
        return found if before is None else before
    if _word(before) != _word(found):
        raise Clash(place, _word(found), _word(before))
    if isinstance(before, str):
        return before
    if before[0] == "array":
        return ("array", _merged(before[1], found[1], f"{place}[]"))
    names = {**before[1], **found[1]}
    return (
        "object",
        {name: _merged(before[1].get(name), found[1].get(name), f"{place}.{name}") for name in names},
    )


def _word(kind: _Kind) -> str:
    return kind if isinstance(kind, str) else str(kind[0])


def _with_article(word: str) -> str:
    return f"an {word}" if word[0] in "ao" else f"a {word}"
