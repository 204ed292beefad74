"""Jumping about in what hands out ranges, and which keys a pattern matches."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given, strategies as st

from penstock.connectors._ranged import RangedReader
from penstock.connectors.objects._key_patterns import fixed_prefix, matcher_of
from penstock.errors import SourceError

DATA = os.urandom(300_000)


class Ranges:
    """Hands out ranges of ``data``, and remembers which."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def fetch(self, start: int, end: int) -> bytes:
        self.asked.append((start, end))
        return self.data[start:end]

    def reader(self) -> RangedReader:
        return RangedReader(self.fetch, len(self.data), where="store")


@given(st.lists(st.tuples(st.sampled_from(["read", "seek", "end"]), st.integers(0, len(DATA) + 10))))
def test_it_reads_as_a_file_does(steps: list[tuple[str, int]]) -> None:
    """Whatever order of jumps and reads, positions and bytes are those of a file."""
    reader, file = Ranges().reader(), io.BytesIO(DATA)
    for what, number in steps:
        if what == "read":
            assert reader.read(number) == file.read(number)
        elif what == "seek":
            assert reader.seek(number) == file.seek(number)
        else:
            assert reader.seek(-min(number, len(DATA)), os.SEEK_END) == file.seek(-min(number, len(DATA)), os.SEEK_END)
        assert reader.tell() == file.tell()


def test_reading_on_asks_less_and_less_often() -> None:
    """Small reads in a row are served by windows that grow; each byte is fetched once."""
    ranges = Ranges()
    reader = ranges.reader()
    while reader.read(1000):
        pass
    assert ranges.asked[0] == (0, 128 << 10)
    assert sum(end - start for start, end in ranges.asked) == len(DATA)
    assert len(ranges.asked) == 2


def test_a_jump_fetches_little() -> None:
    """After a jump nobody knows whether reading goes on there."""
    ranges = Ranges()
    reader = ranges.reader()
    reader.seek(-8, os.SEEK_END)
    assert reader.read(8) == DATA[-8:]
    reader.seek(10)
    assert reader.read(8) == DATA[10:18]
    assert ranges.asked == [(len(DATA) - 8, len(DATA)), (10, 10 + (64 << 10))]


def test_a_large_read_asks_once() -> None:
    """What is larger than a window is fetched as it is asked for."""
    ranges = Ranges()
    reader = ranges.reader()
    reader.seek(5)
    assert reader.read(200_000) == DATA[5:200_005]
    assert ranges.asked == [(5, 200_005)]


def test_short_answers_are_errors() -> None:
    """A store that gives less than the object has is not believed."""
    reader = RangedReader(lambda _start, _end: b"x", 100, where="s3://bucket/key")
    with pytest.raises(SourceError, match=r"^s3://bucket/key: 1 bytes came where 100 were asked for"):
        reader.read()


def test_nobody_jumps_before_the_beginning() -> None:
    """As a file, it refuses."""
    with pytest.raises(ValueError, match="before the beginning"):
        Ranges().reader().seek(-1)


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("2024/*.csv", "2024/a.csv", True),
        ("2024/*.csv", "2024/b/a.csv", False),
        ("2024/*.csv", "2024/.a.csv", False),
        ("2024/.*.csv", "2024/.a.csv", True),
        ("**/a.csv", "a.csv", True),
        ("**/a.csv", "x/y/a.csv", True),
        ("**/a.csv", "x/ya.csv", False),
        ("x/**", "x/y/z.csv", True),
        ("a?.csv", "ab.csv", True),
        ("a?.csv", "a/.csv", False),
        ("a[0-9].csv", "a5.csv", True),
        ("a[!0-9].csv", "a5.csv", False),
        ("a[!0-9].csv", "ab.csv", True),
        ("a[^0].csv", "a^.csv", True),
        ("a.b+c(d)/*", "a.b+c(d)/x", True),
        ("a.b/*", "aXb/x", False),
    ],
)
def test_patterns_match_as_in_a_shell(pattern: str, key: str, matches: bool) -> None:
    """Wildcards stay within a folder, all but ``**``."""
    assert matcher_of(pattern)(key) is matches


@pytest.mark.parametrize(
    ("pattern", "prefix"), [("2024/*.csv", "2024/"), ("*.csv", ""), ("a/b[0]/c", "a/"), ("a/b/c*", "a/b/"), ("**", "")]
)
def test_only_what_may_match_is_listed(pattern: str, prefix: str) -> None:
    """The folders before the first wildcard."""
    assert fixed_prefix(pattern) == prefix
