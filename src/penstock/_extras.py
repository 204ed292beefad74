"""Import an optional package, or raise an error that names the extra to install. Used by every layer above."""

from __future__ import annotations

import importlib
from typing import Any

from penstock.errors import MissingExtra

__all__ = ["need"]


def need(module: str, *, extra: str, why: str) -> Any:
    """Import ``module`` by name and return it.

    Args:
        module: dotted name, such as ``"pyarrow.csv"``.
        extra: the extra of this distribution that brings it.
        why: what it is needed for, as the end of the sentence "... is needed to".

    Raises:
        MissingExtra: it is not installed; the message is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        package = module.partition(".")[0]
        missing = MissingExtra(f"{package} is needed to {why}: pip install 'penstock[{extra}]'")
        missing.name = package
        raise missing from exc
