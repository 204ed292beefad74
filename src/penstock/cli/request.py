"""Turn parsed arguments into a plan and a redactor; the same for ``cp`` and ``plan``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from penstock import api
from penstock.cli.redaction import Redactor
from penstock.errors import ConfigurationError
from penstock.flow.plan import Plan

__all__ = ["plan_of", "redactor_of"]


def plan_of(arguments: argparse.Namespace) -> Plan:
    """Return the plan that the arguments ask for. Opens nothing but the file with the query.

    Raises:
        ConfigurationError: the request makes no sense as written.
    """
    query = arguments.query if arguments.file is None else _read_query(Path(arguments.file))
    given = {**vars(arguments), "query": query}
    options = api.CopyOptions(**{option.name: _decoded(given[option.name]) for option in fields(api.CopyOptions)})
    for side, address in (("SRC", arguments.source), ("DST", arguments.destination)):
        if "://" in address and not address.lower().startswith("file:") and any(map(_is_half, address)):
            raise ConfigurationError(f"{side} is not text: it has bytes that can not be decoded in this locale")
    return api.plan(arguments.source, arguments.destination, options)


def _decoded(value: Any) -> Any:
    """Return text as it was typed, also where Python could not decode it in the current locale.

    Python represents such bytes of an argument as lone surrogates. In file names they stay that way, but the name of a
    table, or a query, has to be proper text.
    """
    if isinstance(value, Mapping):
        return {_decoded(name): _decoded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        return os.fsencode(value).decode() if any(map(_is_half, value)) else value
    except UnicodeError as error:
        raise ConfigurationError(f"{value!r} is no text: arguments are read as UTF-8") from error


def _is_half(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"


def redactor_of(arguments: argparse.Namespace) -> Redactor:
    """Return the redactor that removes the secrets of this command from everything shown."""
    given = [*(arguments.source_options or {}).items(), *(arguments.destination_options or {}).items()]
    return Redactor([arguments.source, arguments.destination], options=given)


def _read_query(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"cannot read the query file {file}: {reason}") from error
