"""docs/cli.md tells of every flag and every exit code, and of none that does not exist."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from penstock.cli import exit_codes
from penstock.cli.arguments import build_parser

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    flags = set()
    for action in parser._actions:
        flags.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                flags |= flags_of(command)
    return flags


def documented_flags(page: str) -> set[str]:
    code = " ".join(re.findall(r"`([^`\n]+)`", page))
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", code))


def test_every_flag_is_documented() -> None:
    """The flags in docs/cli.md are exactly those of the parser."""
    twice = {"-vv"}  # -v, given two times
    assert documented_flags(PAGE) - twice == flags_of(build_parser())


def test_a_flag_nobody_documented_is_found() -> None:
    """The check above notices a flag that the page does not have."""
    parser = build_parser()
    parser.add_argument("--planted")
    assert flags_of(parser) - documented_flags(PAGE) == {"--planted"}


def test_every_flag_has_help() -> None:
    """`--help` says something about each."""
    silent = [a for p in parsers(build_parser()) for a in p._actions if not a.help and a.dest != "command"]
    assert silent == []


def parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [inner for command in action.choices.values() for inner in parsers(command)]
    return found


def test_every_exit_code_is_documented() -> None:
    """Each code of exit_codes.py has a row in the table."""
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    codes |= {exit_codes.code_for_signal(number) for number in (2, 15)}
    assert codes <= {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
