"""Two threads, every order: pipe, channel, cancel and budget under a scheduler that owns each thread switch.

``interleave-test`` runs a model again and again, switching threads between any two lines or bytecodes of penstock,
at random and by PCT priorities. A failure names the schedule that led to it and can be replayed. It replaces the
locks of ``threading``; ours come from ``_thread``, so ``modelled_locks`` gives penstock the same replacement.
"""

from __future__ import annotations

import gc
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if sys.version_info < (3, 12):
    pytest.skip("interleave-test needs sys.monitoring, which came with Python 3.12", allow_module_level=True)
interleave_test = pytest.importorskip("interleave_test", reason="interleave-test is not installed")

import penstock.errors  # noqa: E402  after the skips
from penstock.core.budget import Budget  # noqa: E402
from penstock.core.cancel import CancelScope  # noqa: E402
from penstock.core.channel import channel, select  # noqa: E402
from penstock.core.pipe import pipe  # noqa: E402
from penstock.errors import BrokenError, Cancelled, ClosedError, EndOfChannel, WouldBlock  # noqa: E402

SOURCE = str(Path(penstock.errors.__file__).parent / "core")

EVERY_SEARCH = pytest.mark.parametrize(
    ("strategy", "granularity", "iterations"),
    [("random", "line", 60), ("pct", "line", 100), ("pct", "opcode", 60), ("random", "opcode", 25)],
)
Search = Callable[[Callable[[], object]], None]


@pytest.fixture(autouse=True)
def modelled_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every loaded module of the core the scheduler's locks and clock for the length of a test."""
    for name, module in list(sys.modules.items()):
        if not name.startswith("penstock.core"):
            continue
        real = getattr(module, "_thread", None)
        if real is not None:
            replaced = {**vars(real), "allocate_lock": interleave_test.Lock}
            monkeypatch.setattr(module, "_thread", types.SimpleNamespace(**replaced))
        if hasattr(module, "monotonic"):
            monkeypatch.setattr(module, "monotonic", lambda: time.monotonic())  # noqa: PLW0108  looked up when called


@pytest.fixture
def search(request: pytest.FixtureRequest) -> Search:
    """Explore a model with the strategy of this test's parameters."""
    parameters = request.node.callspec.params

    def explore(model: Callable[[], object]) -> None:
        # The collector would run finalizers of earlier schedules, which are traced, inside the scheduler's own lock.
        gc.disable()
        try:
            interleave_test.explore(
                model,
                iterations=parameters["iterations"],
                strategy=parameters["strategy"],
                granularity=parameters["granularity"],
                seed=20261121,
                include=[SOURCE, __file__],
            )
        finally:
            gc.enable()
            gc.collect()  # or what a failed model dropped would be held against the next test

    return explore


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returned, or the exception it raised."""
    try:
        return call(*arguments)
    except (Exception, Cancelled) as error:
        return error


class Task:
    """A controlled thread whose ``result`` waits for it."""

    def __init__(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._task = interleave_test.spawn(call, *arguments)

    def join(self) -> None:
        self._task.join()

    def result(self) -> Any:
        self._task.join()
        return self._task.result()


def spawn(call: Callable[..., Any], *arguments: Any) -> Task:
    """Start a controlled thread."""
    return Task(call, arguments)


# --- the tool itself --------------------------------------------------------------------------------------------


def test_the_search_finds_a_planted_race() -> None:
    """A lost update planted in a model is found: a search that cannot fail proves nothing."""

    def model() -> None:
        counter = {"n": 0}

        def increment() -> None:
            counter["n"] += 1

        tasks = [spawn(increment), spawn(increment)]
        for task in tasks:
            task.join()
        assert counter["n"] == 2

    with pytest.raises(interleave_test.RaceFound):
        interleave_test.explore(model, iterations=200, seed=1, include=[__file__])


# --- pipe -------------------------------------------------------------------------------------------------------


@EVERY_SEARCH
@pytest.mark.parametrize("buffer_size", [0, 2])
def test_pipe_transfer(search: Search, buffer_size: int, strategy: str, granularity: str, iterations: int) -> None:
    """Whatever the order, the reader gets every byte and then the end."""

    def model() -> None:
        reader, writer = pipe(buffer_size)

        def produce() -> None:
            for piece in (b"ab", b"", b"c", b"defg"):
                writer.write(piece)
            writer.close()

        producing = spawn(produce)
        assert reader.read(3) == b"abc"
        assert reader.read() == b"defg"
        producing.join()
        reader.close()

    search(model)


@EVERY_SEARCH
@pytest.mark.parametrize("buffer_size", [0, 2])
def test_pipe_two_writers(search: Search, buffer_size: int, strategy: str, granularity: str, iterations: int) -> None:
    """Concurrent writes stay whole."""

    def model() -> None:
        reader, writer = pipe(buffer_size)
        writings = [spawn(writer.write, b"aaa"), spawn(writer.write, b"bbb")]
        assert reader.read(6) in (b"aaabbb", b"bbbaaa")
        for writing in writings:
            assert writing.result() == 3
        writer.close()
        reader.close()

    search(model)


@EVERY_SEARCH
def test_pipe_write_against_reader_close(search: Search, strategy: str, granularity: str, iterations: int) -> None:
    """Ack beats close: what was taken and what the write says of it are the same."""

    def model() -> None:
        reader, writer = pipe()
        writing = spawn(outcome, writer.write, b"abcd")
        taken = reader.read1(3)
        closing = spawn(reader.close)
        closing.join()
        written = writing.result()
        assert taken == b"abc"
        assert isinstance(written, BrokenError)
        assert written.characters_written == 3
        writer.close()

    search(model)


@EVERY_SEARCH
def test_pipe_read_close_and_own_close(search: Search, strategy: str, granularity: str, iterations: int) -> None:
    """A write, a read and the writer's own close at once: the counts of both sides agree in every order."""

    def model() -> None:
        reader, writer = pipe()
        writing = spawn(outcome, writer.write, b"abcd")
        closing = spawn(writer.close)
        received = reader.read()
        written = writing.result()
        closing.join()
        if isinstance(written, ClosedError):
            assert len(received) == getattr(written, "characters_written", 0)
        else:
            assert (written, received) == (4, b"abcd")
        reader.close()

    search(model)


@EVERY_SEARCH
@pytest.mark.parametrize("buffer_size", [0, 2])
def test_pipe_write_against_cancel(
    search: Search, buffer_size: int, strategy: str, granularity: str, iterations: int
) -> None:
    """A cancelled write says exactly how much of it can be read."""

    def model() -> None:
        reader, writer = pipe(buffer_size)
        scope = CancelScope()

        def write() -> Any:
            with scope:
                return outcome(writer.write, b"abcd")

        writing = spawn(write)
        cancelling = spawn(scope.cancel)
        cancelling.join()
        closing = spawn(lambda: (writing.join(), writer.close()))
        received = reader.read()
        closing.join()
        written = writing.result()
        if isinstance(written, Cancelled):
            assert len(received) <= 4
            if buffer_size == 0:
                assert len(received) == getattr(written, "characters_written", 0)
        else:
            assert (written, received) == (4, b"abcd")
        reader.close()

    search(model)


@EVERY_SEARCH
def test_pipe_read_against_cancel(search: Search, strategy: str, granularity: str, iterations: int) -> None:
    """Bytes a cancelled read did not return are there for the next."""

    def model() -> None:
        reader, writer = pipe(8)
        scope = CancelScope()
        got: list[bytes] = []

        def read() -> None:
            with scope:
                got.append(reader.read(4))

        reading = spawn(read)
        cancelling = spawn(scope.cancel)
        writer.write(b"ab")
        writer.write(b"cd")
        reading.join()
        cancelling.join()
        writer.close()
        assert b"".join(got) + reader.read() == b"abcd"
        reader.close()

    search(model)


@EVERY_SEARCH
def test_pipe_abort_is_never_an_end(search: Search, strategy: str, granularity: str, iterations: int) -> None:
    """A read racing with an abort raises it; it never returns a clean end."""

    def model() -> None:
        reader, writer = pipe()
        error = ZeroDivisionError()
        reading = spawn(outcome, reader.read)
        aborting = spawn(writer.abort, error)
        assert reading.result() is error
        aborting.join()
        reader.close()

    search(model)


# --- channel ----------------------------------------------------------------------------------------------------


@EVERY_SEARCH
@pytest.mark.parametrize("size", [0, 1])
def test_channel_transfer(search: Search, size: int, strategy: str, granularity: str, iterations: int) -> None:
    """Every item once, in order, then the end."""

    def model() -> None:
        send, receive = channel(size)

        def produce() -> None:
            for item in range(3):
                send.send(item)
            send.close()

        producing = spawn(produce)
        assert list(receive) == [0, 1, 2]
        producing.join()
        receive.close()

    search(model)


@EVERY_SEARCH
@pytest.mark.parametrize("size", [0, 1])
def test_channel_two_senders_two_receivers(
    search: Search, size: int, strategy: str, granularity: str, iterations: int
) -> None:
    """Fan in and fan out: nothing lost, nothing twice, everybody ends."""

    def model() -> None:
        send, receive = channel(size)
        other_send, other_receive = send.clone(), receive.clone()

        def produce(end: Any, item: int) -> None:
            end.send(item)
            end.close()

        tasks = [spawn(produce, send, 1), spawn(produce, other_send, 2)]
        collecting = spawn(list, other_receive)
        mine = list(receive)
        assert sorted(mine + collecting.result()) == [1, 2]
        for task in tasks:
            task.join()
        receive.close()
        other_receive.close()

    search(model)


@EVERY_SEARCH
@pytest.mark.parametrize("size", [0, 1])
def test_channel_send_against_the_last_receivers_close(
    search: Search, size: int, strategy: str, granularity: str, iterations: int
) -> None:
    """A send either went through or broke; it never hangs."""

    def model() -> None:
        send, receive = channel(size)
        sending = [spawn(outcome, send.send, 1), spawn(outcome, send.send, 2)]
        closing = spawn(receive.close)
        for task in sending:
            assert task.result() is None or isinstance(task.result(), BrokenError)
        closing.join()
        send.close()

    search(model)


@EVERY_SEARCH
@pytest.mark.parametrize("size", [0, 1])
def test_channel_receive_against_the_last_senders_close(
    search: Search, size: int, strategy: str, granularity: str, iterations: int
) -> None:
    """An item sent before the close is received before the end."""

    def model() -> None:
        send, receive = channel(size)

        def send_and_close() -> Any:
            result = outcome(send.send, 1)
            send.close()
            return result

        sending = spawn(send_and_close)
        receivings = [spawn(outcome, receive.receive) for _ in range(2)]
        results = [task.result() for task in receivings]
        assert sending.result() is None
        assert results.count(1) == 1
        assert sum(isinstance(result, EndOfChannel) for result in results) == 1
        receive.close()

    search(model)


@EVERY_SEARCH
@pytest.mark.parametrize("size", [0, 1])
def test_channel_cancel_against_hand_over(
    search: Search, size: int, strategy: str, granularity: str, iterations: int
) -> None:
    """A cancelled receive took nothing; an item is with the receiver or still to be had."""

    def model() -> None:
        send, receive = channel(size)
        scope, got = CancelScope(), []

        def take() -> None:
            with scope:
                got.append(receive.receive())

        taking = spawn(take)
        cancelling = spawn(scope.cancel)
        sent = outcome(send.send_nowait, 1)
        taking.join()
        cancelling.join()
        rest = outcome(receive.receive_nowait)
        assert sent is None or isinstance(sent, WouldBlock)
        assert got + ([] if isinstance(rest, WouldBlock) else [rest]) == ([1] if sent is None else [])
        send.close()
        receive.close()

    search(model)


@EVERY_SEARCH
def test_channel_select_against_two_senders(search: Search, strategy: str, granularity: str, iterations: int) -> None:
    """One select takes one item; the other channel's stays where it is."""

    def model() -> None:
        first_send, first = channel()
        second_send, second = channel(1)
        sendings = [spawn(first_send.send, 1), spawn(second_send.send, 2)]
        chosen, item = select(first, second)
        other_item = select(first, second)[1]
        assert {item, other_item} == {1, 2}
        assert (item == 1) == (chosen is first)
        for task in sendings:
            task.join()
        for end in (first_send, first, second_send, second):
            end.close()

    search(model)


@EVERY_SEARCH
def test_channel_nowait_against_a_blocking_receive(
    search: Search, strategy: str, granularity: str, iterations: int
) -> None:
    """The lock-free path of a buffered send wakes a receiver that is just lying down."""

    def model() -> None:
        send, receive = channel(2)
        receiving = spawn(lambda: [receive.receive(), receive.receive()])
        sending = spawn(send.send, 2)
        send.send(1)
        assert sorted(receiving.result()) == [1, 2]
        sending.join()
        send.close()
        receive.close()

    search(model)


# --- cancel and budget ------------------------------------------------------------------------------------------


@EVERY_SEARCH
def test_a_cancel_is_never_lost(search: Search, strategy: str, granularity: str, iterations: int) -> None:
    """Against entering scopes, setting deadlines and parking: whoever waits wakes."""

    def model() -> None:
        outer = CancelScope()
        reader, writer = pipe()

        def wait() -> None:
            with outer:
                with CancelScope() as inner:
                    inner.deadline = time.monotonic() + 1e6
                    reader.read(1)
                raise AssertionError("the inner scope caught the outer cancel")

        waiting = spawn(wait)
        outer.cancel()
        waiting.join()
        assert outer.cancelled_caught
        reader.close()
        writer.close()

    search(model)


@EVERY_SEARCH
def test_budget(search: Search, strategy: str, granularity: str, iterations: int) -> None:
    """Claims never exceed the limit, and each is served in the end, one of them cancelled."""

    def model() -> None:
        budget = Budget(10)
        scope = CancelScope()

        def claim(size: int) -> None:
            with budget.reserve(size):
                assert budget.used_bytes <= 10

        def claim_cancelled() -> None:
            with scope:
                claim(10)

        tasks = [spawn(claim, 7), spawn(claim_cancelled), spawn(claim, 4)]
        scope.cancel()
        for task in tasks:
            task.join()
        assert budget.used_bytes == 0

    search(model)
