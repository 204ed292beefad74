"""A thread that nothing can wake is proven stuck, on every way there is to wait; one that something can wake is not."""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import contextvars
import functools
import gc
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import penstock
from penstock.leaks import LeakReport, find_leaks, snapshot
from penstock.leaks._finders.threads import ThreadFinder
from penstock.leaks._looking.memory import Memory
from penstock.leaks._proof import _Round

GRACE = 0.05


class Ways:
    """How to end what a shape leaves behind: by address, since a reference would make it reachable."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, type, Callable[[Any], object]]] = []
        self.keep: Callable[[Any], object] = id

    def end(self, thing: Any, how: Callable[[Any], object]) -> Any:
        """Return ``thing``; ``how(thing)`` ends the wait on it, later."""
        self._ends.append((id(thing), type(thing), how))
        self.keep(thing)
        return thing

    def queue(self) -> queue.Queue[Any]:
        """Return an empty queue."""
        return self.end(queue.Queue(), lambda inbox: [inbox.put(None) for _ in range(9)])  # type: ignore[no-any-return]

    def event(self) -> threading.Event:
        """Return an event."""
        return self.end(threading.Event(), lambda event: event.set())  # type: ignore[no-any-return]

    def lock(self) -> threading.Lock:
        """Return a lock that is held."""
        lock = threading.Lock()
        lock.acquire()
        return self.end(lock, lambda held: held.release())  # type: ignore[no-any-return]

    def release(self) -> None:
        """End every wait."""
        while self._ends:
            address, kind, how = self._ends.pop()
            # If it has ended by itself, something else may have its address by now.
            for thing in [thing for thing in gc.get_objects() if id(thing) == address and type(thing) is kind]:
                how(thing)


def start(target: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    threading.Thread(target=target, args=args, kwargs=kwargs, daemon=True).start()


@pytest.fixture
def ways() -> Iterator[Ways]:
    """What a test leaves is ended after it."""
    before = set(threading.enumerate())
    ways = Ways()
    yield ways
    ways.release()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def check(shape: Callable[[Ways], None], ways: Ways) -> LeakReport:
    before = snapshot()
    shape(ways)
    return find_leaks(since=before, grace=GRACE)


# -- shapes: functions that leave a thread that waits for ever on something nobody has any more


def queue_in_arguments(ways: Ways) -> None:
    start(lambda inbox: inbox.get(), ways.queue())


def queue_in_keyword_arguments(ways: Ways) -> None:
    def worker(inbox: Any = None) -> None:
        inbox.get()

    start(worker, inbox=ways.queue())


def queue_in_a_closure(ways: Ways) -> None:
    inbox = ways.queue()

    def worker() -> None:
        inbox.get()

    start(worker)


def on_the_way_out_of_a_block(ways: Ways) -> None:
    class Block:
        def __init__(self, inbox: Any) -> None:
            self.inbox = inbox

        def __enter__(self) -> None:
            pass

        def __exit__(self, *exc_info: object) -> None:
            self.inbox.get()

    def worker(block: Block) -> None:
        with block:
            pass

    start(worker, Block(ways.queue()))


def three_readers_of_one_closure(ways: Ways) -> None:
    inbox = ways.queue()
    for _ in range(3):
        start(inbox.get)


def queue_in_a_default(ways: Ways) -> None:
    def worker(inbox: Any = ways.queue()) -> None:  # noqa: B008
        inbox.get()

    start(worker)


def bound_method_as_target(ways: Ways) -> None:
    start(ways.queue().get)


def bound_method_with_keyword(ways: Ways) -> None:
    start(ways.queue().get, block=True)


def method_of_c_as_target(ways: Ways) -> None:
    start(ways.end(queue.SimpleQueue(), lambda inbox: inbox.put(None)).get)


def partial_as_target(ways: Ways) -> None:
    start(functools.partial(ways.queue().get, True))


def decorated_function(ways: Ways) -> None:
    def worker(inbox: Any) -> None:
        inbox.get()

    @functools.wraps(worker)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        worker(*args, **kwargs)

    start(wrapper, ways.queue())


def run_in_a_context(ways: Ways) -> None:
    inbox = ways.queue()
    start(contextvars.copy_context().run, inbox.get)


def subclass_of_thread(ways: Ways) -> None:
    class Worker(threading.Thread):
        def __init__(self) -> None:
            super().__init__(daemon=True)
            self.inbox = ways.queue()

        def run(self) -> None:
            self.inbox.get()

    Worker().start()


def attribute_of_an_object(ways: Ways) -> None:
    class Service:
        def __init__(self) -> None:
            self.parts = {"inboxes": [ways.queue()]}

        def run(self) -> None:
            while self.parts["inboxes"][0].get() is not None:
                pass

    start(Service().run)


def object_with_slots(ways: Ways) -> None:
    class Service:
        __slots__ = ("inbox",)

        def __init__(self) -> None:
            self.inbox = ways.queue()

        def run(self) -> None:
            self.inbox.get()

    start(Service().run)


def loop_over_iter_with_sentinel(ways: Ways) -> None:
    class Service:
        def __init__(self) -> None:
            self.inbox = ways.queue()

        def run(self) -> None:
            for _ in iter(self.inbox.get, None):
                pass

    start(Service().run)


def generator_of_items(ways: Ways) -> None:
    inbox = ways.queue()

    def items() -> Iterator[Any]:
        while (item := inbox.get()) is not None:
            yield item

    def worker() -> None:
        for _ in items():
            pass

    start(worker)


def numbered_items_of_a_generator(ways: Ways) -> None:
    inbox = ways.queue()

    def items() -> Iterator[Any]:
        while (item := inbox.get()) is not None:
            yield item

    def worker(source: Any) -> None:
        for _ in source:
            pass

    start(worker, items())


def inside_blocks_and_loops(ways: Ways) -> None:
    inbox, lock = ways.queue(), threading.Lock()

    @contextlib.contextmanager
    def block() -> Iterator[None]:
        yield

    def worker() -> None:
        with lock, block():
            for _ in range(3):
                try:
                    inbox.get()
                finally:
                    str(inbox)

    start(worker)


def while_handling_an_exception(ways: Ways) -> None:
    inbox = ways.queue()

    def worker() -> None:
        try:
            raise ValueError
        except ValueError:
            inbox.get()

    start(worker)


def full_queue(ways: Ways) -> None:
    outbox = ways.end(queue.Queue(1), lambda full: [full.get() for _ in range(3)])

    def worker() -> None:
        for item in range(3):
            outbox.put(item)

    start(worker)


def queue_that_is_joined(ways: Ways) -> None:
    inbox: queue.Queue[int] = queue.Queue()
    inbox.put(1)
    start(ways.end(inbox, lambda unfinished: unfinished.task_done()).join)


def event_never_set(ways: Ways) -> None:
    start(ways.event().wait)


def condition_never_notified(ways: Ways) -> None:
    condition = threading.Condition()

    def notify(waited_on: threading.Condition) -> None:
        with waited_on:
            waited_on.notify_all()

    ways.end(condition, notify)

    def worker() -> None:
        with condition:
            condition.wait()

    start(worker)


def condition_whose_lock_is_taken(ways: Ways) -> None:
    condition = threading.Condition(ways.lock())

    def worker() -> None:
        with condition:
            pass

    start(worker)


def semaphore_without_permits(ways: Ways) -> None:
    semaphore = ways.end(threading.Semaphore(0), lambda empty: empty.release())

    def worker() -> None:
        with semaphore:
            pass

    start(worker)


def barrier_with_a_party_missing(ways: Ways) -> None:
    barrier = ways.end(threading.Barrier(2), lambda waited_at: waited_at.wait())
    start(barrier.wait)


def lock_taken_twice(ways: Ways) -> None:
    lock = ways.end(threading.Lock(), lambda held: held.release())

    def worker() -> None:
        with lock:
            lock.acquire()

    start(worker)


def with_lock_that_is_held(ways: Ways) -> None:
    lock = ways.lock()

    def worker() -> None:
        with lock:
            pass

    start(worker)


def acquire_as_target(ways: Ways) -> None:
    start(ways.lock().acquire)


def locks_in_opposite_order(ways: Ways) -> None:
    first, second, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
    ways.end(first, lambda held: held.release())

    def worker(one: threading.Lock, other: threading.Lock) -> None:
        one.acquire()
        both.wait()
        other.acquire()

    start(worker, first, second)
    start(worker, second, first)
    ways.end(second, lambda held: held.release())


def queues_in_a_circle(ways: Ways) -> None:
    one, other = ways.queue(), queue.Queue[Any]()

    def worker(inbox: Any, outbox: Any) -> None:
        outbox.put(inbox.get())

    start(worker, one, other)
    start(worker, other, one)


def join_of_a_stuck_thread(ways: Ways) -> None:
    stuck = threading.Thread(target=ways.event().wait, daemon=True)
    stuck.start()
    start(stuck.join)


def future_never_resolved(ways: Ways) -> None:
    future = ways.end(concurrent.futures.Future[None](), lambda pending: pending.set_result(None))
    start(future.result)


def wait_for_futures(ways: Ways) -> None:
    future = ways.end(concurrent.futures.Future[None](), lambda pending: pending.set_result(None))
    start(lambda: concurrent.futures.wait([future]))


def as_completed_of_futures(ways: Ways) -> None:
    future = ways.end(concurrent.futures.Future[None](), lambda pending: pending.set_result(None))

    def worker() -> None:
        for done in concurrent.futures.as_completed([future]):
            done.result()

    start(worker)


def executor_with_a_stuck_job(ways: Ways) -> None:
    concurrent.futures.ThreadPoolExecutor(1).submit(ways.queue().get)


def channel_whose_sender_the_receiver_keeps(ways: Ways) -> None:
    sender, receiver = penstock.channel()

    def worker(inbox: Any, kept: Any) -> None:
        with inbox, kept:
            for _ in inbox:
                pass

    start(worker, receiver, ways.end(sender, lambda kept: kept.close()))


def pipe_whose_writer_the_reader_keeps(ways: Ways) -> None:
    reader, writer = penstock.pipe()
    ways.end(writer, lambda kept: kept.close())

    def worker() -> None:
        with reader, writer:
            reader.read(10)

    start(worker)


STUCK = [
    value
    for value in list(globals().values())
    if callable(value) and getattr(value, "__annotations__", {}) == {"ways": "Ways", "return": "None"}
]


@pytest.mark.parametrize("shape", STUCK, ids=lambda shape: shape.__name__)
def test_a_thread_nobody_can_wake_is_proven_stuck(shape: Callable[[Ways], None], ways: Ways) -> None:
    """Every thread that waits for ever on what only it can reach is found and proven, with where and why and a fix."""
    report = check(shape, ways)
    threads = [leak for leak in report if leak.kind == "thread"]
    assert threads
    for leak in threads:
        assert leak.proven, leak.verdict
        assert leak.blocked_on
        assert leak.fix
        assert leak.started_at is not None
        assert leak.started_at.partition(":")[0].endswith((".py", "test_proof.py"))


@pytest.mark.parametrize("shape", STUCK, ids=lambda shape: shape.__name__)
def test_what_is_counted_for_a_thread_is_there(shape: Callable[[Ways], None], ways: Ways) -> None:
    """No reference is explained that does not exist, so that none from outside is explained away."""
    before = ThreadFinder().baseline()
    shape(ways)
    find_leaks(grace=GRACE)  # gives the thread time to get where it is going
    gc.collect()
    stragglers = list(ThreadFinder().stragglers(before))
    assert stragglers
    with Memory() as memory:
        assert _Round(stragglers, memory)._graph.overclaimed == set()


def never_called(_thing: Any) -> None:
    raise AssertionError


@pytest.mark.parametrize("shape", STUCK, ids=lambda shape: shape.__name__)
def test_one_reference_held_by_c_is_enough(shape: Callable[[Ways], None], ways: Ways) -> None:
    """If C holds what a thread waits on, where no collector sees it, nothing is claimed of any shape of wait."""
    ways.keep = functools.partial(atexit.register, never_called)
    report = check(shape, ways)
    atexit.unregister(never_called)
    assert report
    assert not report.proven


@pytest.mark.slow  # the same as above, held in another way; each looks through the heap several times
@pytest.mark.parametrize("shape", STUCK, ids=lambda shape: shape.__name__)
def test_one_variable_of_a_running_function_is_enough(shape: Callable[[Ways], None], ways: Ways) -> None:
    """If a function that runs has what a thread waits on, nothing is claimed of any shape of wait."""
    kept: list[Any] = []
    ways.keep = kept.append
    report = check(shape, ways)
    assert report
    assert not report.proven


# -- the same threads, once somebody else can reach what they wait on

KEPT: list[Any] = []
INBOX = pytest.StashKey[queue.Queue[Any]]()


class Holder:
    """Something alive that holds what it is given, each in its own way."""

    def __init__(self) -> None:
        self.kept: Any = None
        self.undo: list[Callable[[], object]] = []


def in_a_variable(thing: Any, holder: Holder) -> None:
    holder.kept = thing


def in_a_bound_method(thing: Any, holder: Holder) -> None:
    holder.kept = thing.put


def in_a_weak_reference(thing: Any, holder: Holder) -> None:
    holder.kept = weakref.ref(thing)


def in_a_weak_set(thing: Any, holder: Holder) -> None:
    holder.kept = weakref.WeakSet([thing])


def in_a_weak_value(thing: Any, holder: Holder) -> None:
    holder.kept = weakref.WeakValueDictionary({1: thing})


def in_a_closure(thing: Any, holder: Holder) -> None:
    holder.kept = lambda: thing


def in_a_default(thing: Any, holder: Holder) -> None:
    def function(default: Any = thing) -> Any:
        return default

    holder.kept = function


def in_a_generator(thing: Any, holder: Holder) -> None:
    def generator() -> Iterator[Any]:
        yield 1
        yield thing

    holder.kept = generator()
    next(holder.kept)


def in_an_iterator_of_c(thing: Any, holder: Holder) -> None:
    holder.kept = (thing.put(item) for item in [1])


def in_a_timer(thing: Any, holder: Holder) -> None:
    timer = threading.Timer(600, thing.put, (None,))
    timer.daemon = True
    timer.start()
    holder.undo += [timer.cancel, timer.join]


def in_a_thread_that_sleeps(thing: Any, holder: Holder) -> None:
    over = threading.Event()
    thread = threading.Thread(target=lambda kept: over.wait(600) and kept, args=(thing,), daemon=True)
    thread.start()
    holder.undo += [over.set, thread.join]


def in_a_cache(thing: Any, holder: Holder) -> None:
    @functools.lru_cache
    def cached(_key: int) -> Any:
        return thing

    cached(1)
    holder.kept = cached


def in_a_traceback(thing: Any, holder: Holder) -> None:
    def fail(_local: Any) -> None:
        raise ValueError

    try:
        fail(thing)
    except ValueError as exc:
        holder.kept = exc


def in_a_context_variable(thing: Any, holder: Holder) -> None:
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")
    context = contextvars.copy_context()
    context.run(variable.set, thing)
    holder.kept = context


def at_exit(thing: Any, holder: Holder) -> None:
    holder.kept = weakref.finalize(threading.main_thread(), thing.put, None)
    holder.undo.append(holder.kept.detach)


def in_the_wrapper_of_an_iterator(thing: Any, holder: Holder) -> None:
    class Items:
        def __init__(self) -> None:
            self.inbox = thing

        def __iter__(self) -> Items:
            return self

        def __next__(self) -> Any:
            if self.inbox.get() is None:
                raise StopIteration

    items = Items()

    def worker(source: Items) -> None:
        for _ in enumerate(source):  # holds the enumerate, and not the items
            pass

    start(worker, items)
    atexit.register(never_called, items)
    holder.undo.append(functools.partial(atexit.unregister, never_called))


def in_the_wrapper_of_a_generator(thing: Any, holder: Holder) -> None:
    def generate() -> Iterator[Any]:
        while thing.get() is not None:
            yield

    def worker(source: Iterator[Any]) -> None:
        for _ in enumerate(source):
            pass

    generator = generate()
    start(worker, generator)
    atexit.register(never_called, generator)
    holder.undo.append(functools.partial(atexit.unregister, never_called))


HOLDERS = [value for name, value in list(globals().items()) if name.startswith(("in_a", "in_the", "at_exit"))]


@pytest.mark.parametrize("hold", HOLDERS, ids=lambda hold: hold.__name__)
def test_a_thread_somebody_can_reach_is_not_proven_stuck(hold: Callable[[Any, Holder], None], ways: Ways) -> None:
    """One reference from outside, of whatever kind, and nothing is claimed."""
    holder = Holder()

    def shape(ways: Ways) -> None:
        inbox = ways.queue()
        start(inbox.get)
        hold(inbox, holder)

    report = check(shape, ways)
    try:
        assert not report.proven
    finally:
        for undo in holder.undo:
            undo()


def test_a_queue_of_a_module_is_a_service(ways: Ways) -> None:
    """A thread that waits for work on what a module global reaches is no leak, and strictly seen a suspect."""
    before = snapshot()
    KEPT.append(ways.queue())
    start(KEPT[0].get)
    try:
        assert not find_leaks(since=before, grace=GRACE)
        strict = find_leaks(since=before, grace=GRACE, strict=True)
        assert [leak.proven for leak in strict] == [False]
        assert "test_proof.KEPT" in strict.leaks[0].verdict
    finally:
        KEPT.clear()


def test_a_queue_that_only_pytest_can_reach_is_no_service(
    ways: Ways, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The globals of pytest reach the value of every fixture, and give work to nobody: that is reported, as suspected."""
    before = snapshot()
    monkeypatch.setattr("_pytest.assertion.util._config", request.config)
    request.config.stash[INBOX] = ways.queue()
    start(request.config.stash[INBOX].get)
    try:
        assert [(leak.kind, leak.proven) for leak in find_leaks(since=before, grace=GRACE)] == [("thread", False)]
    finally:
        del request.config.stash[INBOX]


def test_a_lock_of_a_module_is_no_excuse(ways: Ways) -> None:
    """Nobody serves by waiting for a mutex: that is reported, though as a suspicion."""
    before = snapshot()
    KEPT.append(ways.lock())
    start(KEPT[0].acquire)
    try:
        assert [(leak.kind, leak.proven) for leak in find_leaks(since=before, grace=GRACE)] == [("thread", False)]
    finally:
        KEPT.clear()


def test_a_thread_reached_by_a_stuck_one_that_is_reached_is_alive(ways: Ways) -> None:
    """If anybody can wake the first of a chain, it may wake the next: none of them is proven."""
    first = ways.queue()

    def shape(ways: Ways) -> None:
        second = ways.queue()
        start(lambda: second.put(first.get()))
        start(second.get)

    report = check(shape, ways)
    assert [leak.proven for leak in report] == [False, False]
    first.put(1)


def test_a_dropped_executor_is_no_leak() -> None:
    """An executor in a cycle of garbage ends its idle workers as it is collected; the check lets that happen."""
    before = snapshot()

    def drop() -> None:
        executor = concurrent.futures.ThreadPoolExecutor(2)
        executor.submit(int).result()
        cycle: list[Any] = [executor]
        cycle.append(cycle)

    drop()
    assert not find_leaks(since=before, strict=True)


class WakesWhenDropped:
    """Garbage that wakes somebody as it goes."""

    def __init__(self, event: threading.Event) -> None:
        self.event = event
        self.cycle = self

    def __del__(self) -> None:
        self.event.set()


def test_garbage_that_wakes_a_thread_is_let_go_first() -> None:
    """A thread that a finalizer of uncollected garbage will wake is not called stuck."""
    gc.collect()
    gc.disable()
    try:
        before = snapshot()

        def leave() -> None:
            event = threading.Event()
            start(event.wait)
            WakesWhenDropped(event)

        leave()
        assert not find_leaks(since=before)
    finally:
        gc.enable()


def test_a_lock_that_only_its_stuck_owner_may_release_is_proven_though_others_hold_it(ways: Ways) -> None:
    """An RLock can be released by its owner alone: if that one is stuck, it does not matter who else has the lock."""
    shared, owned = threading.RLock(), threading.Event()

    def shape(ways: Ways) -> None:
        never = ways.event()

        def owner() -> None:
            with shared:
                owned.set()
                never.wait()

        start(owner)
        owned.wait()
        start(lambda: shared.acquire() and shared.release())

    report = check(shape, ways)
    assert sorted((leak.blocked_on or "").partition("(")[0] for leak in report if leak.proven) == [
        "threading.Event.wait",
        "threading.RLock.acquire",
    ]


def test_a_proof_says_who_else_is_stuck(ways: Ways) -> None:
    """The verdict on a circle names the other threads of it."""
    report = check(queues_in_a_circle, ways)
    names = {leak.name for leak in report}
    for leak in report:
        (other,) = names - {leak.name}
        assert repr(other) in leak.verdict


def test_nothing_is_claimed_without_the_gil(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    """A free-threaded build counts references in another way, so there everything is a suspicion."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    report = check(event_never_set, ways)
    assert [leak.proven for leak in report] == [False]
    assert "GIL" in report.leaks[0].verdict


def test_nothing_is_claimed_where_functions_cannot_be_looked_into(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without access to its own memory a process has no proofs, and the report says what is missing."""

    def refuse(*args: object) -> int:
        raise PermissionError

    monkeypatch.setattr("penstock.leaks._looking.memory.os.open", refuse)
    report = check(event_never_set, ways)
    assert [leak.proven for leak in report] == [False]
    assert "/proc/self/mem" in report.leaks[0].verdict


def test_reading_a_thread_leaves_its_variables_alone(ways: Ways) -> None:
    """A value that a function drops after it was looked at is freed: the check kept no copy of it."""
    inbox, dropped = ways.queue(), threading.Event()

    class Value:
        pass

    def worker() -> None:
        value = Value()
        weakref.finalize(value, dropped.set)
        inbox.get()
        del value
        inbox.get()

    before = snapshot()
    start(worker)
    assert find_leaks(since=before, grace=GRACE)
    inbox.put(1)
    assert dropped.wait(5)


def test_reading_a_thread_leaves_its_locals_alone(ways: Ways) -> None:
    """A function that has asked for its ``locals()`` finds in them what was there before it was looked at."""
    inbox, seen = ways.queue(), []

    def worker() -> None:
        answer = 42
        names = locals()
        inbox.get()
        seen.append((dict(names), answer))

    before = snapshot()
    start(worker)
    assert find_leaks(since=before, grace=GRACE)
    inbox.put(1)
    for thread in threading.enumerate()[1:]:
        thread.join(5)
    assert seen[0][0]["answer"] == 42


def test_a_daemon_that_wakes_by_itself_is_a_heartbeat(ways: Ways) -> None:
    """A daemon thread in a wait with a timeout is passed over, and found by a strict check."""
    over = ways.event()

    def beat() -> None:
        while not over.wait(600):
            pass

    before = snapshot()
    start(beat)
    assert not find_leaks(since=before, grace=GRACE)
    (leak,) = find_leaks(since=before, grace=GRACE, strict=True)
    assert not leak.proven
    assert "timeout" in (leak.blocked_on or "")


def test_a_thread_that_sleeps_is_told_by_its_sleep() -> None:
    """``time.sleep`` is named as what a thread is in."""
    before = snapshot()
    thread = threading.Thread(target=lambda: time.sleep(0.6))
    thread.start()
    (leak,) = find_leaks(since=before, grace=GRACE)
    assert (leak.blocked_on, leak.proven) == ("time.sleep(), with a timeout", False)
    thread.join()
