"""The options of the MongoDB source: ``--source-option mode=tail``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError
from penstock.flow.suggest import did_you_mean
from penstock.flow.units import format_seconds, parse_duration

if TYPE_CHECKING:
    from penstock.connectors._requests import SourceRequest

__all__ = ["Options"]

_CHOICES = {
    "mode": ("next", "all", "tail"),
    "schema": ("first", "all"),
    "shape": ("rows", "document"),
    "json": ("relaxed", "canonical"),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was chosen; :mod:`penstock.connectors.mongodb` says what it means."""

    mode: str = "next"
    schema: str = "first"
    shape: str = "rows"
    json: str = "relaxed"
    idle: float | None = None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return what may be given."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def of(cls, request: SourceRequest) -> Options:
        """Return the options of a request.

        Raises:
            ConfigurationError: one of them has a value it cannot have, or they do not go together.
        """
        given = request.options
        chosen = {name: _choice(name, given[name], request.shown) for name in _CHOICES if name in given}
        idle = given.get("idle")
        if idle is not None and not isinstance(idle, int | float | str):
            raise ConfigurationError(f"{request.shown}: idle is a duration such as 5s, not {idle!r}")
        options = cls(**chosen, idle=None if idle is None else parse_duration(idle, name=f"{request.shown}: idle"))
        options._check(request)
        return options

    @property
    def idle_seconds(self) -> float | None:
        """How long ``mode=tail`` waits for a new document; None: for ever."""
        return self.idle

    def __str__(self) -> str:
        ends = "a cancel or deadline ends it" if self.idle is None else f"{format_seconds(self.idle)} of silence end it"
        return {
            "next": "the cursor is kept open while the destination takes them",
            "all": "all of it in memory before the first row",
            "tail": f"then waits for more: {ends}",
        }[self.mode]

    def _check(self, request: SourceRequest) -> None:
        if self.idle is not None and self.mode != "tail":
            raise ConfigurationError(f"{request.shown}: idle is for mode=tail, not mode={self.mode}")
        if self.mode == "tail" and self.schema == "all":
            raise ConfigurationError(f"{request.shown}: schema=all reads to the end first, and mode=tail has none")


def _choice(name: str, value: object, shown: str) -> str:
    known = _CHOICES[name]
    if value not in known:
        hint = did_you_mean(str(value), known, otherwise=f"it may be {' or '.join(known)}")
        raise ConfigurationError(f"{shown}: {name} is {value!r}: {hint}")
    return str(value)
