"""Options of formats, as they come from a command line or from Python, made into what the format takes."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from penstock.errors import ConfigurationError
from penstock.flow.suggest import did_you_mean
from penstock.flow.units import parse_size

__all__ = ["OptionError", "converted", "option_names"]

# What a format is called, and what it is told by those who use it, which is not for a user to choose.
_NOT_OPTIONS = frozenset({"name", "media_type", "batch_bytes", "columns", "on_type_loss", "losses"})
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class OptionError(ValueError):
    """A format cannot take an option as it is; ``allowed`` says what it takes.

    Raised by formats when they are made; :func:`penstock.formats.format_by_name` puts their name to it.
    """

    def __init__(self, option: str, value: object, allowed: str) -> None:
        super().__init__(f"{option}={value!r}: it takes {allowed}")


def option_names(factory: Callable[..., object]) -> list[str]:
    """Return the options a format has: the parameters of what makes it."""
    return [parameter for parameter in inspect.signature(factory).parameters if parameter not in _NOT_OPTIONS]


def converted(name: str, factory: Callable[..., object], options: Mapping[str, object]) -> dict[str, object]:
    """Return ``options`` with each value as the annotation of its parameter has it.

    Text becomes numbers, sizes (``*_bytes``: ``"16MiB"``), booleans and lists of names.

    Args:
        name: of the format, for messages.
        factory: what takes the options.
        options: by name.

    Raises:
        ConfigurationError: there is no such option; says which one may have been meant.
        OptionError: a value is not what the option takes.
    """
    known = option_names(factory)
    for option in options:
        if option not in known:
            hint = did_you_mean(option, known, otherwise=f"it has {', '.join(known)}" if known else "it has none")
            raise ConfigurationError(f"the format {name!r} has no option {option!r}: {hint}")
    hints = get_type_hints(factory)
    return {option: _value(option, value, hints[option]) for option, value in options.items()}


def _value(option: str, value: object, hint: Any) -> object:
    kinds = get_args(hint) if get_origin(hint) in {Union, types.UnionType} else (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = next(kind for kind in kinds if kind is not type(None))
    return _converters(kind)(option, value)


def _converters(kind: Any) -> Callable[[str, object], object]:
    if get_origin(kind) is Literal:
        return lambda option, value: _choice(option, value, get_args(kind))
    if get_origin(kind) is tuple:
        return _names
    return {bool: _boolean, int: _number, str: _text}[kind]


def _choice(option: str, value: object, allowed: tuple[object, ...]) -> object:
    if value not in allowed:
        raise OptionError(option, value, " or ".join(map(str, allowed)))
    return value


def _boolean(option: str, value: object) -> bool:
    found = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
    if found is None:
        raise OptionError(option, value, "true or false")
    return found


def _number(option: str, value: object) -> int:
    if option.endswith("_bytes") and isinstance(value, int | str) and not isinstance(value, bool):
        return parse_size(value, name=option)
    try:
        return int(str(value))
    except ValueError:
        raise OptionError(option, value, "a whole number") from None


def _text(option: str, value: object) -> str:
    if not isinstance(value, str):
        raise OptionError(option, value, "text")
    return value


def _names(option: str, value: object) -> tuple[str, ...]:
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(name, str) for name in listed):
        raise OptionError(option, value, "names separated by commas")
    return tuple(name.strip() for name in listed)
