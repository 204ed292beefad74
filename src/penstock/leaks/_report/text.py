"""Format a report as text, in the order in which a tired engineer asks the questions.

What is it, will it ever end, where was it started, what does it wait for and who could end that, where is it now, and
last, next to the prompt, what to change. Proven and suspected leaks are worded differently.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from penstock.leaks._report.model import Kind, Leak, LeakReport
from penstock.leaks._report.places import callers, folded, readable

__all__ = ["Paint", "report_text"]

WIDTH = 100
_INDENT = "     "
_LABEL_WIDTH = 12
_NARROWEST = 30
_MOST = 6
_LONGEST_NAME = 120
_MINUTE = 60.0
_IN = re.compile(r"(?<=\d) in (?=\S)")  # of a place: file:line in function
_NO_BREAK = "\N{NO-BREAK SPACE}in\N{NO-BREAK SPACE}"
_COMPANIONS = re.compile(r"(?:thread '.*'|\d+ other threads), stuck as well")
_ADDRESS = re.compile(r"(?: at)? \b0x[0-9a-f]+\b")

Paint = Callable[[str, str], str]
"""Takes a role ("proven", "suspected", "label" or "fix") and a text, and returns the text in that role's colour."""

_SINGULAR: dict[Kind, str] = {"fd": "descriptor"}
_PLURAL: dict[Kind, str] = {"process": "processes", "fd": "descriptors"}
_SUSPECTED: dict[Kind, tuple[str, str]] = {
    "thread": ("outlived its scope", "outlived their scope"),
    "task": ("outlived its scope", "outlived their scope"),
    "process": ("was left behind", "were left behind"),
    "pool": ("was not shut down", "were not shut down"),
    "response": ("was neither read to its end nor closed", "were neither read to their end nor closed"),
    "generator": ("was left half-way", "were left half-way"),
}
_LEFT_OPEN = ("was left open", "were left open")
_PROVEN: dict[Kind, str] = {"thread": "will never wake", "task": "will never wake"}


def report_text(report: LeakReport, *, width: int = WIDTH, paint: Paint | None = None) -> str:
    """Return ``report`` as text of at most ``width`` columns, but for words longer than that.

    Leaks that differ in nothing but their names are told of once.
    """
    paint = paint if paint is not None else _unpainted
    groups = list(_grouped(report))
    sections = [_summary(report)]
    for number, group in enumerate(groups, 1):
        lead = f"{number}. " if len(groups) > 1 else ""
        sections.append("\n".join(_section(lead, group, width, paint)))
    return "\n\n".join(sections)


def _unpainted(_role: str, text: str) -> str:
    return text


def _summary(report: LeakReport) -> str:
    total, proven = len(report), len(report.proven)
    if total == 0:
        return "nothing left behind"
    verdicts = [f"{count} {word}" for count, word in ((proven, "proven"), (total - proven, "suspected")) if count]
    counts = ", ".join(f"{count} {_noun(kind, count)}" for kind, count in _kinds(report))
    return f"{total} {'leak' if total == 1 else 'leaks'}: {', '.join(verdicts)} ({counts})"


def _kinds(report: LeakReport) -> Iterator[tuple[Kind, int]]:
    for kind in dict.fromkeys(leak.kind for leak in report):
        yield kind, sum(leak.kind == kind for leak in report)


def _noun(kind: Kind, count: int = 1) -> str:
    if count == 1:
        return _SINGULAR.get(kind, kind)
    return _PLURAL.get(kind, f"{kind}s")


def _grouped(leaks: Iterable[Leak]) -> Iterator[list[Leak]]:
    groups: dict[Leak, list[Leak]] = {}
    for leak in leaks:
        groups.setdefault(_common_form(leak), []).append(leak)
    yield from groups.values()


def _common_form(leak: Leak) -> Leak:
    """Return ``leak`` without what tells it from others like it: its name, addresses, and how long it was seen."""
    nameless = _rewritten(leak, lambda text: text.replace(repr(leak.name), "it"))
    return replace(_without_companions(_rewritten(nameless, _without_addresses)), name="", waited_seconds=None)


def _representative(group: Sequence[Leak]) -> Leak:
    """Return the first of ``group``; without addresses, if the others wait on other objects."""
    if len(group) == 1:
        return group[0]
    leak = _without_companions(group[0])  # each names the others
    if all(each.blocked_on == leak.blocked_on for each in group):
        return leak
    return _rewritten(leak, _without_addresses)


def _without_companions(leak: Leak) -> Leak:
    return replace(leak, verdict=_COMPANIONS.sub("others, stuck as well", leak.verdict))


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("", text)


def _rewritten(leak: Leak, edit: Callable[[str], str]) -> Leak:
    def edited(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(edit, texts))

    return replace(
        leak,
        verdict=edit(leak.verdict),
        fix=edit(leak.fix),
        blocked_on=leak.blocked_on and edit(leak.blocked_on),
        holders=edited(leak.holders),
    )


def _section(lead: str, group: Sequence[Leak], width: int, paint: Paint) -> Iterator[str]:
    role = "proven" if group[0].proven else "suspected"
    first, *rest = _wrapped(lead + _headline(group), width)
    yield paint(role, first)
    yield from (paint(role, f"{_INDENT}{line}") for line in rest)
    for label, text in _rows(group):
        first, *rest = _wrapped(text, width - _LABEL_WIDTH)
        role = "fix" if label == "fix:" else "label"
        yield f"{_INDENT}{paint(role, label.ljust(_LABEL_WIDTH))}{first}"
        yield from (f"{_INDENT}{'':{_LABEL_WIDTH}}{line}" for line in rest)


def _wrapped(text: str, width: int) -> list[str]:
    """Break ``text`` into lines that leave room for the indent; paths and names stay whole."""
    available = max(width - len(_INDENT), _NARROWEST)
    text = _IN.sub(_NO_BREAK, text)
    lines = textwrap.wrap(text, available, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_NO_BREAK, " in ") for line in lines] or [""]


def _headline(group: Sequence[Leak]) -> str:
    leak = _representative(group)
    subject = f"{_noun(leak.kind)} {_named(leak)}"
    if len(group) > 1:
        alike = f"named {_named(leak)}" if len(_names(group)) == 1 else "like this"
        subject = f"{len(group)} {_noun(leak.kind, len(group))} {alike}"
    if leak.proven:
        because = f": {readable(leak.verdict)}" if leak.verdict else ""
        return f"{subject} {_PROVEN.get(leak.kind, 'can never end')}: PROVEN{because}"
    return f"{subject} {_SUSPECTED.get(leak.kind, _LEFT_OPEN)[len(group) > 1]} (suspected)"


def _rows(group: Sequence[Leak]) -> Iterator[tuple[str, str]]:
    """Yield label and text; a label is empty where its row goes on."""
    leak = _representative(group)
    names = _names(group)
    if len(names) > 1:
        yield "names", _listed(names, _MOST)
    if leak.scope is not None:
        yield "scope", readable(leak.scope)
    if leak.started_at is not None:
        yield "started at", readable(leak.started_at)
    yield from (("", f"called by {place}") for place in callers(leak.start_stack, leak.started_at))
    yield from _about_the_wait(leak, group)
    if leak.open_ends is not None:
        yield "open ends", str(leak.open_ends)
    if not all(holder in leak.verdict for holder in leak.holders):
        yield "held by", _listed([readable(holder) for holder in leak.holders], _MOST)
    if leak.verdict and not leak.proven:
        yield "not proven", readable(leak.verdict)
    yield from zip(["stack"] + [""] * len(leak.stack), folded(leak.stack), strict=False)
    yield "fix:", readable(leak.fix)


def _about_the_wait(leak: Leak, group: Sequence[Leak]) -> Iterator[tuple[str, str]]:
    known = [each.waited_seconds for each in group if each.waited_seconds is not None]
    seconds = f"at least {_duration(min(known))}" if known else ""
    if leak.blocked_on is not None:
        yield (
            "state" if leak.kind == "process" else "blocked in",
            readable(leak.blocked_on) + (f", for {seconds}" if seconds else ""),
        )
    if leak.created_at is not None and leak.created_at != leak.started_at:
        yield "made at", readable(leak.created_at)
    if seconds and leak.blocked_on is None:
        yield "there for", seconds


def _names(group: Iterable[Leak]) -> list[str]:
    return list(dict.fromkeys(map(_named, group)))


def _named(leak: Leak) -> str:
    name = " ".join(readable(leak.name).split())
    return f"'{name}'" if len(name) <= _LONGEST_NAME else f"'{name[:_LONGEST_NAME]}...'"


def _listed(texts: Sequence[str], limit: int) -> str:
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < _MINUTE else f"{seconds / _MINUTE:.0f} min"
