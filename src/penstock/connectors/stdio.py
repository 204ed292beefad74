"""The connector of standard input and output: the address ``-``."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast, final

from penstock.connectors._descriptors import reading_descriptor, writing_descriptor
from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.connectors._stored import StoredSource
from penstock.errors import SinkError, SourceError
from penstock.flow.contracts import Receipt
from penstock.flow.streams import as_it_comes

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["StandardOutput", "sink", "source"]

_INPUT = "standard input"
_OUTPUT = "standard output"


def source(request: SourceRequest) -> StoredSource:
    """Make a source that reads standard input, to its end."""
    return StoredSource(request, "", lambda _seekable: _reading(), can_look=lambda: False)


def sink(request: SinkRequest) -> StandardOutput:
    """Make a sink that writes to standard output."""
    request.refuse_method()
    return StandardOutput()


@contextmanager
def _reading() -> Iterator[ByteReader]:
    if sys.stdin is None or getattr(sys.stdin, "closed", False):
        raise SourceError("it is closed", where=_INPUT)
    descriptor = _descriptor(sys.stdin)
    if descriptor is None:  # replaced by an object without one, as in tests: it cannot block on anything outside
        yield cast(BinaryIO, sys.stdin.buffer)
        return
    with reading_descriptor(descriptor) as stream:
        yield cast(BinaryIO, _Input(stream))


class _Input:
    def __init__(self, stream: ByteReader) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as exc:
            raise SourceError(exc.strerror or str(exc), where=_INPUT) from exc


class _Writer(Protocol):
    def write(self, data: bytes, /) -> object: ...


@final
class StandardOutput:
    """Writes to standard output. It cannot publish everything or nothing, as what is written cannot be taken back."""

    display_name = "-"

    def check(self) -> bool:
        """Return True: standard output is open already.

        Raises:
            SinkError: it is closed.
        """
        if sys.stdout is None or sys.stdout.closed:
            raise SinkError("it is closed", where=_OUTPUT)
        return True

    def store(self, stream: ByteReader) -> Receipt:
        """Write ``stream`` to its end. Blocks while the reader of the output does; a cancel interrupts that.

        Raises:
            SinkError: writing failed. When the reader has gone (``| head``), its ``__cause__`` is a
                ``BrokenPipeError``, and a command ends as Unix programs do: quietly.
        """
        written = 0
        with self._writing() as out:
            for chunk in as_it_comes(stream):
                try:
                    out.write(chunk)
                except BrokenPipeError as exc:
                    raise SinkError("the program reading it has ended", where=_OUTPUT) from exc
                except OSError as exc:
                    raise SinkError(exc.strerror or str(exc), where=_OUTPUT) from exc
                written += len(chunk)
        return Receipt(location="", bytes_stored=written)

    def _writing(self) -> AbstractContextManager[_Writer]:
        sys.stdout.flush()  # what Python still holds comes first
        descriptor = _descriptor(sys.stdout)
        if descriptor is not None:
            return writing_descriptor(descriptor)
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            raise SinkError("it was replaced by an object that takes only text", where=_OUTPUT)
        return nullcontext(buffer)


def _descriptor(file: io.TextIOBase | object) -> int | None:
    try:
        return file.fileno()  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        return None
