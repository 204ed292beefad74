"""Parse ``ignore`` rules written as text, on the command line or in configuration files."""

from __future__ import annotations

import shlex
from typing import get_args

from penstock.errors import ConfigurationError
from penstock.leaks._ignore import Ignore, ignore
from penstock.leaks._report.model import Kind

__all__ = ["CONDITIONS", "rule_of"]

CONDITIONS = ("kind", "name", "top_function", "any_function", "created_by")


def rule_of(line: str) -> Ignore:
    """Parse a line such as ``kind=thread name="my worker*"  # why``.

    Raises:
        ConfigurationError: the line is not a rule.
    """
    text, _, reason = line.partition(" #")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigurationError(f"the rule {line!r} cannot be read: {error}") from None
    conditions = {}
    for word in words:
        condition, _, pattern = word.partition("=")
        if condition not in CONDITIONS or not pattern:
            known = ", ".join(CONDITIONS)
            raise ConfigurationError(f"{word!r} is not CONDITION=PATTERN, where CONDITION is one of {known}")
        conditions[condition] = pattern
    kinds = get_args(Kind)
    if conditions.get("kind", kinds[0]) not in kinds:
        raise ConfigurationError(f"{conditions['kind']!r} is no kind of leak; there are {', '.join(kinds)}")
    return ignore(**conditions, reason=reason.strip())
