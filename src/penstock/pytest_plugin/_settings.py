"""The settings for checking a test, from the ini file and from markers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest

from penstock.errors import ConfigurationError
from penstock.leaks import Ignore
from penstock.leaks._check import GRACE_SECONDS
from penstock.leaks._report.model import Kind
from penstock.leaks._rules import rule_of

__all__ = ["Settings", "settings_of_run", "settings_of_test"]

_KINDS: frozenset[str] = frozenset(get_args(Kind))
_ARGUMENTS = ("enabled", "grace", "ignore", "strict", "kinds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to check.

    Attributes:
        enabled: True or False as a marker says; None if there is no marker.
        grace: seconds to wait for things that are still on their way out.
        ignore: rules for what not to report, in addition to the built-in ones.
        strict: whether to report also what will probably end by itself or is a service.
        kinds: report only these kinds.
    """

    enabled: bool | None = None
    grace: float = GRACE_SECONDS
    ignore: tuple[Ignore, ...] = ()
    strict: bool = False
    kinds: frozenset[str] = _KINDS


def settings_of_run(config: pytest.Config) -> Settings:
    """Return the settings in the ini file.

    Raises:
        UsageError: one of them makes no sense.
    """
    try:
        grace = config.getini("leakcheck_grace")
        return Settings(
            grace=_seconds(grace) if grace is not None else GRACE_SECONDS,
            ignore=tuple(map(rule_of, config.getini("leakcheck_ignore"))),
            strict=config.getini("leakcheck_strict"),
        )
    except (ConfigurationError, ValueError, pytest.UsageError) as exc:
        raise pytest.UsageError(f"leakcheck in the ini file: {exc}") from exc


def settings_of_test(item: pytest.Item, run: Settings) -> Settings:
    """Return ``run``, changed by the markers of ``item``. For each argument, the marker nearest to the test counts.

    Rules in ``ignore=`` are added to those of the ini file.

    Raises:
        ConfigurationError: a marker says something that makes no sense.
    """
    given: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("leakcheck"))):
        given.update(_arguments(marker))
    return _changed(run, given) if given else run


def _arguments(marker: pytest.Mark) -> dict[str, Any]:
    unknown = sorted(set(marker.kwargs) - set(_ARGUMENTS))
    if unknown or len(marker.args) > 1 or (marker.args and "enabled" in marker.kwargs):
        wrong = f"{unknown[0]}=" if unknown else "more than one positional argument"
        raise ConfigurationError(f"@pytest.mark.leakcheck takes enabled, grace=, ignore=, strict=, kinds=; not {wrong}")
    # A marker asks for a check unless it says otherwise, whatever one farther off says.
    return {"enabled": bool(marker.args[0]) if marker.args else True, **marker.kwargs}


def _changed(run: Settings, given: Mapping[str, Any]) -> Settings:
    return replace(
        run,
        enabled=bool(given["enabled"]),
        grace=_seconds(given.get("grace", run.grace)),
        ignore=(*run.ignore, *_rules(given.get("ignore", ()))),
        strict=bool(given.get("strict", run.strict)),
        kinds=_kinds(given["kinds"]) if "kinds" in given else run.kinds,
    )


def _seconds(value: object) -> float:
    try:
        seconds = float(value)  # type: ignore[arg-type]  # whatever was written there
    except (TypeError, ValueError):
        raise ConfigurationError(f"grace is a number of seconds, not {value!r}") from None
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"grace is a number of seconds from 0 on, not {value!r}")
    return seconds


def _rules(given: Ignore | str | Iterable[Ignore | str]) -> tuple[Ignore, ...]:
    several = (given,) if isinstance(given, Ignore | str) else tuple(given)
    return tuple(rule_of(each) if isinstance(each, str) else each for each in several)


def _kinds(given: str | Iterable[str]) -> frozenset[str]:
    kinds = frozenset((given,) if isinstance(given, str) else given)
    for kind in kinds - _KINDS:
        raise ConfigurationError(f"{kind!r} is no kind of leak; there are {', '.join(sorted(_KINDS))}")
    return kinds
