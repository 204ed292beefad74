"""Rows taken from the socket itself: each once, whatever the server sends between them and however it comes."""

from __future__ import annotations

import select
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, strategies as st

from penstock.connectors.postgres import _incoming, _row_messages, _row_stream
from penstock.connectors.postgres._incoming import InTheClear, Socket
from penstock.connectors.postgres._incoming_tls import UnderTls
from penstock.connectors.postgres._row_messages import (
    Starts,
    end_of_whole_rows,
    rows_alone,
    whole_messages,
)
from penstock.connectors.postgres._row_stream import RowStream, RowTooLong, WideRow
from penstock.errors import Cancelled, SourceError
from tests.connectors.parts import Cancellable, read_rows, read_table
from tests.connectors.postgres_parts import environment, nothing_left, one_postgres, query, running
from tests.core.threads import wait_until

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left", "one_postgres"]

EMPTY_LINES = b"\n" * 5
BEGIN = b"H" + struct.pack(">IBHHH", 11, 0, 2, 0, 0)
END = b"c" + struct.pack(">I", 4) + b"C" + struct.pack(">I", 11) + b"COPY 3\0"
NOTICE = b"N" + struct.pack(">I", 17) + b"SNOTICE\0d\0\0\0\0"
# Lengths of which some bytes look like the beginning of a row: a "d" and a 0.
TRICKY_SIZES = [0x64 - 4, 0x6400 - 4, 0x6464 - 4, 0x10064 - 4, 0x16400 - 4]
TRICKIER_SIZE = 0xA6400 - 4  # of which they look like the end of one, too


def message(row: bytes) -> bytes:
    return b"d" + struct.pack(">I", len(row) + 4) + row


@dataclass
class Server:
    """The other end of a socket. It sends the next piece when the reader waits, and leaves when it has none.

    A hasty one sends all of them then. An empty piece is a pause that is longer than the reader waits, where it does not wait for ever.
    """

    pieces: list[bytes]
    is_patient: bool = True
    is_encrypted: bool = False
    is_hasty: bool = False
    ends: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)

    def __post_init__(self) -> None:
        self.ends[0].setblocking(False)
        self.ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

        self.records: list[int] = []

    def wait(self, descriptor: int, events: int, seconds: float | None = None) -> bool:
        """Stand in for a ``Waker``."""
        assert (descriptor, events) == (self.ends[0].fileno(), select.POLLIN)
        if seconds == _incoming.GATHERING_SECONDS:
            return False  # what comes, comes when it is needed
        if self.pieces:
            piece = self.pieces.pop(0)
            if not piece:
                return seconds is None
            for each in (piece, *self.pieces) if self.is_hasty else (piece,):
                self.ends[1].sendall(each)
                self.records.append(len(each))
            if self.is_hasty:
                self.pieces.clear()
        elif self.is_patient:
            self.ends[1].close()
        else:
            raise Cancelled("enough")
        return True

    def close(self) -> None:
        for end in self.ends:
            end.close()

    def stream(
        self,
        chunk_bytes: int = 256,
        most_rows: int = sys.maxsize,
        most_row_bytes: int | None = None,
        *,
        spaced: bool = True,
        prefix: bytes = b"",
    ) -> RowStream:
        """A reader of what it sends."""
        ours = Socket(self.ends[0].fileno(), self)  # type: ignore[arg-type]  # it waits
        return RowStream(
            UnderTls(ours, self) if self.is_encrypted else InTheClear(ours),
            chunk_bytes=chunk_bytes,
            most_rows=most_rows,
            most_row_bytes=most_row_bytes,
            spaced=spaced,
            prefix=prefix,
        )

    def peek(self, room: memoryview) -> int:
        """Stand in for a TLS session: each piece is a record."""
        return self.ends[0].recv_into(self._within_record(room), 0, socket.MSG_PEEK)

    def read(self, room: memoryview) -> int:
        """Stand in for a TLS session."""
        count = self.ends[0].recv_into(self._within_record(room))
        if self.records:
            self.records[0] -= count
            self.records = [size for size in self.records if size]
        return count

    def _within_record(self, room: memoryview) -> memoryview:
        return room[: self.records[0]] if self.records else room

    def rest(self) -> bytes:
        """What the reader has not taken."""
        rest = b""
        while True:
            try:
                data = self.ends[0].recv(1 << 20)
            except BlockingIOError:
                return rest
            if not data:
                return rest
            rest += data


@pytest.fixture(params=["clear", "encrypted"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with closing(Server([], is_encrypted=request.param == "encrypted")) as made:
        yield made


def chunks(stream: RowStream) -> Iterator[tuple[bytes, int, bool]]:
    """Everything, each chunk as bytes, since the next one takes its place."""
    while (chunk := stream.chunk()) is not None:
        yield bytes(chunk.data), chunk.rows, isinstance(chunk, WideRow)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted([0, len(data), *(place % len(data) for place in at)])  # twice the same makes a pause
    return [data[start:end] for start, end in pairwise(places)]


texts = st.binary(max_size=90).map(lambda data: data.replace(b"\0", b"d") + b"\n")
sizes = st.sampled_from(TRICKY_SIZES).map(lambda size: b"d" * (size - 1) + b"\n")


@given(
    rows=st.lists(st.one_of(texts, texts, texts, sizes), max_size=20),
    asides=st.lists(st.integers(0, 20), max_size=3),
    places=st.lists(st.integers(0, 1 << 20) | st.integers(0, 30), max_size=30),
    chunk_bytes=st.integers(8, 1 << 17),
    most_rows=st.integers(1, 12),
    is_encrypted=st.booleans(),
)
def test_every_row_once_and_nothing_else(
    rows: list[bytes], asides: list[int], places: list[int], chunk_bytes: int, most_rows: int, *, is_encrypted: bool
) -> None:
    """However it is cut, in chunks within their bounds, without the notices; what ends it is left for libpq."""
    sent = [NOTICE * asides.count(number) + message(row) for number, row in enumerate(rows)]
    with closing(Server([BEGIN, *cut(b"".join(sent) + END, places)], is_encrypted=is_encrypted)) as server:
        stream = server.stream(chunk_bytes, most_rows)
        assert stream.begins()
        left = list(rows)
        for data, count, is_wide in chunks(stream):
            here, left = left[:count], left[count:]
            assert data == b"".join((b"" if is_wide else EMPTY_LINES) + row for row in here)
            assert count <= most_rows
            assert (len(data) <= chunk_bytes) is not is_wide or len(data) + 5 > chunk_bytes
        assert left == []
        assert stream.rows == len(rows)
        assert server.rest() + b"".join(server.pieces) == END


@given(
    rows=st.lists(st.one_of(texts, texts, sizes), max_size=20),
    asides=st.lists(st.integers(0, 20), max_size=3),
    places=st.lists(st.integers(0, 1 << 20) | st.integers(0, 30), max_size=10),
    chunk_bytes=st.integers(8, 1 << 17),
    most_rows=st.sampled_from([1, 3, sys.maxsize]),
    is_encrypted=st.booleans(),
)
def test_nothing_but_rows_where_there_may_be_no_empty_lines(
    rows: list[bytes], asides: list[int], places: list[int], chunk_bytes: int, most_rows: int, *, is_encrypted: bool
) -> None:
    """Every byte that the server has in a row, none of the protocol's, after the prefix of each chunk; the rest is libpq's."""
    sent = [NOTICE * asides.count(number) + message(row) for number, row in enumerate(rows)]
    with closing(Server([BEGIN, *cut(b"".join(sent) + END, places)], is_encrypted=is_encrypted)) as server:
        stream = server.stream(chunk_bytes, most_rows, spaced=False, prefix=b"ab")
        assert stream.begins()
        left = list(rows)
        for data, count, is_wide in chunks(stream):
            here, left = left[:count], left[count:]
            assert data == (b"" if is_wide else b"ab") + b"".join(here)
            assert count <= most_rows
        assert left == []
        assert stream.rows == len(rows)
        assert server.rest() + b"".join(server.pieces) == END


def test_few_rows_are_found_without_numpy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer to load than they take; many are found with it, and none is lost where it begins."""
    monkeypatch.setattr(_row_messages, "sys", SimpleNamespace(modules={}))
    monkeypatch.setattr(_row_stream, "FEW_ROWS", 10)
    found: list[type] = []

    def noted(block: memoryview, *, many: bool) -> tuple[Starts, int]:
        starts, end = whole_messages(block, many=many)
        found.append(type(starts))
        return starts, end

    monkeypatch.setattr(_row_stream, "whole_messages", noted)
    rows = [b"row %d\n" % number for number in range(40)]
    server.pieces[:] = [BEGIN, b"".join(map(message, rows)) + END]
    stream = server.stream(chunk_bytes=64, most_rows=100, spaced=False)
    assert stream.begins()
    assert b"".join(data for data, _count, _wide in chunks(stream)) == b"".join(rows)
    found_some = [kind for kind in found if kind is not tuple]
    assert set(found_some[: found_some.index(np.ndarray)]) == {list}


@pytest.mark.parametrize("many", [False, True])
@given(
    rows=st.lists(st.one_of(texts, sizes, st.just(b"d" * (TRICKIER_SIZE - 1) + b"\n")), max_size=8),
    missing=st.integers(0, 400) | st.sampled_from([TRICKIER_SIZE + length for length in (-1, 0, 1, 2, 3)]),
)
def test_rows_are_found_as_one_by_one(many: bool, rows: list[bytes], missing: int) -> None:
    """The fast way of finding where rows begin agrees with following their lengths."""
    data = b"".join(map(message, rows))[: -missing or None]
    starts, end = whole_messages(memoryview(data), many=many)
    expected, place = [], 0
    for row in rows:
        if place + len(row) + 5 > len(data):
            break
        expected.append(place)
        place += len(row) + 5
    assert ([*map(int, starts)], end) == (expected, place)
    if data:
        assert end_of_whole_rows(bytearray(b"before" + data + b"after"), len(b"before"), len(b"before" + data)) == place
        assert place == 0 or rows_alone(memoryview(data[:place])) == (b"".join(rows[: len(expected)]), len(expected))


@pytest.mark.parametrize("is_hasty", [False, True])
@pytest.mark.parametrize("chunk_bytes", [16, 1000])
@pytest.mark.parametrize("last", [b"last\n", b"l\n\n", b"\n", b"x" * 300 + b"\n"])
def test_records_may_end_anywhere(last: bytes, chunk_bytes: int, *, is_hasty: bool) -> None:
    """Of a record that is taken to see the next one, no byte belongs to what libpq has to see."""
    data = message(b"first\n") + NOTICE + message(b"more\n") + message(last) + END
    for first in range(1, len(data)):
        for second in range(first, min(first + 8, len(data))):
            pieces = [BEGIN, data[:first], data[first:second], data[second:]]
            with closing(Server(list(filter(None, pieces)), is_encrypted=True, is_hasty=is_hasty)) as server:
                stream = server.stream(chunk_bytes, spaced=False)
                assert stream.begins()
                assert b"".join(found for found, _rows, _wide in chunks(stream)) == b"first\nmore\n" + last
                assert server.rest() + b"".join(server.pieces) == END


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("chunk_bytes", [16, 64])
def test_after_a_cancel_libpq_finds_the_next_message(chunk_bytes: int, *, is_encrypted: bool) -> None:
    """Wherever in a message it was: in the header of a row, in a row, in one that is wide, in a notice."""
    parts = [message(b"some\n"), NOTICE, message(b"more" * 10 + b"\n"), message(b"last\n"), END]
    data = b"".join(parts)
    boundaries = {len(data) - sum(map(len, parts[:count])) for count in range(len(parts) + 1)}
    for place in range(1, len(data)):
        with closing(Server([BEGIN, data[:place]], is_patient=False, is_encrypted=is_encrypted)) as server:
            stream = server.stream(chunk_bytes)
            assert stream.begins()
            with pytest.raises(Cancelled):
                for _chunk in chunks(stream):
                    if stream.is_over:
                        raise Cancelled
            server.ends[1].sendall(data[place:])
            server.records.append(len(data) - place)
            stream.settle(monotonic() + 1)
            rest = server.rest()
            assert len(rest) in boundaries
            assert data.endswith(rest)


def test_settling_takes_no_longer_than_allowed(server: Server) -> None:
    """What does not come is not waited for after the deadline."""
    server.pieces[:] = [BEGIN, message(b"x" * 100)[:50]]
    server.is_patient = False
    stream = server.stream()
    assert stream.begins()
    with pytest.raises(Cancelled):
        stream.chunk()
    began = monotonic()
    stream.settle(began + 0.05)
    assert 0.05 <= monotonic() - began < 5


@pytest.mark.parametrize("size", [30, 300])
def test_a_server_that_leaves_ends_it(server: Server, size: int) -> None:
    """In the middle of a row, of a wide one too; what libpq makes of it is its own affair."""
    server.pieces[:] = [BEGIN, message(b"first\n"), message(b"x" * size)[:-1]]
    stream = server.stream(chunk_bytes=100)
    assert stream.begins()
    assert [rows for _data, rows, _wide in chunks(stream)] == [1]
    assert stream.is_over


def test_a_row_that_is_too_long_is_not_received(server: Server) -> None:
    """It is known from its first five bytes; the rows before it come."""
    server.pieces[:] = [BEGIN, message(b"first\n"), message(b"x" * 3000)[:600], b"never"]
    stream = server.stream(chunk_bytes=1000, most_row_bytes=500)
    assert stream.begins()
    found = chunks(stream)
    assert next(found) == (EMPTY_LINES + b"first\n", 1, False)
    with pytest.raises(RowTooLong) as caught:
        next(found)
    assert caught.value.rows_before == 1
    assert server.pieces == [b"never"]


@pytest.mark.parametrize(
    "answer",
    [
        b"E" + struct.pack(">I", 40) + b"SERROR\0C42P01\0Mno such table\0\0",
        b"\x17\x03\x03\x01\x00" + b"encrypted" * 10,  # TLS
        b"\0\0\0\x50" + b"encrypted" * 10,  # GSSAPI
        BEGIN[:6],
        BEGIN[:-1],
        NOTICE + BEGIN,
    ],
)
def test_any_other_answer_is_left_to_libpq(server: Server, answer: bytes) -> None:
    """All of it."""
    server.pieces[:] = [answer]
    assert not server.stream().begins()
    assert server.rest() == answer


# --- a real server ----------------------------------------------------------------------------------------------


def test_notices_between_rows_change_nothing(postgres: PostgresDatabase) -> None:
    """A function may say something about any row."""
    postgres.execute(
        "CREATE FUNCTION telling(i int) RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN IF i % 7 = 0 THEN RAISE NOTICE 'seven times %', repeat('d', i); END IF; RETURN i; END $$"
    )
    table = read_table(query(postgres, "SELECT telling(i) AS i, repeat('x', i) AS t FROM generate_series(1, 5000) i"))
    assert table["i"].to_pylist() == list(range(1, 5001))
    assert [len(text) for text in table["t"].to_pylist()] == list(range(1, 5001))


def test_rows_of_every_width_come_through(postgres: PostgresDatabase) -> None:
    """Those that fit into a batch, those that do not, and lengths that look like the beginning of a row."""
    wanted = [1, 25_591, 25_592, 25_593, 3 << 20, 2, 95, 96, 300_000, 17 << 20, 5]
    text = f"SELECT n, repeat('d', n) AS t FROM unnest(ARRAY{wanted}) WITH ORDINALITY AS u(n, i) ORDER BY i"
    rows = read_rows(query(postgres, text, batch_bytes=256 << 10))
    assert [(row["n"], len(row["t"])) for row in rows] == [(n, n) for n in wanted]


def test_a_cancel_in_the_middle_of_a_wide_row_stops_the_query(postgres: PostgresDatabase) -> None:
    """What has come of it is forgotten, the server is told, and says that it has stopped."""
    text = "SELECT i, repeat('x', 50 << 20) AS t FROM generate_series(1, 1000) i"
    reading = Cancellable(lambda: read_table(query(postgres, text)))
    wait_until(lambda: running(postgres) != [])
    reading.cancel()
    assert running(postgres) == []


def test_fewer_rows_than_the_server_says_is_an_error(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would notice otherwise."""
    real = RowStream.chunk

    def losing_one(self: RowStream) -> object:
        chunk = real(self)
        self.rows -= chunk is not None
        return chunk

    monkeypatch.setattr(RowStream, "chunk", losing_one)
    with pytest.raises(SourceError, match="the server says that it has sent 10 rows, and 9 have come"):
        read_table(query(postgres, "SELECT i, i FROM generate_series(1, 10) i"))
