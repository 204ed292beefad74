"""Reading a stream as it comes: everything, in pieces, and an error as an error."""

from __future__ import annotations

import pytest

from penstock.core.pipe import pipe
from penstock.flow.streams import as_it_comes
from tests.formats.streams import FailingStream, Fails


def test_what_was_written_into_a_pipe_comes_out_uncopied() -> None:
    """The very objects, where each waits alone."""
    written = b"x" * 100_000
    reader, writer = pipe(1 << 20)
    writer.write(written)
    pieces = as_it_comes(reader)  # type: ignore[arg-type]  # as the engine casts it
    assert next(pieces) is written
    writer.close()
    assert list(pieces) == []
    reader.close()


def test_pieces_have_a_largest_size() -> None:
    """Of a pipe and of any other stream; together they are all there was."""
    data = bytes(range(256)) * 100
    reader, writer = pipe(1 << 20)
    writer.write(data)
    writer.close()
    for stream in (reader, FailingStream(data)):
        pieces: list[bytes] = []
        try:
            pieces.extend(as_it_comes(stream, 1000))  # type: ignore[arg-type]
        except Fails:
            assert stream is not reader
        assert max(map(len, pieces)) == 1000
        assert b"".join(pieces) == data
    reader.close()


def test_an_error_is_no_end() -> None:
    """Also of a stream that inherits a read1 which knows nothing of it."""
    with pytest.raises(Fails):
        list(as_it_comes(FailingStream(b"x")))
