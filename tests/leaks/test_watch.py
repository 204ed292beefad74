"""Watching a service: counts over time, a warning when a kind keeps growing, and gauges."""

from __future__ import annotations

import gc
import importlib.util
import itertools
import logging
import math
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from penstock.errors import ConfigurationError
from penstock.leaks import LeakReport, find_leaks, ignore, snapshot
from penstock.leaks._faces.growth import Growth, keeps_growing
from penstock.leaks._faces.watch import HISTORY_SAMPLES, Watch, watch
from tests.core.threads import wait_until

NEVER = 3600.0

#: A queue that a module global holds: who waits on it waits for work.
WORK: queue.Queue[None] = queue.Queue()


@pytest.fixture
def leak() -> Iterator[Callable[[int], None]]:
    """Start so many threads that wait for an event; it comes when the test is over."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def start(count: int) -> None:
        for _ in range(count):
            thread = threading.Thread(target=over.wait, name="leaked", daemon=True)
            thread.start()
            threads.append(thread)

    yield start
    over.set()
    for thread in threads:
        thread.join()


@pytest.fixture
def watching() -> Iterator[Watch]:
    """A watch that is driven by hand: it must rise once, by four."""
    with watch(NEVER, periods=1, growth=4, grace=0.01) as handle:
        yield handle


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def thread_of(handle: Watch) -> threading.Thread:
    return handle._thread


# -- when something keeps growing


@pytest.mark.parametrize(
    ("counts", "grows"),
    [
        (list(range(12)), True),
        ([1, 0, *range(1, 13)], True),
        (list(range(11)), False),
        ([*range(11), 8], False),
        (list(range(12, 0, -1)), False),
        ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4], False),
        ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], True),
        ([0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11], False),
        ([0, 6, 2, 8, 4, 10, 6, 12, 8, 14, 10, 16], True),
        ([10, *range(12)], False),
        ([n // 10 for n in range(120)], True),
        ([min(n, 40) for n in range(120)], False),
        ([], False),
    ],
    ids=[
        "by one each time",
        "the latest counts",
        "too short",
        "the latest is lower",
        "it falls",
        "it stopped",
        "slower",
        "not above the first peak",
        "above the first peak",
        "not above what was before",
        "slowly",
        "it filled up",
        "nothing",
    ],
)
def test_what_keeps_growing(counts: list[int], grows: bool) -> None:
    """What rises in each of five periods, by five in all, and above all that was before."""
    assert keeps_growing(counts, periods=5, growth=5) is grows


def test_growth_by_too_little_does_not_count() -> None:
    """It must be as much as was asked for."""
    assert keeps_growing([0, 0, 1, 1, 2, 2, 3, 3], periods=3, growth=3)
    assert not keeps_growing([0, 0, 1, 1, 2, 2, 3, 3], periods=3, growth=4)


def test_load_that_comes_and_goes_is_never_growth() -> None:
    """A day of a busy service with a constant mean, looked at every minute."""
    dice = random.Random(3)
    counts = [dice.randint(0, 50) for _ in range(1440)]
    assert not any(keeps_growing(counts[:end], periods=5, growth=10) for end in range(1440))


def test_yesterdays_load_is_known() -> None:
    """The second morning is like the first, and no news."""
    dice = random.Random(3)
    counts = [int(25 - 20 * math.cos(math.tau * n / 1440) + dice.gauss(0, 4)) for n in range(4 * 1440)]
    looks = range(1440, 4 * 1440, 7)
    assert not any(keeps_growing(counts[max(0, end - HISTORY_SAMPLES) : end], periods=5, growth=10) for end in looks)


def test_a_slow_leak_under_load_is_found() -> None:
    """One in forty samples, under a load that hides it from any two samples."""
    dice = random.Random(3)
    counts = [n // 40 + dice.randint(0, 20) for n in range(HISTORY_SAMPLES)]
    assert any(keeps_growing(counts[:end], periods=5, growth=10) for end in range(0, HISTORY_SAMPLES, 10))


def test_a_kind_is_named_again_when_it_has_doubled() -> None:
    """Not at every sample in between."""
    growth = Growth(periods=1, growth=2)
    counts = list(range(41))
    named = [end for end in range(41) if growth.growing("thread", counts[: end + 1])]
    assert named == [3, 6, 12, 24]


def test_a_kind_is_named_again_when_it_has_fallen_and_grown_anew() -> None:
    """To half of what it was; here the history no longer knows how many there were."""
    growth = Growth(periods=1, growth=2)
    histories = [[0, 1, 8, 9], [1, 8, 9, 10], [4, 4, 4, 4], [4, 4, 5, 6], [4, 4, 6, 7]]
    assert [growth.growing("thread", history) for history in histories] == [True, False, False, False, True]


def test_kinds_are_judged_each_by_itself() -> None:
    """That one was named does not silence another."""
    growth = Growth(periods=1, growth=1)
    assert growth.growing("thread", [0, 0, 1, 1])
    assert growth.growing("fd", [0, 0, 1, 1])
    assert not growth.growing("thread", [0, 0, 1, 1])


# -- the watch


def test_it_counts_by_kind(watching: Watch, leak: Callable[[int], None]) -> None:
    """What is there and was not when it began; the history has every sample."""
    assert watching.counts == {}
    leak(2)
    assert watching.sample()["thread"] == 2
    leak(1)
    watching.sample()
    assert watching.counts["thread"] == 3
    assert [sample.counts["thread"] for sample in watching.history] == [2, 3]
    assert watching.history[0].at <= watching.history[1].at


def test_what_was_there_before_does_not_count(leak: Callable[[int], None]) -> None:
    """Nor does the watch itself."""
    leak(2)
    with watch(NEVER) as handle:
        assert handle.sample().get("thread", 0) == 0


def test_a_kind_once_seen_stays(watching: Watch) -> None:
    """With 0, so that a graph comes down again."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    watching.sample()
    over.set()
    thread.join()
    assert watching.sample()["thread"] == 0


def test_it_warns_once_with_the_report(
    watching: Watch, leak: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    """When the count has grown as often and as much as was asked for."""
    caplog.set_level(logging.INFO, "penstock.leaks")
    for _ in range(3):
        leak(2)
        watching.sample()
    assert caplog.records == []
    for _ in range(3):
        leak(2)
        watching.sample()
    [warning] = warnings(caplog)
    assert warning.startswith("something is left behind again and again: thread 2 -> 8 in the last 0 min\n8 leaks: ")
    assert "threads named 'leaked' outlived their scope (suspected)" in warning


def test_what_serves_is_no_reason_to_warn(watching: Watch, caplog: pytest.LogCaptureFixture) -> None:
    """Workers may grow in number; that they wait for work is found out before anybody is alarmed."""
    caplog.set_level(logging.INFO, "penstock.leaks")
    threads = []
    for _ in range(4):
        for _ in range(2):
            threads.append(threading.Thread(target=lambda: WORK.get(), daemon=True))  # noqa: PLW0108  a frame to see
            threads[-1].start()
        watching.sample()
    [record] = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == "growing, but nothing of it is a leak: thread 2 -> 8 in the last 0 min"
    for _ in threads:
        WORK.put(None)
    for thread in threads:
        thread.join()


def test_ignored_things_do_not_count(leak: Callable[[int], None]) -> None:
    """By the same rules as for a check."""
    with watch(NEVER, ignore=[ignore(name="leaked")]) as handle:
        leak(1)
        assert handle.sample().get("thread", 0) == 0


def test_it_samples_by_itself() -> None:
    """Every ``interval`` seconds."""
    with watch(0.001) as handle:
        wait_until(lambda: len(handle.history) >= 3)
    times = [sample.at for sample in handle.history]
    assert all(before < after for before, after in itertools.pairwise(times))


def test_stopping_does_not_wait_for_the_next_sample() -> None:
    """The thread is gone when stop() returns; it may be called again."""
    handle = watch(NEVER)
    assert thread_of(handle).is_alive()
    handle.stop()
    assert not thread_of(handle).is_alive()
    handle.stop()
    assert handle.history == ()


def test_the_block_stops_it() -> None:
    """Also when it is left by an exception."""
    with pytest.raises(KeyError), watch(NEVER) as handle:
        raise KeyError
    assert not thread_of(handle).is_alive()


def test_a_dropped_watch_ends() -> None:
    """Nobody holds the handle any more: its thread goes."""
    handle = watch(NEVER)
    thread = thread_of(handle)
    del handle
    gc.collect()
    wait_until(lambda: not thread.is_alive())


def test_a_watch_that_is_dropped_between_samples_ends() -> None:
    """The thread holds the handle only while it takes a sample."""

    def begin() -> threading.Thread:
        handle = watch(0.001)
        wait_until(lambda: len(handle.history) >= 1)
        return thread_of(handle)

    thread = begin()
    gc.collect()
    wait_until(lambda: not thread.is_alive())


def test_its_own_thread_is_no_leak() -> None:
    """Not even of the strictest check."""
    before = snapshot()
    with watch(NEVER):
        assert find_leaks(since=before, grace=0.05, strict=True) == LeakReport((), pytest.approx(0.0, abs=0.5))


def test_a_sample_that_fails_is_told_and_the_next_one_is_tried(
    leak: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A rule that is nonsense must not end the watch unnoticed."""
    leak(0)
    with watch(0.001, ignore=[ignore(name=3)]):  # type: ignore[arg-type]
        leak(1)
        wait_until(lambda: len(caplog.records) >= 2)
    assert {record.getMessage() for record in caplog.records} == {
        "a sample of penstock.leaks.watch() failed; the next one will be tried"
    }


def test_it_can_be_stopped_by_who_hears_of_it(leak: Callable[[int], None]) -> None:
    """A log handler runs in the thread of the watch, which cannot wait for itself."""
    handle = watch(0.001, ignore=[ignore(name=3)])  # type: ignore[arg-type]

    class Stopper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            handle.stop()

    stopper = Stopper()
    logging.getLogger("penstock.leaks").addHandler(stopper)
    leak(1)
    wait_until(lambda: not thread_of(handle).is_alive())
    logging.getLogger("penstock.leaks").removeHandler(stopper)


def test_the_history_is_bounded(watching: Watch) -> None:
    """A service runs for years."""
    for _ in range(HISTORY_SAMPLES + 5):
        watching.sample()
    assert len(watching.history) == HISTORY_SAMPLES


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"interval": float("nan")}, {"periods": 0}, {"growth": -1}])
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    """With the name of what is wrong."""
    [name] = wrong
    with pytest.raises(ConfigurationError, match=f"^{name} must be above zero"):
        watch(**wrong)  # type: ignore[arg-type]


# -- OpenTelemetry

GAUGES = """
import threading
from penstock.leaks._faces import watch as _watch
handle = _watch.watch(3600)
event = threading.Event()
threads = [threading.Thread(target=event.wait, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
handle.sample()
later = _watch.watch(3600)

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))

def live():
    data = reader.get_metrics_data()
    found = [] if data is None else data.resource_metrics[0].scope_metrics
    return {
        (scope.scope.name, metric.name, point.attributes["kind"]): point.value
        for scope in found for metric in scope.metrics for point in metric.data.data_points
    }

assert live() == {}, live()
later.sample()
handle.sample()
assert live() == {("penstock.leaks", "penstock.leaks.live", "thread"): 3}, live()
event.set()
for thread in threads:
    thread.join()
handle.sample()
assert live() == {("penstock.leaks", "penstock.leaks.live", "thread"): 0}, live()
handle.stop()
later.stop()
assert live() == {}, live()
"""

NO_GAUGES = """
import sys
from penstock.leaks._faces import watch as _watch
with _watch.watch(3600) as handle:
    handle.sample()
assert not any(name.startswith("opentelemetry") for name in sys.modules)
"""


@pytest.mark.skipif(not importlib.util.find_spec("opentelemetry"), reason="opentelemetry-sdk is not installed")
def test_the_counts_are_gauges_of_opentelemetry() -> None:
    """As soon as the program has imported it; the largest of several watches; none when all have stopped."""
    pytest.importorskip("opentelemetry.sdk.metrics", reason="opentelemetry-sdk is not installed")
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", GAUGES], check=True)


def test_opentelemetry_is_not_imported_for_it() -> None:
    """A program that does not use it does not pay for it."""
    subprocess.run([sys.executable, "-c", NO_GAUGES], check=True)
