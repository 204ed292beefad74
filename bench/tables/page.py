"""Put a table of this bench onto docs/performance.md, between the two comments that are its place."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from bench import machine
from bench.report import replace_between

__all__ = ["PAGE", "command_of", "facts_with", "fill", "update_page"]

PAGE = Path("docs/performance.md")


def facts_with(packages: Sequence[str], others: Mapping[str, str] | None = None) -> dict[str, object]:
    """Return the facts of this machine, with versions of ``packages`` and ``others`` in place of the other benches'."""
    return {**machine.facts(), "packages": {**{name: version(name) for name in packages}, **(others or {})}}


def command_of(module: str, arguments: Sequence[str]) -> str:
    """Return the command that is running, as somebody else would repeat it."""
    kept = [argument for argument in arguments if argument != "--update-page"]
    return shlex.join(["python", "-m", module, *kept])


def fill(page: str, name: str, table: str, command: str, facts: dict[str, object], how: str) -> str:
    """Return the page with ``table`` in the place of ``name``, and below it how it came to be.

    Raises:
        ValueError: the page has no such place.
    """
    return replace_between(page, name, f"{table}\n\n`{command}`, {how}. {machine.sentence(facts)}.")


def update_page(
    name: str,
    table: str,
    *,
    module: str,
    facts: dict[str, object],
    how: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """Do that to docs/performance.md.

    Args:
        name: of the place.
        table: in Markdown.
        module: that is run by the command.
        facts: of the machine.
        how: what the figures are: ``"medians of 3 runs"``.
        arguments: of the command that measured, if that was another than the one that is running.
    """
    page = PAGE.read_text("utf-8")
    command = command_of(module, sys.argv[1:] if arguments is None else arguments)
    PAGE.write_text(fill(page, name, table, command, facts, how), "utf-8")
