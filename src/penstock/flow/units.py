"""Parse and format sizes and durations as people write them: ``64MiB``, ``30s``. Pure functions.

Inside penstock a size is an ``int`` of bytes and a duration a ``float`` of seconds; text is converted at the edge, here.
"""

from __future__ import annotations

import math
import re

from penstock.errors import ConfigurationError

__all__ = ["format_bytes", "format_count", "format_seconds", "parse_duration", "parse_rate", "parse_size"]

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b?)\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_STEP = 1024.0


def parse_size(value: int | str, *, name: str = "size") -> int:
    """Read a number of bytes: ``134217728``, ``"128MiB"``, ``"128Mi"``, ``"128M"``, ``"1.5G"``, ``"500kB"``.

    As in GNU tools, ``K M G T`` alone and with ``i`` are powers of 1024; ``kB MB GB TB`` are powers of 1000.

    Args:
        value: the size; an ``int`` is bytes.
        name: what it is the size of, for the message.

    Raises:
        ConfigurationError: it is not a size, or not above zero.
    """
    if isinstance(value, str):
        return _size_of_text(value, name)
    if value <= 0:
        raise ConfigurationError(f"{name} must be a number of bytes above zero, not {value!r}")
    return int(value)


def _size_of_text(text: str, name: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"{name} {text!r} is not a size; write it like 64MiB, 64M or 67108864")
    number, prefix, suffix = match.groups()
    base = 1000 if prefix and suffix.lower() == "b" else 1024
    size = int(float(number) * base ** _POWERS[prefix.lower()])
    if size <= 0:
        raise ConfigurationError(f"{name} must be above zero, not {text!r}")
    return size


def parse_duration(value: float | str, *, name: str = "duration") -> float:
    """Read a number of seconds: ``30``, ``1.5``, ``"30s"``, ``"5m"``, ``"1h30m"``, ``"250ms"``, ``"2d"``.

    Args:
        value: the duration; a number is seconds, with or without quotes.
        name: what lasts that long, for the message.

    Raises:
        ConfigurationError: it is not a duration, or not above zero.
    """
    seconds = _seconds_of_text(value, name) if isinstance(value, str) else float(value)
    if not math.isfinite(seconds) or seconds <= 0:
        raise ConfigurationError(f"{name} must be above zero, not {value!r}")
    return seconds


def _seconds_of_text(text: str, name: str) -> float:
    compact = text.strip().lower().replace(" ", "")
    try:
        return float(compact)
    except ValueError:
        pass  # not a bare number: try the units
    parts = _DURATION.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ConfigurationError(f"{name} {text!r} is not a duration; write it like 30s, 5m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_rate(value: float | str, *, name: str = "rate") -> float:
    """Read a number of bytes per second: ``1048576``, ``"10MiB/s"``, ``"10M"``.

    Args:
        value: the rate; a number is bytes per second. Text is a size as :func:`parse_size` reads it, ``/s`` may follow.
        name: what it is the rate of, for the message.

    Raises:
        ConfigurationError: it is not a rate, or not above zero.
    """
    if isinstance(value, str):
        size = value.strip()
        try:
            return float(parse_size(size[:-2] if size.lower().endswith("/s") else size, name=name))
        except ConfigurationError:
            raise ConfigurationError(f"{name} {value!r} is not a rate above zero; write it like 10MiB/s") from None
    if not math.isfinite(value) or value <= 0:
        raise ConfigurationError(f"{name} must be a number of bytes per second above zero, not {value!r}")
    return float(value)


def format_bytes(size: float) -> str:
    """Write a size for people, in powers of 1024: ``"12.3 MiB"``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(size) < _STEP:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} TiB"


def format_count(number: float) -> str:
    """Write a count for people, whole and with thousands apart: ``"1,000,000"``."""
    return f"{number:,.0f}"


def format_seconds(seconds: float) -> str:
    """Write a duration for people: ``"850 ms"``, ``"12.3 s"``, ``"2 h 03 min"``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
