"""``check_source``: check that a source keeps the contract of ``penstock.flow.contracts.Source``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from penstock.errors import SourceError
from penstock.flow.contracts import BatchStream, Source
from penstock.leaks import Ignore, leakcheck
from penstock.testing._calls import Call
from penstock.testing._expect import expect, expect_soon, name_of

__all__ = ["check_source"]


def check_source(
    source: Callable[[], Source],
    *,
    failing: Callable[[], Source] | None = None,
    stalled: Callable[[], Source] | None = None,
    within_seconds: float = 0.25,
    ignore: Iterable[Ignore] = (),
) -> None:
    """Check that a source reads to its end, can be left half-way, tells failures from ends, and wakes on a cancel.

    Also checks that it leaves nothing behind. Blocks until everything it has started has ended.

    Args:
        source: makes a source that has data and can be read to its end.
        failing: makes a source that fails in the middle; that must raise a ``SourceError``. None skips this check.
        stalled: makes a source that falls silent in the middle. None skips the check that a cancel wakes it.
        within_seconds: how soon after a cancel everything must have ended.
        ignore: rules for what is no leak, as for :func:`penstock.leaks.leakcheck`, such as what a server in the same
            process keeps.

    Raises:
        AssertionError: the source does not keep the contract of :class:`penstock.flow.contracts.Source`; says how.
    """
    for way in _ways_to_open(source):
        with leakcheck(ignore=ignore):
            _reads_to_the_end(source(), way)
        with leakcheck(ignore=ignore):
            _is_left_half_way(source(), way)
        if failing is not None:
            with leakcheck(ignore=ignore):
                _tells_a_failure(failing(), way)
        if stalled is not None:
            with leakcheck(ignore=ignore):
                _is_woken(stalled(), way, within_seconds)


Way = tuple[str, Callable[[Source], AbstractContextManager[Iterable[Any]]]]


def _ways_to_open(source: Callable[[], Source]) -> list[Way]:
    made = source()
    name, formats = name_of(made), made.byte_formats
    expect(isinstance(formats, frozenset), f"{name}: byte_formats is {formats!r}, which is no frozenset")
    ways: list[Way] = [(f"open_bytes({each!r})", partial(_as_bytes, each)) for each in sorted(formats)]
    return [*ways, ("open_batches()", lambda made: made.open_batches())]


def _as_bytes(format_name: str, source: Source) -> AbstractContextManager[Iterable[Any]]:
    return source.open_bytes(format_name)


def _reads_to_the_end(source: Source, way: Way) -> None:
    what, opened = f"{source.display_name}, {way[0]}", way[1]
    rows = count = 0
    with opened(source) as items:
        for item in items:
            count += 1
            if isinstance(items, BatchStream) and not isinstance(item, bytes):
                expect(item.schema == items.schema, f"{what}: a batch has another schema than the stream")
                rows += item.num_rows
            else:
                expect(isinstance(item, bytes) and item, f"{what}: it gave {item!r}; chunks are bytes, and never empty")
    expect(count, f"{what}: nothing came; source() is to make one that has data")
    if rows and source.rows_read is not None:
        expect(source.rows_read == rows, f"{what}: {rows:,} rows came, and rows_read is {source.rows_read!r}")


def _is_left_half_way(source: Source, way: Way) -> None:
    with way[1](source) as items:
        next(iter(items))


def _tells_a_failure(source: Source, way: Way) -> None:
    what = f"{source.display_name}, {way[0]}"
    try:
        with way[1](source) as items:
            for _ in items:
                pass
    except SourceError:
        return
    except Exception as error:
        raise AssertionError(f"{what}: a failure is to be a SourceError, not {error!r}") from error
    raise AssertionError(f"{what}: the source failed, and that looked like the end of its data")


def _is_woken(source: Source, way: Way, within: float) -> None:
    what = f"{source.display_name}, {way[0]}"

    def read() -> None:
        with way[1](source) as items:
            for _ in items:
                pass

    call = Call(read, what=what)
    call.wait_still()
    expect_soon(call.cancel(), within, f"{what}: a cancel while the source is silent")
