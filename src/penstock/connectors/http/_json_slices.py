"""Find where values begin and end in JSON text, without parsing it.

A page of an API is some text around an array of records. Only that text is needed here. The records are passed on as they
are written, so no number is rounded, and no Python objects are made. The text is assumed to be JSON: obvious errors are
reported here, and the decoder that gets the records checks them.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from penstock.core.cancel import check_cancelled

__all__ = ["NotFound", "NotJson", "check_rest", "elements", "end_of_value", "skip_space", "start_of", "value_at"]

Slice = tuple[int, int]

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_ATOM = re.compile(rb"[^\s,:\[\]{}\"]++")
# From one bracket to the next; in between are strings, in which brackets mean nothing, and whatever else.
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:"(?:[^"\\]++|\\.)*+"[^"\[\]{}]*+)*+', re.DOTALL)
# An object without brackets inside, and what follows it in its array. Most records are such, and one match is fast.
_FLAT_ELEMENT = re.compile(
    rb'(\{[^"\[\]{}]*+(?:"(?:[^"\\]++|\\.)*+"[^"\[\]{}]*+)*+\})[ \t\r\n]*+([,\]])[ \t\r\n]*+', re.DOTALL
)
_OPENING = b"[{"
_CLOSING = b"]}"
_SHOWN_BYTES = 40
_CHECKED_BRACKETS = 1 << 15  # some ten milliseconds


class NotJson(ValueError):
    """The text is not JSON, or ends too early; the message says where."""


class NotFound(LookupError):
    """There is no value at that path; the message says how far it goes."""


def value_at(text: bytes, path: Sequence[str]) -> Slice:
    """Return where the value at ``path`` is in ``text``; as :func:`start_of`."""
    start = start_of(text, path)
    return start, end_of_value(text, start)


def start_of(text: bytes, path: Sequence[str]) -> int:
    """Return where the value at ``path`` begins in ``text``.

    Args:
        text: JSON, UTF-8.
        path: from the outside in, names of fields, and numbers of elements, counted from 0, or backwards from -1.

    Raises:
        NotFound: there is none.
        NotJson: the text cannot be followed.
    """
    start, depth = skip_space(text, 0), 0
    while depth < len(path):
        found = _step(text, start, path[depth:])
        if found is None:
            raise NotFound(f"there is no {'.'.join(path[: depth + 1])!r}{_instead(text, start)}")
        start, depth = found[0], depth + found[1]
    return start


def _step(text: bytes, start: int, path: Sequence[str]) -> tuple[int, int] | None:
    """Return where the value begins that ``path`` leads to next, and how many steps that took."""
    opening = text[start : start + 1]
    if not opening:
        raise _not_json(text, start, "a value")
    if opening == b"{":
        return _field(text, start, path)
    if opening == b"[" and re.fullmatch(r"-?\d+", path[0]):
        found = _element(text, start, int(path[0]))
        return None if found is None else (found, 1)
    return None


def _field(text: bytes, start: int, path: Sequence[str]) -> tuple[int, int] | None:
    # A name may have dots in it: "@odata.nextLink".
    steps = {".".join(path[:count]): count for count in range(1, len(path) + 1)}
    found = [(steps[name], value) for name, (value, _end) in _members(text, start) if name in steps]
    return next(((value, count) for count, value in sorted(found)), None)


def _element(text: bytes, start: int, number: int) -> int | None:
    places = (place for place, _end in elements(text, start))
    if number >= 0:
        return next(islice(places, number, None), None)
    last = deque(places, maxlen=-number)
    return last[0] if len(last) == -number else None


def _instead(text: bytes, start: int) -> str:
    """Say what there is where a name was not found."""
    opening = text[start : start + 1]
    if opening == b"{":
        return f"; there is {', '.join(name for name, _ in _members(text, start)) or 'nothing'}"
    return "; it is an array" if opening == b"[" else "; it is neither an object nor an array"


def elements(text: bytes, start: int) -> Iterator[Slice]:
    """Yield where each element of the array at ``start`` is."""
    at = skip_space(text, start + 1)
    if text[at : at + 1] == b"]":
        return
    flat_element = _FLAT_ELEMENT.match
    while True:
        if flat := flat_element(text, at):
            yield flat.span(1)
            if flat[2] == b"]":
                return
            at = flat.end()
            continue
        end = end_of_value(text, at)
        yield at, end
        at = skip_space(text, end)
        if text[at : at + 1] == b"]":
            return
        at = skip_space(text, _after(text, at, b","))


def _members(text: bytes, start: int) -> Iterator[tuple[str, Slice]]:
    at = skip_space(text, start + 1)
    if text[at : at + 1] == b"}":
        return
    while True:
        end = end_of_value(text, at)
        name = json.loads(text[at:end]) if text[at : at + 1] == b'"' else None
        if name is None:
            raise _not_json(text, at, "the name of a field")
        at = skip_space(text, _after(text, skip_space(text, end), b":"))
        end = end_of_value(text, at)
        yield name, (at, end)
        at = skip_space(text, end)
        if text[at : at + 1] == b"}":
            return
        at = skip_space(text, _after(text, at, b","))


def end_of_value(text: bytes, start: int) -> int:
    """Return where the value that begins at ``start`` ends.

    Raises:
        NotJson: there is none, or the text ends before it does.
    """
    opening = text[start : start + 1]
    if opening and opening in _OPENING:
        return _end_of_brackets(text, start)
    match = (_STRING if opening == b'"' else _ATOM).match(text, start)
    if match is None:
        raise _not_json(text, start, "a value")
    return match.end()


def check_rest(text: bytes, start: int, end: int) -> None:
    """Make sure that all of ``text`` is one value, of which what is from ``start`` to ``end`` is a part.

    Raises:
        NotJson: it ends before that value does, or something comes after it.
    """
    at = skip_space(text, _closed(text, end, _depth(text, start), 0))
    if at < len(text):
        raise _not_json(text, at, "the end")


def _depth(text: bytes, end: int) -> int:
    """Return how many brackets are open at ``end``."""
    depth = at = 0
    while (at := _TO_BRACKET.match(text, at, end).end()) < end:  # type: ignore[union-attr]  # it always matches
        depth += 1 if text[at : at + 1] in _OPENING else -1
        at += 1
    return depth


def _end_of_brackets(text: bytes, start: int) -> int:
    return _closed(text, start + 1, 1, start)


def _closed(text: bytes, at: int, depth: int, start: int) -> int:
    """Return where the last of ``depth`` open brackets is closed, the first of which is at ``start``."""
    to_bracket = _TO_BRACKET.match
    brackets = 0
    while depth:
        brackets += 1
        if not brackets % _CHECKED_BRACKETS:
            check_cancelled()
        at = to_bracket(text, at).end()  # type: ignore[union-attr]  # it always matches, if only nothing
        bracket = text[at : at + 1]
        if not bracket or bracket == b'"':
            raise _not_json(text, at, "the end of what begins at byte " + str(start))
        depth += 1 if bracket in _OPENING else -1
        at += 1
    return at


def skip_space(text: bytes, start: int) -> int:
    """Return where the next thing is that is not white space."""
    return _SPACE.match(text, start).end()  # type: ignore[union-attr]  # it always matches, if only nothing


def _after(text: bytes, at: int, mark: bytes) -> int:
    if text[at : at + 1] != mark:
        raise _not_json(text, at, repr(mark.decode()))
    return at + 1


def _not_json(text: bytes, at: int, expected: str) -> NotJson:
    if at >= len(text):
        return NotJson(f"not JSON: it ends where {expected} should be")
    shown = text[at : at + _SHOWN_BYTES].decode(errors="replace")
    return NotJson(f"not JSON: {expected} should be at byte {at}, where there is {shown!r}")
