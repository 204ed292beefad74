"""What a run leaves behind is told; what others start meanwhile is not."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock import formats
from penstock.engines import local
from penstock.engines.leftovers import Leftovers
from penstock.engines.outcome import Outcome
from penstock.errors import SourceError
from penstock.flow.memory import split_memory
from penstock.flow.plan import make_plan
from tests.engines.parts import BytesSource, MemorySink


def run(chunks: list[Any], sink: MemorySink | None = None) -> Outcome:
    csv, memory = formats.format_by_name("csv"), split_memory(16 * 1024**2)
    plan = make_plan(BytesSource(chunks), sink or MemorySink(), target_format=csv, compression=None, memory=memory)
    return local.run(plan, compress=formats.compress)


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Ends the threads of a test."""
    event = threading.Event()
    started = threading.active_count()
    yield event
    event.set()
    while threading.active_count() > started:
        time.sleep(0.001)


def starting(stop: threading.Event, name: str) -> Callable[[], bytes]:
    def chunk() -> bytes:
        threading.Thread(target=stop.wait, name=name).start()
        return b"x"

    return chunk


def test_a_thread_that_a_source_leaves_is_told(stop: threading.Event) -> None:
    """With its name, and where it was started."""
    [left] = run([starting(stop, "forgotten")]).leaks
    assert left.startswith("thread 'forgotten', started at ")
    assert "test_leftovers.py" in left


def test_a_thread_that_such_a_thread_starts_is_told_as_well(stop: threading.Event) -> None:
    """It belongs to whom its starter belongs."""

    def chunk() -> bytes:
        outer = threading.Thread(target=lambda: threading.Thread(target=stop.wait, name="inner").start())
        outer.start()
        outer.join()
        return b"x"

    [left] = run([chunk]).leaks
    assert left.startswith("thread 'inner'")


def test_a_socket_that_is_left_open_is_told() -> None:
    """As long as somebody holds it."""
    kept: list[socket.socket] = []

    def chunk() -> bytes:
        kept.append(socket.socket())
        return b"x"

    try:
        [left] = run([chunk]).leaks
    finally:
        kept[0].close()
    assert left.startswith("socket ")


def answered(connection: socket.socket) -> http.client.HTTPResponse:
    """A response whose body has not been read."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response


def test_a_response_that_is_left_unread_is_told() -> None:
    """As long as somebody holds it; once it is closed, it is not waited for either, though somebody does."""
    here, there = socket.socketpair()
    left = Leftovers()
    with here, there, left.started_here():
        there.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        response = answered(here)
        assert any(line.startswith("response ") for line in left.find())
        response.close()
    assert left.find() == ()


def test_what_is_closed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a traceback holds it: an event loop, a response. That would be a quarter of a second of every failure."""

    def refuse(seconds: float) -> None:
        pytest.fail("it waits")

    monkeypatch.setattr("penstock.engines.leftovers.sleep", refuse)
    here, there = socket.socketpair()
    left = Leftovers()
    with here, there, left.started_here():
        there.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        response, loop = answered(here), asyncio.new_event_loop()
        response.close()
        loop.close()
    assert left.find() == ()


def test_what_is_on_its_way_out_is_waited_for() -> None:
    """A moment's patience is no leak."""
    ready = threading.Event()

    def chunk() -> bytes:
        threading.Thread(target=lambda: (ready.wait(), time.sleep(0.02))).start()
        return b"x"

    sink = MemorySink(on_read=ready.set)
    assert run([chunk], sink).leaks == ()


def test_the_rest_of_the_program_is_none_of_its_business(stop: threading.Event) -> None:
    """Threads that are started meanwhile, by others, are neither told nor waited for."""
    orders, done = threading.Event(), threading.Event()

    def others() -> None:
        orders.wait()
        threading.Thread(target=stop.wait, name="theirs").start()
        done.set()

    threading.Thread(target=others).start()

    def chunk() -> bytes:
        orders.set()
        done.wait()
        return b"x"

    began = time.monotonic()
    assert run([chunk]).leaks == ()
    assert time.monotonic() - began < 5


def test_a_run_that_fails_says_what_it_left(stop: threading.Event) -> None:
    """As a note on its error."""
    with pytest.raises(SourceError) as caught:
        run([starting(stop, "forgotten"), SourceError("lost")])
    [note] = caught.value.__notes__
    assert note.startswith("also, left behind: thread 'forgotten'")


def test_two_runs_do_not_tell_of_each_other(stop: threading.Event) -> None:
    """Each looks for its own only."""
    first, second = Leftovers(), Leftovers()
    with first.started_here():
        threading.Thread(target=stop.wait, name="of the first").start()
    with second.started_here():
        pass
    assert second.find() == ()
    [left] = first.find()
    assert "of the first" in left
