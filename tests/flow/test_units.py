"""Sizes and durations, read and written."""

from __future__ import annotations

import pytest

from penstock.errors import ConfigurationError
from penstock.flow.units import (
    format_bytes,
    format_count,
    format_seconds,
    parse_duration,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1, 1),
        ("1", 1),
        ("64MiB", 64 * 1024**2),
        ("64Mi", 64 * 1024**2),
        ("64M", 64 * 1024**2),
        ("64m", 64 * 1024**2),
        ("64MB", 64_000_000),
        ("1.5G", 3 * 1024**3 // 2),
        (" 500 kB ", 500_000),
        ("2T", 2 * 1024**4),
        ("12B", 12),
    ],
)
def test_sizes_read_as_gnu_tools_read_them(text: int | str, size: int) -> None:
    """K, M, G, T and Ki, KiB... are powers of 1024; kB, MB, GB, TB powers of 1000."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "12q", "-1", "0", "0.1", "1 2", "MiB", 0, -5])
def test_what_is_no_size_is_refused_by_name(text: int | str) -> None:
    """The message names the option, so that the user knows which one to correct."""
    with pytest.raises(ConfigurationError, match="part_size"):
        parse_size(text, name="part_size")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (2, 2.0),
        (0.5, 0.5),
        ("30", 30.0),
        ("1.5", 1.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("2d", 172800.0),
        ("1 h 30 m", 5400.0),
        ("90S", 90.0),
    ],
)
def test_durations_read_as_people_write_them(text: float | str, seconds: float) -> None:
    """A bare number is seconds; units may be combined."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "5m3", "-1s", "0", "nan", "inf", 0, -1.0, float("nan")])
def test_what_is_no_duration_is_refused_by_name(text: float | str) -> None:
    """Zero, negative and endless durations are refused too: None is how to say there is no limit."""
    with pytest.raises(ConfigurationError, match="stall_timeout"):
        parse_duration(text, name="stall_timeout")


def test_numbers_are_written_for_people() -> None:
    """Sizes in powers of 1024, counts with thousands apart, durations in the largest sensible unit."""
    assert [format_bytes(size) for size in (0, 1023, 1024, 13 * 1024**2, 5 * 1024**4)] == [
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "13.0 MiB",
        "5.0 TiB",
    ]
    assert format_count(1234567.4) == "1,234,567"
    assert [format_seconds(seconds) for seconds in (0.0123, 59.94, 60, 3599.6, 7380)] == [
        "12 ms",
        "59.9 s",
        "1 min 00 s",
        "1 h 00 min",
        "2 h 03 min",
    ]


@pytest.mark.parametrize(
    ("text", "rate"), [(1000, 1000.0), (0.5, 0.5), ("10MiB/s", 10 * 1024**2), ("10M", 10 * 1024**2), ("1 kB/S", 1000)]
)
def test_rates_are_sizes_per_second(text: float | str, rate: float) -> None:
    """With or without the /s."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "/s", "fast", "10MiB/h", "0", 0, -1.0, float("nan"), float("inf")])
def test_what_is_no_rate_is_refused_by_name(text: float | str) -> None:
    """Nor is zero one: nothing would ever move."""
    with pytest.raises(ConfigurationError, match="bwlimit"):
        parse_rate(text, name="bwlimit")
