"""The engines by name. Each is imported on first use, so one may need an extra."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from penstock.engines.chain import Compress
from penstock.engines.outcome import Observer, Outcome
from penstock.errors import ConfigurationError
from penstock.flow.plan import Plan
from penstock.flow.suggest import did_you_mean

__all__ = ["Engine", "check_engine", "engine_named"]

_MODULES = {"local": "penstock.engines.local"}


class Engine(Protocol):
    """The functions that the module of an engine has."""

    def run(self, plan: Plan, *, compress: Compress, observe: Observer | None = None) -> Outcome:
        """Run ``plan`` to its end; blocks. As :func:`penstock.engines.local.run`."""
        ...


def engine_named(name: str) -> Engine:
    """Return the engine called ``name``.

    Raises:
        ConfigurationError: there is no such engine.
    """
    check_engine(name)
    return cast(Engine, importlib.import_module(_MODULES[name]))


def check_engine(name: str) -> None:
    """Refuse a name that no engine has. Imports no engine.

    Raises:
        ConfigurationError: there is no such engine.
    """
    if name not in _MODULES:
        there_are = f"there is {', '.join(map(repr, _MODULES))}, whose partitions are threads of this process"
        raise ConfigurationError(
            " ".join(filter(None, (f"unknown engine {name!r}:", did_you_mean(name, _MODULES), there_are)))
        )
