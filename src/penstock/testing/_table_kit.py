"""``check_table_sink``: check that a sink of rows keeps the contract of ``penstock.flow.contracts.TableSink``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, final

from penstock.flow.contracts import Receipt, TableSink
from penstock.leaks import Ignore, leakcheck
from penstock.testing._calls import Call
from penstock.testing._expect import OutOfTheBlue, expect, expect_raised, expect_soon, name_of
from penstock.testing._sources import stall

__all__ = ["check_table_sink"]


@final
class _PlayedBatches:
    def __init__(self, schema: Any, items: Iterable[Any]) -> None:
        self.schema = schema
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            if isinstance(item, BaseException):
                raise item
            if callable(item):
                item()
            else:
                yield item


def check_table_sink(
    destination: Callable[[], tuple[TableSink, Callable[[], list[dict[str, Any]] | None]]],
    batches: Iterable[Any],
    *,
    within_seconds: float = 0.25,
    ignore: Iterable[Ignore] = (),
) -> None:
    """Check that a sink of rows loads all or none, passes errors on, wakes on a cancel, and leaves nothing behind.

    Blocks until everything it has started has ended.

    Args:
        destination: makes a sink for a table that does not exist or is empty, and a function that returns its rows as
            dicts, in their order; None if there is no table. It must use a new table each time.
        batches: several ``pyarrow.RecordBatch`` of one schema, whose rows the table returns unchanged.
        within_seconds: how soon after a cancel everything must have ended.
        ignore: rules for what is no leak, as for :func:`penstock.leaks.leakcheck`, such as what a server in the same
            process keeps.

    Raises:
        AssertionError: the sink does not keep the contract of :class:`penstock.flow.contracts.TableSink`; says how.
    """
    given = list(batches)
    expect(given, "check_table_sink needs at least one batch")
    schema, rows = given[0].schema, [row for batch in given for row in batch.to_pylist()]
    with leakcheck(ignore=ignore):
        sink, read = destination()
        name = name_of(sink)
        expect(not read(), f"{name}: destination() is to give a table without rows")
        expect(sink.check() is True, f"{name}: check() of a table that may be loaded does not return True")
        receipt: object = sink.load(_PlayedBatches(schema, given))
        expect(isinstance(receipt, Receipt), f"{name}: load() returned {receipt!r}, which is no Receipt")
        expect(read() == rows, f"{name}: the rows that were loaded are not those that can be read there")
    for before in ([], given):
        with leakcheck(ignore=ignore):
            _load_fails(destination, schema, before)
        with leakcheck(ignore=ignore):
            _load_is_cancelled(destination, schema, before, within_seconds)


def _load_fails(destination: Callable[[], tuple[TableSink, Callable[[], Any]]], schema: Any, before: list[Any]) -> None:
    sink, read = destination()
    name, error = name_of(sink), OutOfTheBlue("the stream broke")
    after = f"{name}: after {len(before)} batches"
    expect_raised(lambda: sink.load(_PlayedBatches(schema, [*before, error])), error, after)
    expect(not read(), f"{after} the stream failed, and there are rows")


def _load_is_cancelled(
    destination: Callable[[], tuple[TableSink, Callable[[], Any]]], schema: Any, before: list[Any], within: float
) -> None:
    sink, read = destination()
    name, silent = name_of(sink), threading.Event()
    call = Call(lambda: sink.load(_PlayedBatches(schema, [*before, silent.set, stall])), what=f"load() of {name}")
    call.wait_for(silent, "it had taken what there was")
    expect_soon(call.cancel(), within, f"{name}: a cancel while the stream is silent")
    expect(not read(), f"{name}: it was cancelled, and there are rows")
