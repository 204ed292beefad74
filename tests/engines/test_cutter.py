"""Where a stream of batches is cut into parts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from penstock.engines.parts.cutter import Cutter, PartSize
from penstock.engines.parts.meter import CountingWriter
from tests.engines.parts import BatchesSource

SCHEMA = pa.schema([("n", pa.int64())])
KIB = 1024


class Nowhere:
    """Takes bytes."""

    def write(self, data: bytes, /) -> int:
        return len(data)


def numbers(*rows_of_batches: int) -> BatchesSource:
    made = [pa.record_batch([pa.array(range(rows), pa.int64())], schema=SCHEMA) for rows in rows_of_batches]
    return BatchesSource(SCHEMA, made)


def cut(
    source: BatchesSource,
    max_bytes: int,
    *,
    encoded_size: Callable[[Any], int],
    squeeze: Callable[[int], int] | None = None,
) -> Iterator[tuple[int, int]]:
    """Yield rows and encoded bytes of each part, for an encoder that makes so many bytes of a batch."""
    size = PartSize(max_bytes)
    for piece in Cutter(source, size).parts():
        counted, rows = CountingWriter(Nowhere()), 0
        size.begin(counted, squeeze)
        counted.write(b"header")
        for batch in piece:
            counted.write(bytes(encoded_size(batch)))
            rows += batch.num_rows
        yield rows, counted.written


@pytest.mark.parametrize("growth", [0.3, 1, 7])
def test_parts_are_full_and_not_larger(growth: float) -> None:
    """However much larger or smaller text is than Arrow's data, every part but the last is within a tenth of full."""
    max_bytes = 256 * KIB
    parts = list(cut(numbers(*[20_000] * 40), max_bytes, encoded_size=lambda batch: int(batch.nbytes * growth)))
    assert sum(rows for rows, _ in parts) == 800_000
    assert all(0.5 * max_bytes <= size <= max_bytes for _, size in parts[1:-1])
    assert all(size <= max_bytes * 1.1 for _, size in parts)


def test_without_rows_there_is_one_part() -> None:
    """It has the header."""
    assert list(cut(numbers(), 64 * KIB, encoded_size=lambda batch: 0)) == [(0, 6)]
    assert list(cut(numbers(0, 0), 64 * KIB, encoded_size=lambda batch: 0)) == [(0, 6)]


def test_a_row_that_is_larger_than_a_part_is_a_part() -> None:
    """It can not be cut, and nothing waits for ever."""
    schema = pa.schema([("blob", pa.binary())])
    wide = [pa.record_batch([pa.array([b"x" * 300 * KIB])], schema=schema) for _ in range(3)]
    parts = list(cut(BatchesSource(schema, wide), 64 * KIB, encoded_size=lambda batch: batch.nbytes))
    assert [rows for rows, _ in parts] == [1, 1, 1]


def test_a_compressor_is_asked_only_when_it_is_a_near_thing() -> None:
    """Each question stops the encoder until the compressor has caught up."""
    asked: list[int] = []

    def a_tenth(encoded: int) -> int:
        asked.append(encoded)
        return encoded // 10

    max_bytes = 1024 * KIB
    batches = numbers(*[4096] * 1000)
    parts = list(cut(batches, max_bytes, encoded_size=lambda batch: batch.nbytes, squeeze=a_tenth))
    assert all(0.8 * max_bytes <= size / 10 <= max_bytes for _, size in parts[:-1])
    assert len(asked) < 150 * len(parts)
    assert asked[0] >= max_bytes - 64 * KIB


def test_an_encoder_that_holds_rows_back_is_not_given_too_many() -> None:
    """Parquet writes a row group at a time: what went in and has not come out counts as well."""
    max_bytes, held, parts = 256 * KIB, 0, []
    size = PartSize(max_bytes)
    for piece in Cutter(numbers(*[1000] * 400), size).parts():
        counted = CountingWriter(Nowhere())
        size.begin(counted, None)
        counted.write(b"PAR1")
        for batch in piece:
            held += batch.nbytes
            if held >= 100 * KIB:
                counted.write(bytes(held // 2))
                held = 0
        counted.write(bytes(held // 2))
        held = 0
        parts.append(counted.written)
    assert all(0.5 * max_bytes <= part <= max_bytes for part in parts[:-1])


def test_where_it_is_cut_does_not_depend_on_anything_but_the_data() -> None:
    """The same data gives the same parts."""
    sizes = [random.Random(7).randrange(1, 9000) for _ in range(200)]
    once, again = (list(cut(numbers(*sizes), 200 * KIB, encoded_size=lambda batch: batch.nbytes * 2)) for _ in "12")
    assert once == again
