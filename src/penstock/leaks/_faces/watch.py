"""``watch()``: count what accumulates in a running service, and log a warning if it keeps growing."""

from __future__ import annotations

import logging
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextvars import Context
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, final

from penstock.core._parking import ThreadWaiter, wait_for
from penstock.errors import ConfigurationError
from penstock.leaks._check import GRACE_SECONDS, find_leaks, snapshot
from penstock.leaks._defaults import ALWAYS_IGNORED, DEFAULT_IGNORES
from penstock.leaks._faces.growth import Growth
from penstock.leaks._finders import FINDERS
from penstock.leaks._ignore import Ignore, ignored
from penstock.leaks._noting.origins import note_starts

__all__ = ["Sample", "Watch", "watch"]

_log = logging.getLogger("penstock.leaks")

HISTORY_SAMPLES = 2048


@dataclass(frozen=True, slots=True)
class Sample:
    """The counts at one moment.

    Attributes:
        at: when, in seconds since the epoch.
        counts: by kind, how many things existed that had not existed when the watch began. A kind that was seen once
            stays in the mapping, with 0.
    """

    at: float
    counts: Mapping[str, int]


def watch(
    interval: float = 60.0,
    *,
    periods: int = 5,
    growth: int = 10,
    ignore: Iterable[Ignore] = (),
    grace: float = GRACE_SECONDS,
    strict: bool = False,
) -> Watch:
    """Watch this process for leaks, in a daemon thread, until the returned handle is stopped or dropped.

    Every ``interval`` seconds the thread counts the threads, tasks, processes and so on that did not exist when
    ``watch()`` was called; in an ordinary process that takes well under a millisecond. If a kind keeps growing, it makes
    a full check (some tenths of a second: the grace, and a search of the heap). If that finds leaks of the kind, the
    logger ``penstock.leaks`` gets one warning, with the report.

    A kind keeps growing if its count rose in each of the last ``periods`` periods, by ``growth`` in all, and to more
    than it ever was before. A period is 2, 4, 8, 16, ... samples long, and its least count stands for it. With the
    defaults a fast leak is noticed within a quarter of an hour, one leak per hour within a day; load that comes and goes
    is not reported. After a warning there is no other for that kind until its count has doubled, or has fallen to half
    and grown again.

    If the program uses OpenTelemetry, the counts are published as the gauge ``penstock.leaks.live``, with the attribute
    ``kind``.

    Args:
        interval: seconds between two samples.
        periods: how many periods in a row must rise.
        growth: by how much the count must rise in all.
        ignore: rules made by :func:`penstock.leaks.ignore`, in addition to the built-in ones.
        grace: seconds that the full check waits for things on their way out.
        strict: also count and report what will probably end by itself or is a service; see :func:`find_leaks`.

    Returns:
        A handle to stop the watch and to read the counts. Keep it: when it is dropped, the watch ends.

    Raises:
        ConfigurationError: ``interval``, ``periods`` or ``growth`` is not above zero.
    """
    for name, value in (("interval", interval), ("periods", periods), ("growth", growth)):
        if not value > 0:
            raise ConfigurationError(f"{name} must be above zero, not {value!r}")
    rules = tuple(ignore)
    how = {"ignore": rules, "grace": grace, "strict": strict}
    return Watch(interval, Growth(periods=periods, growth=growth), how)


@final
class Watch:
    """A running watch, returned by :func:`watch`. As a context manager it is stopped when the block is left."""

    def __init__(self, interval: float, growth: Growth, how: dict[str, Any]) -> None:
        self._growth = growth
        self._how = how
        self._rules = (*how["ignore"], *(ALWAYS_IGNORED if how["strict"] else DEFAULT_IGNORES))
        self._since = snapshot()
        self._history: deque[Sample] = deque(maxlen=HISTORY_SAMPLES)
        self._lock = threading.Lock()
        # Neither the thread nor the finalizer may hold this handle, or it could never be dropped.
        stopped = ThreadWaiter()
        arguments = (_run, weakref.ref(self), stopped, interval)
        self._thread = threading.Thread(target=Context().run, args=arguments, name="penstock leaks.watch", daemon=True)
        self._dropped = weakref.finalize(self, _forget, id(self), stopped)
        _watching[id(self)] = weakref.ref(self)
        self._thread.start()

    @property
    def counts(self) -> Mapping[str, int]:
        """The latest counts by kind; empty before the first sample."""
        history = self.history
        return history[-1].counts if history else MappingProxyType({})

    @property
    def history(self) -> tuple[Sample, ...]:
        """The latest 2048 samples, oldest first."""
        with self._lock:
            return tuple(self._history)

    def sample(self) -> Mapping[str, int]:
        """Take a sample now, as the thread does every ``interval`` seconds, and warn if a kind keeps growing.

        Blocks during the full check, if one is made. May be called from any thread.

        Returns:
            The counts by kind.
        """
        _publish()
        note_starts()  # of modules that were imported meanwhile
        counts = dict.fromkeys(self.counts, 0)
        for kind in self._kinds():
            counts[kind] = counts.get(kind, 0) + 1
        with self._lock:
            self._history.append(Sample(time.time(), MappingProxyType(counts)))
            growing = [kind for kind in counts if self._growth.growing(kind, self._series(kind))]
        if growing:
            self._check(growing)
        return MappingProxyType(counts)

    def stop(self) -> None:
        """Stop watching, and block until the thread has ended, at most as long as one sample takes. Idempotent."""
        self._dropped()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _kinds(self) -> Iterator[str]:
        for finder, baseline in zip(FINDERS, self._since._baselines, strict=True):
            for straggler in finder.stragglers(baseline):
                if not ignored(straggler, self._rules):
                    yield straggler.kind

    def _series(self, kind: str) -> Iterator[int]:
        return (sample.counts.get(kind, 0) for sample in self._history)

    def _check(self, growing: list[str]) -> None:
        report = find_leaks(since=self._since, **self._how)
        found = report.counts()
        confirmed = [kind for kind in growing if found.get(kind)]
        if confirmed:
            _log.warning("something is left behind again and again: %s\n%s", self._story(confirmed), report)
        else:
            _log.info("growing, but nothing of it is a leak: %s", self._story(growing))

    def _story(self, kinds: list[str]) -> str:
        """Return how the counts of ``kinds`` went, as ``thread 3 -> 17 in the last 30 min``."""
        history = self.history
        latest = history[-1]
        minutes = (latest.at - history[0].at) / 60
        return ", ".join(
            f"{kind} {history[0].counts.get(kind, 0)} -> {latest.counts[kind]} in the last {minutes:.0f} min"
            for kind in kinds
        )


def _run(handle: weakref.ref[Watch], stopped: ThreadWaiter, interval: float) -> None:
    while not wait_for(stopped, interval):
        watching = handle()
        if watching is None:
            return
        try:
            watching.sample()
        except Exception:  # noqa: BLE001  logged; whatever it was, it must not end the watch of a service
            _log.exception("a sample of penstock.leaks.watch() failed; the next one will be tried")
        del watching  # or it could not be dropped during the wait


def _forget(key: int, stopped: ThreadWaiter) -> None:
    """Stop the thread of a handle that was stopped or dropped. A finalizer: it takes no lock."""
    _watching.pop(key, None)
    stopped.done = True
    stopped.wake()


# -- OpenTelemetry

_watching: dict[int, weakref.ref[Watch]] = {}
_publishing: list[object] = []


def _publish() -> None:
    """Create the gauge, once per process, as soon as the program has imported OpenTelemetry; we do not import it."""
    create_meter = getattr(sys.modules.get("opentelemetry.metrics"), "get_meter", None)
    if create_meter is None or _publishing:
        return
    gauge = create_meter("penstock.leaks").create_observable_gauge(
        "penstock.leaks.live",
        callbacks=[_observe],
        unit="1",
        description="what is there and was not when penstock.leaks.watch() began, by kind",
    )
    _publishing.append(gauge)


def _observe(_options: object) -> Iterable[Any]:
    """Return the latest counts; if there are several watches the largest, since they count the same things."""
    largest: dict[str, int] = {}
    for reference in list(_watching.values()):
        handle = reference()
        for kind, count in handle.counts.items() if handle is not None else ():
            largest[kind] = max(count, largest.get(kind, 0))
    observation = sys.modules["opentelemetry.metrics"].Observation
    return [observation(count, {"kind": kind}) for kind, count in largest.items()]
