"""Finding penstock's own objects that nobody has closed."""

from __future__ import annotations

import contextlib
import gc
import threading
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.core.channel import channel
from penstock.core.pipe import PipePair, pipe, reading_from
from penstock.core.pool import WorkerPool
from penstock.leaks import LeakError, leakcheck, trace_starts
from penstock.leaks._finders.own import OwnFinder
from penstock.leaks._report.model import Leak
from tests.core.threads import start, wait_until

FINDER = OwnFinder()
_KEPT: list[Any] = []


@pytest.fixture
def before() -> Any:
    """A snapshot of penstock's objects."""
    return FINDER.baseline()


@pytest.fixture
def kept() -> Iterator[list[Any]]:
    """A global of a module."""
    yield _KEPT
    _KEPT.clear()


def leak_of(since: Any) -> Leak:
    [straggler] = FINDER.stragglers(since)
    return straggler.leak(0.25)


def waiting_leak(created_at: str, kind: Any = "thread", name: str = "worker") -> Leak:
    """What is reported of somebody who waits on something made at ``created_at``."""
    return Leak(kind=kind, name=name, fix="", created_at=created_at)


# -- channels and pipes


def test_an_open_channel_is_found_until_its_last_end_is_closed(before: Any) -> None:
    """A channel is open for as long as one of its ends is, clones included."""
    sender, receiver = channel(name="input")
    clone = sender.clone()
    leak = leak_of(before)
    assert (leak.kind, leak.name, leak.open_ends, leak.proven) == ("channel", "input", 3, False)
    assert leak.fix.startswith("channel 'input' has 2 open senders and 1 open receiver: close each")
    receiver.close()
    sender.close()
    leak = leak_of(before)
    assert leak.fix.startswith("channel 'input' has 1 open sender: close it")
    clone.close()
    assert FINDER.stragglers(before) == []


def test_an_open_pipe_is_found_until_both_ends_are_closed(before: Any) -> None:
    """A pipe is open for as long as one of its ends is."""
    reader, writer = pipe(name="bytes")
    leak = leak_of(before)
    assert (leak.kind, leak.name, leak.open_ends) == ("pipe", "bytes", 2)
    assert leak.fix.startswith("pipe 'bytes' has 1 open write end and 1 open read end: close each")
    writer.close()
    assert leak_of(before).fix.startswith("pipe 'bytes' has 1 open read end: close it")
    reader.close()
    assert FINDER.stragglers(before) == []


def test_it_says_where_they_were_made_and_who_holds_them(before: Any) -> None:
    """The line that made it is told, and whose variable each open end is."""
    sender, receiver = channel()
    leak = leak_of(before)
    assert leak.name == "unnamed"
    assert (leak.started_at or "").endswith(" in test_it_says_where_they_were_made_and_who_holds_them")
    assert leak.created_at == leak.started_at
    assert [holder.partition(" of ")[0] for holder in leak.holders] == ["local 'sender'", "local 'receiver'"]
    sender.close()
    receiver.close()


def test_what_was_there_before_is_not_found() -> None:
    """What a snapshot has seen is passed over; without one everything is found."""
    sender, receiver = channel(name="old")
    with sender, receiver:
        assert FINDER.stragglers(FINDER.baseline()) == []
        assert "old" in {straggler.name for straggler in FINDER.stragglers(None)}


def test_what_broke_is_not_found(before: Any) -> None:
    """Once a side has aborted, everybody has been told, and an end that nobody closes any more does no harm."""
    sender, receiver = channel()
    reader, writer = pipe()
    sender.abort(ValueError("no more"))
    reader.abort()
    assert FINDER.stragglers(before) == []
    receiver.close()
    writer.close()


def test_a_pipe_of_a_running_producer_is_open_until_the_block_ends(before: Any) -> None:
    """A pipe made by ``reading_from`` is found while its block goes on, and not after."""
    with reading_from(lambda writer: writer.write(b"x")) as reader:
        assert reader.read() == b"x"
        assert leak_of(before).kind == "pipe"
    assert FINDER.stragglers(before) == []


def test_what_a_module_can_reach_is_excused(before: Any, kept: list[Any]) -> None:
    """A channel that a global of a module can still use is no leak; one that only a running function has may be."""
    sender, receiver = channel()
    [straggler] = FINDER.stragglers(before)
    assert straggler.serves() is None
    kept.append({"service": [sender]})
    [straggler] = FINDER.stragglers(before)
    assert straggler.serves() == f"the module global {__name__}._KEPT can still use and close it"
    sender.close()
    receiver.close()


def test_what_was_closed_meanwhile_is_excused(before: Any) -> None:
    """What is closed between the look and the report is not reported."""
    with pipe():
        [straggler] = FINDER.stragglers(before)
    assert straggler.serves() == "it was closed while the check went on"


def make_cycle() -> None:
    """Leave a channel behind that only a reference cycle holds."""
    sender, receiver = channel(name="input")
    cycle: list[Any] = [sender]
    cycle.append(cycle)
    receiver.close()


def test_garbage_is_told_from_what_somebody_holds(before: Any) -> None:
    """Of an end that only the collector can reach any more it is said that it is garbage."""
    gc.disable()
    try:
        make_cycle()
        leak = leak_of(before)
    finally:
        with pytest.warns(ResourceWarning, match="dropped without close"):
            gc.collect()
        gc.enable()
    assert leak.fix == "channel 'input' has 1 open sender and it is garbage: close it"
    assert leak.holders == ()


@contextlib.contextmanager
def parked_receiver(name: str) -> Iterator[Any]:
    """A channel in which a thread waits to receive; gives the state the two share."""
    sender, receiver = channel(name=name)
    with receiver:
        running = start(list, receiver)
        wait_until(lambda: receiver.statistics().tasks_waiting_receive == 1)
        yield receiver._state
        sender.close()
        assert running.result() == []


def test_who_waits_is_counted(before: Any) -> None:
    """The report says how many threads and tasks wait in it."""
    with parked_receiver("input"):
        assert leak_of(before).verdict == "1 sender and 1 receiver open, 1 blocked receive"


def test_a_channel_is_covered_by_whoever_is_reported_to_wait_on_it(before: Any) -> None:
    """One mistake is reported once: the leak of a thread or task that waits on the channel tells of both."""
    with parked_receiver("input") as state:
        [straggler] = FINDER.stragglers(before)
        here = str(state.origin)
        assert straggler.covered_by([waiting_leak(here)])
        assert straggler.covered_by([waiting_leak(here, kind="task")])
        assert not straggler.covered_by([waiting_leak("elsewhere.py:1 in make")])
        assert not straggler.covered_by([waiting_leak(here, kind="channel")])
        assert not straggler.covered_by([])
    with pipe() as (reader, _):
        [straggler] = FINDER.stragglers(before)
        assert not straggler.covered_by([waiting_leak(str(reader._state.origin))])  # nobody waits on it


# -- pools


def test_a_pool_with_workers_is_found_until_it_is_shut_down(before: Any) -> None:
    """A pool is found from its first worker to its shutdown; before and after it is only an object."""
    pool = WorkerPool(2, name="crew")
    assert FINDER.stragglers(before) == []
    with trace_starts():
        pool.submit(int).result()
    leak = leak_of(before)
    assert (leak.kind, leak.name, leak.open_ends) == ("pool", "crew", None)
    assert leak.verdict == "it has 1 worker, 0 running"
    assert (leak.started_at or "").endswith(" in test_a_pool_with_workers_is_found_until_it_is_shut_down")
    assert "with WorkerPool" in leak.fix
    pool.shutdown()
    assert FINDER.stragglers(before) == []


def test_a_pool_that_only_its_workers_hold_says_so(before: Any) -> None:
    """Of a pool that was dropped it is told that nobody is left to shut it down."""
    begun, release = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait()

    WorkerPool(1, name="lost", idle_timeout=0).submit(work)
    begun.wait()
    leak = leak_of(before)
    release.set()
    wait_until(lambda: FINDER.stragglers(before) == [])
    assert leak.holders == ("only those who wait in it",)
    assert leak.verdict == "it has 1 worker, 1 running"


def test_a_pool_of_a_module_is_excused(before: Any, kept: list[Any]) -> None:
    """A pool that a global of a module holds serves the module."""
    pool = WorkerPool(1)
    pool.submit(int).result()
    [straggler] = FINDER.stragglers(before)
    assert straggler.serves() is None
    kept.append(pool)
    [straggler] = FINDER.stragglers(before)
    assert straggler.serves() == f"the module global {__name__}._KEPT can still use and close it"
    pool.shutdown()


def test_a_pool_is_covered_by_a_worker_that_is_reported(before: Any) -> None:
    """A pool with a worker that is stuck cannot be shut down, so that worker is the mistake."""
    with WorkerPool(1, name="crew") as pool:
        pool.submit(int).result()
        [straggler] = FINDER.stragglers(before)
        assert straggler.covered_by([waiting_leak("", name="crew-1")])
        assert not straggler.covered_by([waiting_leak("", name="crew-2")])
        assert not straggler.covered_by([waiting_leak("", name="crew-1", kind="task")])


# -- what is left alone


def test_neither_a_snapshot_nor_a_report_keeps_anything_alive(before: Any) -> None:
    """An end that its owner drops goes away at once, whoever has looked."""
    pair: PipePair | None = pipe()
    assert pair is not None
    alive = weakref.ref(pair.reader)
    since = FINDER.baseline()
    leak = leak_of(before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        pair = None
    assert alive() is None
    assert leak.open_ends == 2
    assert FINDER.stragglers(before) == FINDER.stragglers(since) == []


def test_a_check_names_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that leaves a channel open fails, with the channel in the report."""
    monkeypatch.setattr("penstock.leaks._check.FINDERS", (FINDER,))
    with pytest.raises(LeakError, match="channel 'input' was left open"):
        with leakcheck(grace=0):
            sender, receiver = channel(name="input")
    with leakcheck(grace=0):
        sender.close()
        receiver.close()
        with WorkerPool(2) as pool, pipe():
            pool.submit(int).result()
