"""A connection to MySQL or MariaDB: run statements, stream the rows of prepared ones, feed LOAD DATA, kill, close.

Rows come in the binary protocol of prepared statements: numbers have eight bytes instead of twenty characters, a FLOAT has
all its bits (as text it has six digits), and preparing a statement tells its columns without running it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import final

from penstock.connectors._descriptors import Waker
from penstock.connectors.mysql._address import Login
from penstock.connectors.mysql._login import log_in
from penstock.connectors.mysql._wire import LostConnection, RowBlock, ServerError, Wire, length_encoded
from penstock.core._last_wait import is_stopping, last_wait
from penstock.core.cancel import CancelScope, sleep

__all__ = ["Column", "Connection", "Done", "Prepared", "connected"]

_log = logging.getLogger("penstock.mysql")

_QUERY, _QUIT, _PREPARE, _EXECUTE = 0x03, 0x01, 0x16, 0x17
_OK, _LOCAL_FILE, _NULL = 0x00, 0xFB, 0xFB
_LOAD_PACKET_BYTES = 256 << 10  # below the smallest max_allowed_packet anybody has
_KILL_SECONDS = 5.0
_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.001, 0.05


@dataclass(frozen=True)
class Column:
    """A column of a result, as the server describes it.

    Attributes:
        name: its name, which may occur twice.
        type: its number: ``MYSQL_TYPE_...``.
        charset: number of its collation; 63 is bytes.
        length: of the longest value, in bytes.
        flags: such as NOT NULL (1) and UNSIGNED (32).
        decimals: digits after the point, also of seconds.
    """

    name: str
    type: int
    charset: int
    length: int
    flags: int
    decimals: int


@dataclass(frozen=True)
class Prepared:
    """A statement that the server has parsed. ``parameters`` counts its question marks."""

    number: int
    columns: tuple[Column, ...]
    parameters: int


@dataclass(frozen=True)
class Done:
    """What a statement without rows did. ``message`` is ``"Records: 3  Deleted: 0 ..."`` after a load."""

    affected_rows: int
    warnings: int
    message: str


@contextmanager
def connected(login: Login, *, local_files: bool = False) -> Iterator[Connection]:
    """Connect; on leaving, stop what still runs on the server, and close.

    Blocks for ``login.connect_seconds`` at most, besides looking up the host's name; a cancel interrupts it.

    Raises:
        LostConnection: the server cannot be reached.
        ServerError: it does not let us in.
    """
    with Waker() as waker:
        opened, number, version = log_in(login, waker, local_files=local_files)
        connection = Connection(Wire(opened, waker), login, number, version)
        try:
            yield connection
        finally:
            connection.close()


@final
class Connection:
    """An open connection, for one thread.

    Its methods block, and are woken by a cancel. They raise :class:`ServerError`, after which the connection can be
    used further, and :class:`LostConnection`.

    Attributes:
        number: the server's for this connection, as in ``SHOW PROCESSLIST``.
        version: the server's: ``"8.4.2"``, ``"10.11.6-MariaDB"``.
        warnings: how many there were about the rows that :meth:`rows` has given to the end.
    """

    def __init__(self, wire: Wire, login: Login, number: int, version: str) -> None:
        self.number = number
        self.version = version
        self._wire = wire
        self._login = login
        self.warnings = 0
        self._is_busy = False
        self._is_closed = False

    def execute(self, *statements: str | bytes) -> Done:
        """Run statements that return no rows, one after another; return the outcome of the last one."""
        done = Done(0, 0, "")
        for statement in statements:
            with self._exchange():
                self._wire.command(_QUERY, statement.encode() if isinstance(statement, str) else statement)
                done = _done(self._wire.answer())
        return done

    def query(self, statement: str) -> list[tuple[str | None, ...]]:
        """Run a statement and return its rows, as text. For answers of a few rows."""
        with self._exchange():
            self._wire.command(_QUERY, statement.encode())
            columns = self._columns(self._wire.answer()[0])
            rows = []
            while not _is_end(payload := self._wire.answer()):
                rows.append(_text_values(payload, len(columns)))
        return rows

    def prepare(self, statement: str) -> Prepared:
        """Let the server parse ``statement``. Runs nothing."""
        with self._exchange():
            self._wire.command(_PREPARE, statement.encode())
            answer = self._wire.answer()
            number = int.from_bytes(answer[1:5], "little")
            columns = int.from_bytes(answer[5:7], "little")
            parameters = int.from_bytes(answer[7:9], "little")
            self._columns(parameters)
            return Prepared(number, self._columns(columns), parameters)

    def run(self, prepared: Prepared) -> tuple[Column, ...]:
        """Run a prepared statement and return its columns. Read its rows with :meth:`rows`."""
        with self._exchange():
            flags_and_count = b"\0" + (1).to_bytes(4, "little")
            self._wire.command(_EXECUTE, prepared.number.to_bytes(4, "little") + flags_and_count)
            answer = self._wire.answer()
            count, _ = length_encoded(answer, 0)
            columns = self._columns(count) if count else ()
        self._is_busy = bool(columns)  # until the last row has been taken
        return columns

    def rows(self, most_bytes: int, most_rows: int, longest_row_bytes: int | None = None) -> RowBlock | None:
        """Return the next rows of the statement started by :meth:`run`; None once the server has said that was all.

        Raises:
            RowTooLong: a row is longer than ``longest_row_bytes``.
        """
        assert self._is_busy
        block = self._wire.rows(most_bytes, most_rows, longest_row_bytes)
        if block is None:
            with self._exchange():
                self.warnings = int.from_bytes(self._wire.answer()[1:3], "little")
        return block

    def load(self, statement: str, data: Iterable[memoryview]) -> Done:
        """Run a ``LOAD DATA LOCAL INFILE``. Whatever file the server asks for, it is sent ``data``."""
        with self._exchange():
            self._wire.command(_QUERY, statement.encode())
            answer = self._wire.answer()
            assert answer[0] == _LOCAL_FILE
            for piece in data:
                for begin in range(0, len(piece), _LOAD_PACKET_BYTES):
                    self._wire.send(piece[begin : begin + _LOAD_PACKET_BYTES])
            self._wire.send(b"")
            return _done(self._wire.answer())

    def close(self) -> None:
        """Stop what still runs on the server, then close. Waits for a few seconds at most. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        doing = "stopping the query" if self._is_busy else "closing the connection"
        tells = self._is_busy or is_stopping()
        try:
            # Shielded: a cancel may be what brought us here, and the server is to be told all the same.
            with (
                last_wait(self._login.where, doing, _KILL_SECONDS) if tells else nullcontext(),
                CancelScope(timeout=_KILL_SECONDS, shield=True) as scope,
                suppress(LostConnection, ServerError),
            ):
                if self._is_busy:
                    self._kill()
                else:
                    self._wire.command(_QUIT, b"")
                    self._wire.drain(_KILL_SECONDS)
            if scope.cancelled_caught and self._is_busy:
                _log.warning("%s: the server does not answer; a query of ours may still run there", self._login.where)
        finally:
            self._wire.close()

    def _kill(self) -> None:
        """Let the server end this connection, over another one, as it does not listen to this one now.

        If no other connection can be made, closing the socket has to suffice: the server notices when it writes.
        """
        with connected(self._login) as other:
            other.execute(f"KILL CONNECTION {self.number}")
            self._wire.drain(_KILL_SECONDS)
            # A server may hang up at once, and see to what was running afterwards.
            pause = _FIRST_LOOK_SECONDS
            while any(number == str(self.number) for number, *_ in other.query("SHOW PROCESSLIST")):
                sleep(pause)
                pause = min(2 * pause, _LAST_LOOK_SECONDS)

    # --- reading answers ----------------------------------------------------------------------------------------

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """A block that sends a command and reads its whole answer; if it is interrupted, the connection stays busy."""
        self._is_busy = True
        try:
            yield
        except ServerError:
            self._is_busy = False  # an error is a whole answer
            raise
        self._is_busy = False

    def _columns(self, count: int) -> tuple[Column, ...]:
        """Read the descriptions of ``count`` columns, and the packet after them."""
        columns = tuple(_column(self._wire.answer()) for _ in range(count))
        if columns:
            self._wire.answer()
        return columns


def _column(payload: bytes) -> Column:
    position = 0
    texts = []
    for _ in range(6):  # catalog, schema, table, table's own name, name, column's own name
        length, begin = length_encoded(payload, position)
        position = begin + length
        texts.append(payload[begin:position])
    fixed = payload[position + 1 :]
    return Column(
        name=texts[4].decode(errors="replace"),
        charset=int.from_bytes(fixed[0:2], "little"),
        length=int.from_bytes(fixed[2:6], "little"),
        type=fixed[6],
        flags=int.from_bytes(fixed[7:9], "little"),
        decimals=fixed[9],
    )


def _done(payload: bytes) -> Done:
    affected, position = length_encoded(payload, 1)
    _, position = length_encoded(payload, position)
    warnings = int.from_bytes(payload[position + 2 : position + 4], "little")
    return Done(affected, warnings, payload[position + 4 :].decode(errors="replace"))


def _is_end(payload: bytes) -> bool:
    return payload[0] == 0xFE and len(payload) < 9


def _text_values(payload: bytes, count: int) -> tuple[str | None, ...]:
    values: list[str | None] = []
    position = 0
    for _ in range(count):
        if payload[position] == _NULL:
            values.append(None)
            position += 1
            continue
        length, begin = length_encoded(payload, position)
        position = begin + length
        values.append(payload[begin:position].decode(errors="replace"))
    return tuple(values)
