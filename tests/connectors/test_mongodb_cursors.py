"""What a reader of MongoDB leaves on the server, and how it is stopped. On our double, which knows sessions and faults."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import common

import penstock
from penstock.connectors.mongodb import _connection as _mongo_connection
from penstock.core.cancel import fail_after
from penstock.errors import ConfigurationError, DeadlineExceeded, PenstockError, SourceError
from tests.connectors.parts import (
    SECRET,
    Cancellable,
    Fails,
    cancelled_at_once,
    open_descriptors,
    read_table,
    source_of,
)
from tests.connectors.tls import in_front_of, make_certificate
from tests.core.threads import wait_until
from tests.servers.mongo_double import MongoDouble

DOCUMENT = {"text": "x" * 200, "number": 1}
FOR_EVER = 3_600_000


@pytest.fixture
def endless(mongo_double: MongoDouble) -> str:
    """The address of a database whose collection `c` has no end."""
    uri = mongo_double.new_database()
    mongo_double.fill(uri, "c", DOCUMENT, None)
    return uri


@contextmanager
def blocking(server: MongoDouble, command: str) -> Iterator[Callable[[], None]]:
    """Have a command block; gives a wait until it does."""
    server.fail(command, blockConnection=True, blockTimeMS=FOR_EVER)
    yield lambda: wait_until(lambda: command in server.running())
    server.heal()


def nothing_is_left(server: MongoDouble) -> bool:
    status = server.status()
    return not (status["metrics"]["cursor"]["open"]["total"] or status["running"] or status["sessions"])


def test_a_large_collection_in_many_replies(mongo_double: MongoDouble) -> None:
    """Every document once; then no cursor, no session, no descriptor."""
    uri = mongo_double.new_database()
    mongo_double.fill(uri, "c", DOCUMENT, 20_000)
    before = open_descriptors()
    table = read_table(source_of(uri, table="c", batch_bytes=500_000))
    assert table["_id"].to_pylist() == list(range(20_000))
    assert nothing_is_left(mongo_double)
    assert open_descriptors() == before


def test_the_server_is_asked_for_replies_of_about_a_batch(mongo_double: MongoDouble, endless: str) -> None:
    """The size of a document says how many make a batch, so that a reply is not the 16 MiB it might be."""
    with source_of(endless, table="c", batch_bytes=100_000).open_batches() as batches:
        sizes = [batch.nbytes for batch, _ in zip(batches, range(6), strict=False)]
    assert min(sizes) > 20_000
    assert max(sizes) < 100_000


def test_documents_larger_than_a_batch(mongo_double: MongoDouble) -> None:
    """They come one by one."""
    uri = mongo_double.new_database()
    mongo_double.fill(uri, "c", {"text": "x" * 3_000_000}, 5)
    with source_of(uri, table="c", batch_bytes=1_000_000).open_batches() as batches:
        assert [batch.num_rows for batch in batches] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize("way", ["left", "failed"])
def test_leaving_early_stops_the_server(mongo_double: MongoDouble, endless: str, way: str) -> None:
    """The cursor is killed although the reply after the next is on its way; `metrics.cursor.open.total` is 0."""
    try:
        with source_of(endless, table="c", batch_bytes=100_000).open_batches() as batches:
            next(iter(batches))
            assert mongo_double.open_cursors() == 1
            if way == "failed":
                raise Fails
    except Fails:
        pass
    assert nothing_is_left(mongo_double)


@pytest.mark.parametrize("command", ["ping", "collStats", "find", "getMore"])
def test_a_cancel_wakes_whatever_it_waits_for(mongo_double: MongoDouble, endless: str, command: str) -> None:
    """At once, in whichever command; and the server stops working on it."""
    before = open_descriptors()
    with blocking(mongo_double, command) as wait_until_it_blocks:
        call = Cancellable(lambda: read_table(source_of(endless, table="c")))
        wait_until_it_blocks()
        assert call.cancel() < 2
        assert nothing_is_left(mongo_double)
    assert open_descriptors() == before


def test_a_deadline_wakes_it_as_well(mongo_double: MongoDouble, endless: str) -> None:
    """The same as a cancel."""
    with blocking(mongo_double, "getMore"), pytest.raises(DeadlineExceeded), fail_after(0.2):
        read_table(source_of(endless, table="c"))
    assert nothing_is_left(mongo_double)


def test_a_cancelled_scope_reads_nothing(mongo_double: MongoDouble, endless: str) -> None:
    """Not even the first document."""
    before = mongo_double.count("find")
    cancelled_at_once(lambda: read_table(source_of(endless, table="c")))
    assert mongo_double.count("find") == before


def test_a_server_that_stands_still_does_not_hold_it(mongo_double: MongoDouble, endless: str) -> None:
    """It cannot be told to stop, which is tried for some seconds; then everything here is closed all the same."""
    before = open_descriptors()
    call = Cancellable(lambda: read_table(source_of(endless, table="c")))
    wait_until(lambda: mongo_double.open_cursors() == 1)
    os.kill(mongo_double.pid, signal.SIGSTOP)
    try:
        assert call.cancel() < 2 * _mongo_connection.GRACE_SECONDS + 5
    finally:
        os.kill(mongo_double.pid, signal.SIGCONT)
    assert open_descriptors() == before


# --- the cursor is kept alive ---------------------------------------------------------------------------------------


def test_a_slow_destination_does_not_end_the_cursor(
    mongo_double: MongoDouble, endless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nobody reads, the session is refreshed, so hours later there is more."""
    monkeypatch.setattr(_mongo_connection, "_REFRESH_SECONDS", 0.01)
    with source_of(endless, table="c", batch_bytes=100_000).open_batches() as batches:
        rows = iter(batches)
        next(rows)
        for _ in range(6):
            mongo_double.advance_clock(20 * 60)
            refreshed = mongo_double.count("refreshSessions")
            wait_until(lambda count=refreshed: mongo_double.count("refreshSessions") > count + 1)  # type: ignore[misc]
        for _ in range(5):
            assert next(rows).num_rows
        assert mongo_double.status()["metrics"]["cursor"]["open"]["noTimeout"] == 1
    assert nothing_is_left(mongo_double)


def test_a_cursor_that_is_lost_is_an_error(mongo_double: MongoDouble, endless: str) -> None:
    """Without refreshing, the server ends it after half an hour, and that does not look like the end of the data."""
    with source_of(endless, table="c", batch_bytes=100_000).open_batches() as batches:
        rows = iter(batches)
        next(rows)
        mongo_double.advance_clock(40 * 60)
        with pytest.raises(SourceError, match=r"cursor id \d+ not found .*forgotten the cursor") as caught:
            for _ in rows:
                pass
    assert caught.value.transient


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said", "transient"),
    [
        ({"errorCode": 43}, "the server has forgotten the cursor", True),
        ({"errorCode": 13}, "grant the role 'read'", False),
        ({"errorCode": 11600}, "the server is shutting down", True),
        ({"closeConnection": True}, "the connection was lost", True),
    ],
    ids=str,
)
def test_a_failure_half_way_is_an_error(
    mongo_double: MongoDouble, endless: str, fault: dict[str, Any], said: str, transient: bool
) -> None:
    """In the third reply, after rows were handed out; it says what to do, and leaves no cursor on the server."""
    mongo_double.fail("getMore", mode={"skip": 2}, **fault)
    source = source_of(endless, table="c", batch_bytes=100_000)
    with pytest.raises(SourceError, match=said) as caught:
        read_table(source)
    assert (caught.value.transient, caught.value.where) == (transient, f"{endless} c")
    assert source.rows_read
    mongo_double.heal()
    assert nothing_is_left(mongo_double)


@pytest.mark.parametrize("fault", [{"errorCode": 11600}, {"errorCode": 189}, {"closeConnection": True}], ids=str)
def test_the_cursor_is_closed_before_pymongo_has_found_the_server_again(
    mongo_double: MongoDouble, endless: str, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After these pymongo knows no server until its monitor looks, here an hour later; the session is killed meanwhile."""
    monkeypatch.setattr(common, "MIN_HEARTBEAT_INTERVAL", 3600.0)
    before, killed = open_descriptors(), mongo_double.count("killSessions")
    mongo_double.fail("getMore", mode={"skip": 2}, **fault)
    with pytest.raises(SourceError):
        read_table(source_of(f"{endless}?heartbeatFrequencyMS=3600000", table="c", batch_bytes=100_000))
    mongo_double.heal()
    assert mongo_double.count("killSessions") == killed + 1
    assert nothing_is_left(mongo_double)
    assert open_descriptors() == before


def test_a_failed_copy_publishes_nothing(mongo_double: MongoDouble, endless: str, tmp_path: Path) -> None:
    """Rows that were read before the failure do not make a file."""
    mongo_double.fail("getMore", mode={"skip": 2}, errorCode=43)
    with pytest.raises(SourceError):
        penstock.copy(endless, tmp_path / "c.ndjson", table="c", max_memory="16MiB")
    assert list(tmp_path.iterdir()) == []
    mongo_double.heal()
    assert nothing_is_left(mongo_double)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mongodb://127.0.0.1:1/db?serverSelectionTimeoutMS=100", "connection refused (are host and port right"),
        ("mongodb://nowhere.invalid/db?serverSelectionTimeoutMS=100", "unknown host"),
        ("mongodb+srv://nowhere.invalid/db", "The DNS query name does not exist"),
    ],
)
def test_a_server_that_is_not_there(address: str, said: str) -> None:
    """What is wrong with the address, in a few words."""
    before = open_descriptors()
    with pytest.raises(SourceError) as caught:
        read_table(source_of(address, table="c"))
    assert said in str(caught.value)
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("@127.0.0.1:1/db?serverSelectionTimeoutMS=100", "connection refused"),
        ("@127.0.0.1:99999/db", "the port of the address can not have this value"),
        ("@host:name/db", "the port of the address can not have this value"),
        ("/with-a-slash@host/db", "%2F"),
        ("@host", "name one database after the host"),
        ("@host/one.two", "name one database after the host"),
        ("@host/db?foo=bar", "Unknown option: foo"),
        ("@host/db?tls=perhaps", "the option 'tls' of the address can not have this value"),
        ("@host/db?serverSelectionTimeoutMS=soon", "'serverselectiontimeoutms' of the address"),
        ("@host/db?readPreference=fastest", "an option of the address can not have this value"),
        ("@host/db?tls=true&tlsCAFile=/nowhere", "the file '/nowhere' that the address names can not be read: No such"),
        (f"@host/db?tls=true&tlsCAFile={__file__}", "no client can be made for the address: "),
        ("@host/db?minPoolSize=5&maxPoolSize=1", "no client can be made for the address: minPoolSize must be"),
    ],
)
def test_a_password_is_never_shown(rest: str, said: str) -> None:
    """Neither in the error, nor in what it was caused by, whatever is wrong with the address."""
    with pytest.raises(PenstockError) as caught:
        read_table(source_of(f"mongodb://bob:{SECRET}{rest}", table="c"))
    shown = [caught.value, caught.value.__cause__, caught.value.__context__ if caught.value.__cause__ else None]
    assert not [exc for exc in shown if SECRET in f"{exc!r} {exc}"]
    assert said in str(caught.value)
    assert isinstance(caught.value, ConfigurationError | SourceError)


def test_a_source_does_not_show_its_password() -> None:
    """Nor does its address, in any text."""
    source: Any = source_of(f"mongodb://bob:{SECRET}@host/db", table="c")
    assert SECRET not in f"{source.display_name} {source!r} {source._address!r}"


def test_tls_is_not_switched_off_behind_ones_back(endless: str) -> None:
    """A server without TLS is no answer to tls=true."""
    with pytest.raises(SourceError, match=r"TLS|closes the connection|no answer"):
        read_table(source_of(f"{endless}?tls=true&serverSelectionTimeoutMS=300", table="c"))


def test_tls_verifies_the_certificate(mongo_double: MongoDouble, tmp_path: Path) -> None:
    """By default a certificate that nobody vouches for is refused; with tlsCAFile the same one is good."""
    database = mongo_double.new_database()
    mongo_double.fill(database, "c", DOCUMENT, 3)
    certificate = make_certificate(tmp_path)
    with in_front_of(mongo_double.port, certificate) as port:
        uri = f"{database.replace(str(mongo_double.port), str(port))}?tls=true"
        with pytest.raises(SourceError, match=r"the server's certificate is not accepted \(see tlsCAFile\)"):
            read_table(source_of(f"{uri}&serverSelectionTimeoutMS=1000", table="c"))
        assert read_table(source_of(f"{uri}&tlsCAFile={certificate}", table="c")).num_rows == 3
