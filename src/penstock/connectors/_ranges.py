"""Conditions that divide rows into ranges, as SQL and for people. Every row is in exactly one range. Pure text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Range", "narrowed", "ranges_between"]


@dataclass(frozen=True)
class Range:
    """Some of the rows.

    Attributes:
        condition: which, as SQL; ``""`` for all.
        words: the same for people.
    """

    condition: str
    words: str


def ranges_between(column: str, name: str, bounds: Sequence[tuple[str, str]], *, takes_null: bool) -> Iterator[Range]:
    """Yield the ranges between ``bounds``: the first has no lower bound, the last no upper one.

    Args:
        column: what is compared, as SQL.
        name: the same for people.
        bounds: where all ranges but the first begin, ascending, each as SQL and for people.
        takes_null: whether the first range takes NULL.
    """
    if not bounds:
        yield Range("", "all rows")
        return
    null, or_null = (f" OR {column} IS NULL", " or NULL") if takes_null else ("", "")
    first, first_words = bounds[0]
    yield Range(f"{column} < {first}{null}", f"{name} < {first_words}{or_null}")
    for (lower, lower_words), (upper, upper_words) in pairwise(bounds):
        yield Range(f"{column} >= {lower} AND {column} < {upper}", f"{lower_words} <= {name} < {upper_words}")
    last, last_words = bounds[-1]
    yield Range(f"{column} >= {last}", f"{name} >= {last_words}")


def narrowed(where: str | None, condition: str) -> str | None:
    """Return both conditions as one; None where there is neither. Each may end in a comment."""
    return " AND ".join(f"(\n{each}\n)" for each in (where, condition) if each) or None
