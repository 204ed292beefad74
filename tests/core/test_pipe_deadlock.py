"""Waits that could never end are told to the waiter; waits that may end are left alone."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from penstock.core.pipe import pipe
from penstock.errors import WouldDeadlock
from tests.core.threads import PATIENCE, start, wait_until


def test_same_thread_write_then_read_raises_instead_of_deadlocking() -> None:
    """A thread that has read from a rendezvous pipe and then writes to it could only be served by itself."""
    with pipe() as (reader, writer):
        writing = start(writer.write, b"x")
        assert reader.read(1) == b"x"
        writing.result()
        with pytest.raises(WouldDeadlock):
            writer.write(b"y")


def test_same_thread_read_after_write_raises_instead_of_deadlocking() -> None:
    """And the other way round: a thread that has written and then reads."""
    with pipe() as (reader, writer):
        reading = start(reader.read, 1)
        writer.write(b"x")
        assert reading.result() == b"x"
        with pytest.raises(WouldDeadlock):
            reader.read(1)


def test_same_thread_use_is_fine_where_nothing_waits() -> None:
    """A buffered pipe may be written and read by one thread, as long as it fits; the end may be read too."""
    reader, writer = pipe(16)
    for _ in range(3):
        writer.write(b"12345678")
        assert reader.read(8) == b"12345678"
    writer.close()
    assert reader.read() == b""
    reader.close()


def test_a_signal_handler_that_writes_into_the_write_it_interrupted_does_not_hang() -> None:
    """It is served in its turn, or told that it would deadlock."""
    refused: list[WouldDeadlock] = []

    def handler(*_: object) -> None:
        try:
            writer.write(b" and again")
        except WouldDeadlock as error:
            refused.append(error)

    def interrupt_then_read() -> bytes:
        wait_until(lambda: writer.statistics().writers_waiting == 1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        wait_until(lambda: refused or writer.statistics().writers_waiting == 2)
        return reader.read(len(b"once") if refused else len(b"once and again"))

    with pipe() as (reader, writer):
        previous = signal.signal(signal.SIGUSR1, handler)
        try:
            interrupting = start(interrupt_then_read)
            assert writer.write(b"once") == 4
            assert interrupting.result() == (b"once" if refused else b"once and again")
        finally:
            signal.signal(signal.SIGUSR1, previous)


def test_a_thread_id_that_is_used_again_is_no_proof_of_a_deadlock() -> None:
    """A reader whose thread has the id of a dead writer may still wait for another writer."""
    with pipe(16) as (reader, writer):
        for _ in range(200):
            wrote = start(writer.write, b"x")
            wrote.result()
            gate = threading.Event()

            def read_two(gate: threading.Event = gate) -> bytes:
                assert gate.wait(PATIENCE)
                return reader.read(2)

            reading = start(read_two)
            if reading.thread.ident == wrote.thread.ident:
                break
            gate.set()
            writer.write(b"y")
            reading.result()
        else:
            pytest.skip("this system did not use a thread id twice")
        began = time.monotonic()
        gate.set()
        wait_until(lambda: reading.done or time.monotonic() > began + 0.2)
        assert not reading.done, "the wait was declared a deadlock"
        writer.write(b"y")
        assert reading.result() == b"xy"


def test_somebody_else_who_holds_the_end_is_no_proof_of_a_deadlock() -> None:
    """A thread that used both ends may wait as long as another thread holds the other end and comes late."""
    with pipe() as (reader, writer):
        feeding = start(writer.write, b"header")
        assert reader.read(6) == b"header"
        feeding.result()
        gate = threading.Event()

        def read_late() -> bytes:
            assert gate.wait(PATIENCE)
            return reader.read(4)

        def open_the_gate_late() -> None:
            wait_until(lambda: writer.statistics().writers_waiting == 1)
            began = time.monotonic()
            wait_until(lambda: time.monotonic() > began + 0.2)
            gate.set()

        reading, opening = start(read_late), start(open_the_gate_late)
        try:
            assert writer.write(b"body") == 4
        finally:
            gate.set()
            opening.join()
        assert reading.result() == b"body"


def test_a_pair_kept_in_a_variable_is_found_out_too() -> None:
    """Both ends reached through the pair they came in are still in one thread."""

    def use_both_ends() -> None:
        pair = pipe()
        try:
            pair.writer.write(b"x")
        finally:
            pair.writer.close()
            pair.reader.close()

    start(use_both_ends).error(WouldDeadlock)
