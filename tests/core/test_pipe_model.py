"""The pipe against a pure model: random steps of threads and tasks on both ends, checked after each step.

Deterministic: a step starts one operation (in a thread or in an asyncio task), or ends one, and then waits until the
pipe is where the model says it must be: which operations have ended and how, and how many still wait. Nothing
depends on timing, so Hypothesis can shrink a failure to the shortest list of steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.core.cancel import CancelScope
from penstock.core.pipe import pipe
from penstock.errors import BrokenError, Cancelled, ClosedError, EndOfChannel
from tests.core.threads import PATIENCE, Running, start, wait_until


class Aborted(Exception):
    """What a side aborts with."""


# --- the model --------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Operation:
    """One read or write: what it wants, and how the model says it ends (None: it waits)."""

    size: int = 0
    once: bool = False
    end: tuple[str, Any] | None = None
    got: list[tuple[int, object]] = field(default_factory=list)
    is_write: bool = False
    taken: int = 0


class Model:
    """A pipe without threads: a list of bytes, each knowing the write it came with."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.stream: list[tuple[int, object]] = []
        self.writers: list[Operation] = []
        self.readers: list[Operation] = []
        self.write_end: tuple[str, Any] | None = None  # None, ("closed", None) or ("aborted", error)
        self.read_end: tuple[str, Any] | None = None

    # -- operations

    def write(self, data: bytes) -> Operation:
        operation = Operation(size=len(data), is_write=True)
        if self.write_end:
            operation.end = ("raises", ClosedError)
        elif self.read_end:
            operation.end = self._seen_by_peer(self.read_end)
        elif not data:
            operation.end = ("returns", 0)
        else:
            self.stream += [(byte, operation) for byte in data]
            self.writers.append(operation)
            self._settle()
        return operation

    def read(self, size: int, *, once: bool) -> Operation:
        operation = Operation(size=size, once=once)
        if self.read_end:
            operation.end = ("raises", ClosedError)
        elif self.write_end and self.write_end[0] == "aborted":
            operation.end = self._seen_by_peer(self.write_end)
        else:
            self.readers.append(operation)
            self._settle()
        return operation

    def close_write(self, end: tuple[str, Any]) -> None:
        if self.write_end:
            return
        self.write_end = end
        for operation in self.writers:
            operation.end = ("raises", ClosedError)
            self._take_back(operation)
        self.writers.clear()
        if end[0] == "aborted":
            self.stream.clear()
            for operation in self.readers:
                operation.end = self._seen_by_peer(end)
            self.readers.clear()
        self._settle()

    def close_read(self, end: tuple[str, Any]) -> None:
        if self.read_end:
            return
        self.read_end = end
        for operation in self.readers:
            operation.end = ("raises", ClosedError)
        self.readers.clear()
        for operation in self.writers:
            operation.end = self._seen_by_peer(end) if not self.write_end else ("raises", ClosedError)
        self.writers.clear()
        self.stream.clear()

    def cancel(self, operation: Operation) -> None:
        operation.end = ("raises", Cancelled)
        if operation.is_write:
            self.writers.remove(operation)
            self._take_back(operation)
        else:
            self.readers.remove(operation)
            self.stream[:0] = operation.got
        self._settle()

    # -- rules

    def _settle(self) -> None:
        """Serve readers in order, then let those writes return whose last byte fits."""
        while self.readers and self._serve(self.readers[0]):
            self.readers.pop(0)
        for operation in list(self.writers):
            positions = [at for at, (_, write) in enumerate(self.stream) if write is operation]
            if positions and positions[-1] >= self.capacity:
                break  # writes return in order
            operation.end = ("returns", operation.size)
            self.writers.remove(operation)

    def _serve(self, reader: Operation) -> bool:
        wanted = reader.size - len(reader.got)
        available = len(self.stream)
        if reader.once and self.capacity == 0 and self.stream:
            first = self.stream[0][1]
            available = next((at for at, (_, write) in enumerate(self.stream) if write is not first), available)
        count = min(wanted, available)
        for _, write in self.stream[:count]:
            if isinstance(write, Operation):
                write.taken += 1
        reader.got += self.stream[:count]
        del self.stream[:count]
        full = len(reader.got) == reader.size or (reader.once and reader.got)
        if full or self.write_end:
            reader.end = ("returns", bytes(byte for byte, _ in reader.got))
            return True
        return False

    def _take_back(self, operation: Operation) -> None:
        self.stream = [entry for entry in self.stream if entry[1] is not operation]

    @staticmethod
    def _seen_by_peer(end: tuple[str, Any]) -> tuple[str, Any]:
        return ("raises", end[1] if end[0] == "aborted" else BrokenError)


# --- the real thing, step by step -------------------------------------------------------------------------------


class Loop:
    """An asyncio loop in a thread, to run the async ends in."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = start(self._loop.run_forever)
        wait_until(self._loop.is_running)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.result()
        self._loop.close()


class Started:
    """A real operation under way in a thread or task, under a scope of its own."""

    def __init__(self, model: Operation, call: Callable[[], Any] | Coroutine[Any, Any, Any], loop: Loop | None) -> None:
        self.model = model
        self.scope = CancelScope()
        self._thread: Running[Any] | None = None
        self._task: Any = None
        if loop is None:
            self._thread = start(self._run, call)
        else:
            self._task = loop.start(self._run_async(call))  # type: ignore[arg-type]

    def _run(self, call: Callable[[], Any]) -> tuple[str, Any]:
        with self.scope:
            try:
                return ("returns", call())
            except BaseException as error:
                return ("raises", error)
        raise AssertionError("not reached")

    async def _run_async(self, call: Coroutine[Any, Any, Any]) -> tuple[str, Any]:
        with self.scope:
            try:
                return ("returns", await call)
            except EndOfChannel:
                return ("returns", b"")
            except BaseException as error:
                return ("raises", error)
        raise AssertionError("not reached")

    @property
    def done(self) -> bool:
        return self._thread.done if self._thread is not None else bool(self._task.done())

    def outcome(self) -> tuple[str, Any]:
        outcome: tuple[str, Any] = self._thread.result() if self._thread is not None else self._task.result(PATIENCE)
        return outcome

    def check(self) -> None:
        """The operation ended as the model says."""
        assert self.model.end is not None
        kind, expected = self.model.end
        actual_kind, actual = self.outcome()
        assert actual_kind == kind, (self.model, actual)
        if kind == "returns":
            if self.model.is_write and actual is None:  # aio.send returns nothing
                actual = self.model.size
            assert actual == expected
        elif isinstance(expected, type):
            assert isinstance(actual, expected), (expected, actual)
        else:
            assert actual is expected
        # Several writes may raise the one object given to abort(), which can hold one count only.
        if kind == "raises" and self.model.is_write and isinstance(expected, type):
            assert getattr(actual, "characters_written", 0) == self.model.taken


class PipeMachine(RuleBasedStateMachine):
    """Steps on one pipe, mirrored on the model."""

    loop: Loop

    @initialize(capacity=st.sampled_from([0, 1, 4, 10]))
    def make(self, capacity: int) -> None:
        self.loop = Loop()
        self.model = Model(capacity)
        self.reader, self.writer = pipe(capacity)
        self.started: list[Started] = []
        self._next_byte = 0

    def _data(self, size: int) -> bytes:
        """Bytes that tell where in the stream they were written."""
        first, self._next_byte = self._next_byte, (self._next_byte + size) % 256
        return bytes((first + offset) % 256 for offset in range(size))

    @rule(size=st.integers(0, 12), in_task=st.booleans(), mutable=st.booleans())
    def write(self, size: int, in_task: bool, mutable: bool) -> None:
        data = self._data(size)
        payload = bytearray(data) if mutable else data
        operation = self.model.write(data)
        if in_task:
            self.started.append(Started(operation, self.writer.aio.send(payload), self.loop))
        else:
            self.started.append(Started(operation, lambda: self.writer.write(payload), None))

    @rule(size=st.integers(1, 15))
    def read(self, size: int) -> None:
        operation = self.model.read(size, once=False)
        self.started.append(Started(operation, lambda: self.reader.read(size), None))

    @rule(size=st.integers(1, 15), in_task=st.booleans())
    def read1(self, size: int, in_task: bool) -> None:
        operation = self.model.read(size, once=True)
        if in_task:
            self.started.append(Started(operation, self.reader.aio.receive(size), self.loop))
        else:
            self.started.append(Started(operation, lambda: self.reader.read1(size), None))

    @rule(data=st.data())
    @precondition(lambda self: any(started.model.end is None for started in getattr(self, "started", ())))
    def cancel(self, data: st.DataObject) -> None:
        waiting = [started for started in self.started if started.model.end is None]
        started = waiting[data.draw(st.integers(0, len(waiting) - 1), label="which")]
        self.model.cancel(started.model)
        started.scope.cancel()

    @rule(how=st.sampled_from(["close_write", "abort_write", "close_read", "abort_read"]), really=st.integers(0, 7))
    def end(self, how: str, really: int) -> None:
        """End a side, but not so often that nothing else happens."""
        if really:
            return
        if how == "close_write" and self.model.capacity and self.model.writers:
            return  # outside the model: how much of a blocked buffered write stays after its own close
        error = Aborted(how)
        end = ("closed", None) if how.startswith("close") else ("aborted", error)
        (self.model.close_write if how.endswith("write") else self.model.close_read)(end)
        side = self.writer if how.endswith("write") else self.reader
        side.close() if how.startswith("close") else side.abort(error)

    @invariant()
    def agrees(self) -> None:
        """The real pipe comes to rest where the model is."""
        if not hasattr(self, "model"):
            return
        ended = [started for started in self.started if started.model.end is not None]
        for started in ended:
            wait_until(lambda: started.done)  # noqa: B023
            started.check()
            self.started.remove(started)
        wait_until(lambda: self._waiting() == (len(self.model.readers), len(self.model.writers)))
        assert not any(started.done for started in self.started)
        if not self.model.read_end and not self.model.write_end:
            assert self.reader.statistics().waiting_bytes == len(self.model.stream)

    def _waiting(self) -> tuple[int, int]:
        statistics = self.reader.statistics()
        return statistics.readers_waiting, statistics.writers_waiting

    def teardown(self) -> None:
        """End everything; nothing may hang, whatever the state."""
        if not hasattr(self, "model"):
            return
        self.reader.close()
        self.writer.close()
        for started in self.started:
            wait_until(lambda: started.done)  # noqa: B023
            started.outcome()
        self.loop.stop()


PipeMachine.TestCase.settings = settings(
    max_examples=300, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestPipeAgainstModel = PipeMachine.TestCase
TestPipeAgainstModel.__doc__ = "Any sequence of steps leaves pipe and model in the same state."
