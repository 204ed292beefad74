"""``reading_from`` and ``writing_to``: connect a function that wants to write to one that wants to read.

One of the two runs in a thread of its own, and each has one end of a pipe. Nobody has to remember to close an end: the
reader sees the end of the data when the producer *returns*, and its exception when it raises.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Generic, TypeVar

from penstock.core._threads import OwnedThread
from penstock.core.cancel import CancelScope, check_cancelled
from penstock.core.pipe._make import pipe
from penstock.core.pipe._outcomes import CLOSED
from penstock.core.pipe._reader import PipeReader
from penstock.core.pipe._writer import PipeWriter
from penstock.errors import BrokenError, Cancelled

__all__ = ["ConsumerHandle", "reading_from", "writing_to"]

T = TypeVar("T")
_NOTICE_SECONDS = 0.1  # a thread that waits on the pipe notices its end at once; one busy elsewhere is cancelled then


class _ReadingFrom:
    """See :func:`reading_from`."""

    def __init__(self, producer: Callable[[PipeWriter], object], buffer_size: int) -> None:
        self._producer = producer
        self._buffer_size = buffer_size

    def __enter__(self) -> PipeReader:
        self._scope = CancelScope().__enter__()
        name = getattr(self._producer, "__name__", "producer")
        self._reader, writer = pipe(self._buffer_size, name=name)
        writer._state.end_held = True
        self._thread = OwnedThread(_producing(self._producer, writer), self._scope, f"reading_from-{name}")
        _start_or_leave(self._thread, self._scope, self._reader, writer)
        return self._reader

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        state = self._reader._state
        still_writing = state.write_outcome is None
        self._reader.__exit__(exc_type, exc, traceback)
        failure = _join(self._thread, self._scope, stop=exc is not None or still_writing, body_error=exc)
        if failure is None or exc is not None or state.reader_was_told:
            return
        if not (still_writing and _comes_from_leaving(failure)):
            raise failure


def reading_from(producer: Callable[[PipeWriter], object], *, buffer_size: int = 0) -> _ReadingFrom:
    """Read what ``producer(writer)`` writes, for code that takes a file to read from, such as an upload or a parser.

    A context manager that gives the :class:`~penstock.PipeReader`::

        with reading_from(write_zip) as reader:
            s3.upload_fileobj(reader, ...)

    The producer runs in a thread of its own, under the current cancel scope. The reader sees the end of the data only
    after the producer has returned; an exception of the producer is raised by the next read, as the same object.
    Leaving the block closes the reader, stops a producer that is still writing (cancelling it after 0.1 s if it is
    busy with something else), and waits for it. An exception of the producer that no read has raised is raised then.

    Args:
        producer: called with the write end, which is closed when it returns and aborted when it raises.
        buffer_size: bytes that may wait in the pipe, as for :func:`penstock.pipe`.
    """
    return _ReadingFrom(producer, buffer_size)


class ConsumerHandle(Generic[T]):
    """A running consumer: where to write to it, and its result. Made by :func:`writing_to`.

    Attributes:
        writer: the :class:`~penstock.PipeWriter` whose data the consumer reads.
    """

    def __init__(self, writer: PipeWriter, thread: OwnedThread) -> None:
        self.writer = writer
        self._thread = thread

    def result(self, timeout: float | None = None) -> T:
        """Block until the consumer returns; return its result, or raise its exception.

        Inside the block, close the writer first, as the consumer usually returns only at the end of the data.

        Args:
            timeout: seconds to wait; None for ever.

        Raises:
            DeadlineExceeded: the consumer has not returned within ``timeout`` seconds.
            Cancelled: the current scope was cancelled.
        """
        return self._thread.future.result(timeout)  # type: ignore[return-value]


class _WritingTo(Generic[T]):
    """See :func:`writing_to`."""

    def __init__(self, consumer: Callable[[PipeReader], T], buffer_size: int) -> None:
        self._consumer = consumer
        self._buffer_size = buffer_size

    def __enter__(self) -> ConsumerHandle[T]:
        self._scope = CancelScope().__enter__()
        name = getattr(self._consumer, "__name__", "consumer")
        reader, self._writer = pipe(self._buffer_size, name=name)
        self._thread = OwnedThread(_consuming(self._consumer, reader), self._scope, f"writing_to-{name}")
        _start_or_leave(self._thread, self._scope, reader, self._writer)
        return ConsumerHandle(self._writer, self._thread)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.__exit__(exc_type, exc, traceback)
        failure = _join(self._thread, self._scope, stop=exc is not None, body_error=exc)
        if failure is not None and exc is None:
            raise failure


def writing_to(consumer: Callable[[PipeReader], T], *, buffer_size: int = 0) -> _WritingTo[T]:
    """Write what ``consumer(reader)`` reads, for code that takes a file to write to.

    A context manager that gives a :class:`ConsumerHandle`::

        with writing_to(upload) as handle:
            handle.writer.write(...)
        print(handle.result())  # what upload() returned

    The consumer runs in a thread of its own, under the current cancel scope. Leaving the block normally ends the data,
    waits for the consumer, and raises its exception if there is one. Leaving it by an exception makes the consumer's
    next read raise that exception, and waits for the consumer (cancelling it after 0.1 s if it is busy elsewhere).

    Args:
        consumer: called with the read end, which is closed when it returns and aborted when it raises.
        buffer_size: bytes that may wait in the pipe, as for :func:`penstock.pipe`.
    """
    return _WritingTo(consumer, buffer_size)


def _join(
    thread: OwnedThread, scope: CancelScope, *, stop: bool, body_error: BaseException | None
) -> BaseException | None:
    """Wait for the thread, whose end of the pipe tells it to finish; return its exception.

    With ``stop``, cancel it if it does not finish soon, because it is busy with something else than the pipe.
    """
    if stop:
        scope.deadline = min(scope.deadline, monotonic() + _NOTICE_SECONDS)
    thread.join()
    cancelled_from_outside = scope._parent is not None and scope._parent._interrupted
    scope.__exit__(None, None, None)
    if not thread.future.cancelled():
        return thread.future.exception()
    if cancelled_from_outside and body_error is None:
        check_cancelled()
    return None


def _comes_from_leaving(failure: BaseException) -> bool:
    """Whether a producer failed only because the reader had left, perhaps through something that wraps the writer."""
    seen: BaseException | None = failure
    while seen is not None:
        if isinstance(seen, BrokenError | Cancelled):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _producing(producer: Callable[[PipeWriter], object], writer: PipeWriter) -> Callable[[], object]:
    """Return a function that calls the producer. Only its return ends the data, even if the writer is closed before."""

    def call() -> object:
        state = writer._state
        outcome: BaseException = CLOSED
        try:
            return producer(writer)
        except BaseException as exc:
            outcome = exc
            raise
        finally:
            with state.mutex:
                state.let_end(outcome)
            del outcome

    return call


def _consuming(consumer: Callable[[PipeReader], T], reader: PipeReader) -> Callable[[], T]:
    def call() -> T:
        with reader:
            return consumer(reader)

    return call


def _start_or_leave(thread: OwnedThread, scope: CancelScope, reader: PipeReader, writer: PipeWriter) -> None:
    try:
        thread.start()
    except BaseException as exc:
        reader.abort(exc)
        writer.abort(exc)
        scope.__exit__(None, None, None)
        raise
