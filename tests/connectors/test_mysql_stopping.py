"""MySQL and MariaDB, for reading: however it ends, no query runs on, no session stays, nothing is left open."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from penstock.core.cancel import CancelScope, fail_after
from penstock.errors import BrokenError, DeadlineExceeded, SourceError
from tests.connectors.mysql_parts import (
    MANY,
    SLEEP,
    first_of,
    make,
    query,
    running,
)
from tests.connectors.parts import Cancellable, cancelled_at_once, open_descriptors, read_table, source_of
from tests.core.threads import wait_until

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDbDatabase


pytestmark = pytest.mark.usefixtures("mysql_alone")


COUNT = "SELECT count(*) FROM seq_1_to_10000 a, seq_1_to_10000 b, seq_1_to_10000 c"


@pytest.mark.parametrize("text", [SLEEP, MANY, COUNT])
def test_a_cancel_stops_the_query_on_the_server(mariadb: MariaDbDatabase, text: str) -> None:
    """Whether it sleeps, sends, or counts; the client is free at once, and by then the server has stopped."""
    call = Cancellable(lambda: read_table(query(mariadb, text)))
    wait_until(lambda: running(mariadb) == [text])
    assert call.cancel() < 0.5
    assert running(mariadb) == []


def test_a_cancel_while_nobody_reads_stops_the_query(mariadb: MariaDbDatabase) -> None:
    """A slow sink: the server waits for us to take its data, and is told to stop all the same."""
    with CancelScope() as scope, query(mariadb, MANY).open_batches() as batches:
        stream = iter(batches)
        next(stream)
        scope.cancel()
        for _ in stream:
            pass
    assert scope.cancelled_caught
    assert running(mariadb) == []


def test_a_deadline_stops_the_query_on_the_server(mariadb: MariaDbDatabase) -> None:
    """As a cancel does."""
    with pytest.raises(DeadlineExceeded), fail_after(0.3):
        read_table(query(mariadb, SLEEP))
    assert running(mariadb) == []


def test_a_cancel_while_waiting_for_a_lock(mariadb: MariaDbDatabase) -> None:
    """Preparing a statement about a table that somebody has locked waits; a cancel ends that too."""
    make(mariadb, "CREATE TABLE t (a int)")
    with closing(mariadb.connect()) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES t WRITE")
        call = Cancellable(lambda: read_table(source_of(mariadb.uri, table="t")))
        wait_until(lambda: any("`t`" in text for text in running(mariadb)))
        assert call.cancel() < 0.5
        assert running(mariadb) == []


def test_a_cancel_while_connecting() -> None:
    """A server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"mysql://u@127.0.0.1:{listener.getsockname()[1]}/x"
        call = Cancellable(lambda: read_table(source_of(uri, table="t")))
        call.wait_still()
        assert call.cancel() < 0.5


def test_a_cancelled_scope_connects_to_nothing(mariadb: MariaDbDatabase) -> None:
    """Not a single statement is sent."""
    cancelled_at_once(lambda: read_table(query(mariadb, "SELECT 1")))


@pytest.mark.parametrize("error", [KeyError("x"), BrokenError("the sink is gone"), KeyboardInterrupt()])
def test_an_error_in_the_block_stops_the_query(mariadb: MariaDbDatabase, error: BaseException) -> None:
    """It comes out as it is, an OSError too, and the server has stopped by then."""
    with pytest.raises(type(error)) as caught, query(mariadb, MANY).open_batches() as stream:
        first_of(stream)
        raise error
    assert caught.value is error
    assert running(mariadb) == []


def test_leaving_early_stops_the_query(mariadb: MariaDbDatabase) -> None:
    """Who wants the beginning of a hundred million rows gets it, and the server is free again."""
    with query(mariadb, MANY).open_batches() as batches:
        assert first_of(batches).num_rows > 0
    assert running(mariadb) == []


def test_descriptors_and_threads_are_gone(mariadb: MariaDbDatabase) -> None:
    """After success, failure, and leaving early."""
    read_table(query(mariadb, "SELECT 1"))  # imports
    before, threads = open_descriptors(), threading.active_count()
    read_table(query(mariadb, "SELECT 1"))
    for bad in ("SELECT exp(9999)", "SELEC"):
        with pytest.raises(SourceError):
            read_table(query(mariadb, bad))
    with query(mariadb, MANY).open_batches() as batches:
        first_of(batches)
    assert open_descriptors() == before
    assert threading.active_count() == threads


def test_a_connection_that_is_cut_is_an_error(mariadb: MariaDbDatabase) -> None:
    """Whoever stands between cuts it in the middle of the rows; that is no end of them."""
    with _Cutting(mariadb.port, after_bytes=3_000_000) as port:
        uri = mariadb.uri.replace(f":{mariadb.port}/", f":{port}/")
        with pytest.raises(SourceError, match="connection was lost") as caught:
            read_table(source_of(uri, query="SELECT seq, md5(seq) h FROM seq_1_to_1000000"))
    assert caught.value.transient


class _Cutting:
    """Passes connections on to ``port``; the first is cut after so many bytes from the server."""

    def __init__(self, port: int, *, after_bytes: int) -> None:
        self._port, self._left = port, after_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._opened: list[socket.socket] = []

    def __enter__(self) -> int:
        self._spawn(self._accept)
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for opened in self._opened:
            _hang_up(opened)
        for thread in self._threads:
            thread.join()
        for opened in [self._listener, *self._opened]:
            opened.close()

    def _spawn(self, work: object, *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments))  # type: ignore[arg-type]
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            self._opened += [client, server]
            self._spawn(self._pass, client, server, False)
            self._spawn(self._pass, server, client, True)

    def _pass(self, here: socket.socket, there: socket.socket, is_server: bool) -> None:
        try:
            while data := here.recv(65536):
                there.sendall(data)
                if is_server:
                    self._left -= len(data)
                    if self._left < 0:
                        break
        except OSError:
            pass  # the other direction has cut it
        _hang_up(here)
        _hang_up(there)


def _hang_up(opened: socket.socket) -> None:
    try:
        opened.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already
