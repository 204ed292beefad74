"""Turn dates and times of MySQL's binary protocol into Arrow.

A value is a byte with the number of bytes that follow, and then the fields up to the last that is not zero: year, month,
day, hour, minute, second, microseconds. So ``'0000-00-00'`` is a count of zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from penstock.connectors.mysql._arrays import Array, Bools, Ints, numpy, pyarrow
from penstock.connectors.mysql._block import Block

__all__ = ["Instants", "take_instants", "take_times", "texts_of_durations"]

_MICROSECONDS_A_DAY = 86_400_000_000
_MONTHS = 13  # with the one that does not exist
_YEARS = 10_000


@dataclass(frozen=True)
class Instants:
    """Dates, or dates with times, taken apart; all zero where they are NULL."""

    year: Ints
    month: Ints
    day: Ints
    hour: Ints
    minute: Ints
    second: Ints
    microsecond: Ints

    def missing(self) -> Bools:
        """Return which of them no calendar has: a zero month or day, or the 31st of February."""
        _starts, lengths = _calendar()
        absent: Bools = (self.day == 0) | (self.day > lengths[self.year * _MONTHS + self.month])
        return absent

    def days(self) -> Ints:
        """Return the days since 1970-01-01; anything for those that are missing."""
        starts, _lengths = _calendar()
        since: Ints = starts[self.year * _MONTHS + self.month] + self.day
        return since

    def microseconds(self) -> Ints:
        """Return the microseconds since 1970-01-01."""
        np = numpy()
        seconds = (self.hour * 60 + self.minute) * 60 + self.second
        since: Ints = self.days().astype(np.int64) * _MICROSECONDS_A_DAY + seconds * 1_000_000 + self.microsecond
        return since

    def texts(self, valid: Bools | None, fraction_digits: int | None) -> Array:
        """Return them as the server writes them: ``0000-00-00 00:00:00.000``.

        Args:
            valid: which are not NULL.
            fraction_digits: how many follow the seconds; None for dates without a time.
        """
        pieces: list[Ints | str] = [_digits(self.year, 4), "-", _digits(self.month, 2), "-", _digits(self.day, 2)]
        if fraction_digits is not None:
            pieces += [" ", _digits(self.hour, 2), *_minutes(self.minute, self.second)]
            pieces += _fraction(self.microsecond, fraction_digits)
        return _joined(pieces, len(self.year), valid)


def take_instants(block: Block, valid: Bools | None, *, with_time: bool) -> Instants:
    """Move the cursor of ``block`` over a column of dates, or of dates with times, and return them."""
    np = numpy()
    cursor = block.cursor
    count = block.data[cursor]
    if valid is not None:
        count = count * valid
    block.advance(count.astype(np.int64) + 1, valid)
    part = _Parts(block, cursor, count)
    date = (part.take(1, "<u2", 4), part.take(3, "u1", 4), part.take(4, "u1", 4))
    if not with_time:
        zero = np.zeros(block.row_count, np.int64)
        return Instants(*date, zero, zero, zero, zero)
    return Instants(*date, part.take(5, "u1", 7), part.take(6, "u1", 7), part.take(7, "u1", 7), part.take(8, "<u4", 11))


def take_times(block: Block, valid: Bools | None, fraction_digits: int) -> Array:
    """Move over a column of TIME, and return it as the server writes it: ``-838:59:59.000``."""
    np = numpy()
    cursor = block.cursor
    count = block.data[cursor]
    if valid is not None:
        count = count * valid
    block.advance(count.astype(np.int64) + 1, valid)
    part = _Parts(block, cursor, count)
    is_negative = part.take(1, "u1", 8) != 0
    hours = part.take(2, "<u4", 8) * 24 + part.take(6, "u1", 8)
    pieces = ["-", _digits(hours, 3), *_minutes(part.take(7, "u1", 8), part.take(8, "u1", 8))]
    pieces += _fraction(part.take(9, "<u4", 12), fraction_digits)
    return _joined(pieces, block.row_count, valid, kept={0: is_negative, 1: hours >= 100})


def texts_of_durations(microseconds: Ints, valid: Bools | None) -> Array:
    """Return durations as MySQL reads a TIME: ``-838:59:59.000000``."""
    np = numpy()
    seconds, fraction = np.divmod(np.abs(microseconds), 1_000_000)
    minutes, second = np.divmod(seconds, 60)
    hours, minute = np.divmod(minutes, 60)
    pieces = ["-", _digits(hours, 3), *_minutes(minute, second), *_fraction(fraction, 6)]
    return _joined(pieces, len(microseconds), valid, kept={0: microseconds < 0, 1: hours >= 100})


@dataclass(frozen=True)
class _Parts:
    block: Block
    cursor: Ints
    count: Ints

    def take(self, offset: int, kind: str, least_count: int) -> Ints:
        """Return the part at ``offset``; zero where a value has fewer than ``least_count`` bytes."""
        found: Ints = self.block.at(self.cursor + offset, kind).astype(numpy().int64)
        absent = self.count < least_count
        if absent.any():
            found[absent] = 0
        return found


def _minutes(minute: Ints, second: Ints) -> list[Ints | str]:
    return [":", _digits(minute, 2), ":", _digits(second, 2)]


def _fraction(microsecond: Ints, digits: int) -> list[Ints | str]:
    return [".", _digits(microsecond, 6)[:, :digits]] if digits else []


def _digits(values: Ints, width: int) -> Ints:
    np = numpy()
    characters: Ints = np.empty((len(values), width), np.uint8)
    for place in reversed(range(width)):
        values, digit = np.divmod(values, 10)
        characters[:, place] = digit + ord("0")
    return characters


def _joined(pieces: list[Ints | str], rows: int, valid: Bools | None, kept: dict[int, Bools] | None = None) -> Array:
    """Return one text a row: the pieces side by side, without the characters at places that are not kept."""
    np, arrow = numpy(), pyarrow()
    columns = [np.full((rows, 1), ord(piece), np.uint8) if isinstance(piece, str) else piece for piece in pieces]
    characters = np.concatenate(columns, axis=1)
    is_kept = np.ones(characters.shape, bool)
    for place, where in (kept or {}).items():
        is_kept[:, place] = where
    if valid is not None:
        is_kept[~valid] = False
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(is_kept.sum(axis=1), out=offsets[1:])
    bitmap = None if valid is None else arrow.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bitmap, arrow.py_buffer(offsets), arrow.py_buffer(characters[is_kept])]
    array: Array = arrow.Array.from_buffers(arrow.string(), rows, buffers)
    return array


@lru_cache(maxsize=1)
def _calendar() -> tuple[Ints, Ints]:
    """Return the day before each month of each year, since 1970-01-01, and its length; there is no month 0."""
    np = numpy()
    months = np.arange("0000-01", f"{_YEARS}-01", dtype="M8[M]")
    first = months.astype("M8[D]").astype(np.int32)
    after = (months + 1).astype("M8[D]").astype(np.int32)
    starts = np.zeros((_YEARS, _MONTHS), np.int32)
    lengths = np.zeros((_YEARS, _MONTHS), np.int32)
    starts[:, 1:] = first.reshape(_YEARS, 12) - 1
    lengths[:, 1:] = (after - first).reshape(_YEARS, 12)
    return starts.reshape(-1), lengths.reshape(-1)
