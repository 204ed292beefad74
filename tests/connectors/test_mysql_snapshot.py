"""MySQL and MariaDB in partitions: all of one snapshot, whoever writes; the lock for it is short, and never left behind."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pymysql  # type: ignore[import-untyped]  # it has none
import pytest

from penstock.connectors.mysql import _snapshot
from penstock.core.cancel import CancelScope, fail_after
from penstock.errors import ConfigurationError, DeadlineExceeded, SourceError
from tests.connectors.mysql_partitions import ROWS, SLOW, make_numbered, partitioned, read_each, values_in
from tests.connectors.mysql_parts import first_of, make, nobody_left, running
from tests.connectors.parts import Cancellable, open_descriptors, read_table
from tests.core.threads import start, wait_until
from tests.servers.mariadb import run_mariadb
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDbDatabase, MariaDbServer


pytestmark = pytest.mark.usefixtures("mysql_alone")


# --- one snapshot -------------------------------------------------------------------------------------------------------


def test_one_snapshot_whatever_others_write(mariadb: MariaDbDatabase) -> None:
    """Rows that are added, changed, moved or deleted after the snapshot: each range sees the table as it was."""
    make_numbered(mariadb)
    with partitioned(mariadb, 3) as partitions:
        tables = [read_table(partitions.each[0].source)]
        mariadb.execute("UPDATE t SET id = id + 10000 ORDER BY id DESC")
        mariadb.execute("INSERT INTO t SELECT seq, 'new' FROM seq_1_to_1000")
        tables.append(read_table(partitions.each[1].source))
        mariadb.execute("DELETE FROM t WHERE id % 2 = 0")
        tables.append(read_table(partitions.each[2].source))
    assert values_in(tables) == list(range(1, ROWS + 1))
    assert "new" not in values_in(tables, "word")


Write = Callable[[Any, random.Random, int], None]


def _move_rows(cursor: Any, chance: random.Random, number: int) -> None:
    """A row at one end goes and one at the other comes: by its key, so that it is in another range."""
    old = chance.choice(range(1, 201))
    cursor.execute("SELECT id FROM t ORDER BY id LIMIT %s, 1 FOR UPDATE", [old - 1])
    ((found,),) = cursor.fetchall()
    cursor.execute("UPDATE t SET id = %s WHERE id = %s", [1000 + chance.randrange(1_000_000), found])


def _move_amounts(cursor: Any, chance: random.Random, number: int) -> None:
    """From the row at one end to that at the other."""
    amount = chance.randrange(1, 50)
    ends = [("id", amount), ("id DESC", -amount)]
    for order, change in ends:
        cursor.execute("SELECT id FROM t ORDER BY " + order + " LIMIT 1 FOR UPDATE")
        ((found,),) = cursor.fetchall()
        cursor.execute("UPDATE t SET amount = amount + %s WHERE id = %s", [change, found])


def _replace_by_cascade(cursor: Any, chance: random.Random, number: int) -> None:
    """A parent goes, and by cascade its two rows, which are in different ranges; another comes, with as many."""
    cursor.execute("SELECT id FROM parents ORDER BY id LIMIT 1 FOR UPDATE")
    ((old,),) = cursor.fetchall()
    cursor.execute("DELETE FROM parents WHERE id = %s", [old])
    cursor.execute("INSERT INTO parents VALUES (NULL)")
    parent = cursor.lastrowid
    cursor.execute("INSERT INTO t VALUES (%s, %s, 100), (%s, %s, 100)", [-parent, parent, parent, parent])


@contextmanager
def _writers(database: MariaDbDatabase, write: Write, count: int) -> Iterator[list[int]]:
    """So many write all the time, each a transaction after the other; how many each has committed."""
    stop, committed = threading.Event(), [0] * count

    def run(which: int) -> None:
        chance = random.Random(which)
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            for number in itertools.count():
                if stop.is_set():
                    return
                connection.begin()
                try:
                    write(cursor, chance, number)
                    connection.commit()
                except (pymysql.err.OperationalError, pymysql.err.IntegrityError):  # a deadlock, or a number twice
                    connection.rollback()
                else:
                    committed[which] += 1

    writing = [start(run, which) for which in range(count)]
    try:
        yield committed
    finally:
        stop.set()
        for each in writing:
            each.result()


@pytest.mark.parametrize("write", [_move_rows, _move_amounts, _replace_by_cascade])
def test_totals_are_those_of_one_state(mariadb: MariaDbDatabase, write: Write) -> None:
    """While transactions move rows and amounts between ranges: all ranges together have every row and every amount once."""
    make(
        mariadb,
        "CREATE TABLE parents (id bigint PRIMARY KEY AUTO_INCREMENT)",
        "INSERT INTO parents SELECT seq FROM seq_1_to_100",
        "CREATE TABLE t (id bigint PRIMARY KEY, parent bigint, amount int, "
        "FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE)",
        "INSERT INTO t SELECT seq, seq, 100 FROM seq_1_to_100 UNION ALL SELECT -seq, seq, 100 FROM seq_1_to_100",
    )
    with _writers(mariadb, write, 2) as committed:
        for _ in range(15):
            before = sum(committed)
            wait_until(lambda before=before: sum(committed) > before)  # type: ignore[misc]
            with partitioned(mariadb, 4) as partitions:
                tables = read_each(partitions)
            assert len(tables) == 4
            ids, parents = values_in(tables), values_in(tables, "parent")
            assert len(set(ids)) == len(ids) == 200
            assert sum(values_in(tables, "amount")) == 200 * 100
            assert all(parents.count(parent) == 2 for parent in parents)


def test_the_lock_is_over_before_rows_are_read(mariadb: MariaDbDatabase) -> None:
    """Whoever writes then does not wait; there is a session for each range, and none that leads."""
    make_numbered(mariadb)
    with partitioned(mariadb, 3) as partitions, closing(mariadb.connect()) as other:
        with other.cursor() as cursor:
            cursor.execute("SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
            cursor.execute("UPDATE t SET word = 'new'")
        wait_until(lambda: len(mariadb.sessions()) == 3 + 1)
        assert "new" not in values_in(read_each(partitions), "word")


@pytest.mark.parametrize(
    "change", ["ALTER TABLE t ADD COLUMN n int", "TRUNCATE t", "RENAME TABLE t TO u", "DROP TABLE t"]
)
def test_nobody_changes_the_table_itself_meanwhile(mariadb: MariaDbDatabase, change: str) -> None:
    """Not before a range has begun either; whoever wants to waits until all have ended."""
    make_numbered(mariadb)
    with partitioned(mariadb, 2) as partitions:
        changing = start(mariadb.execute, change)
        wait_until(lambda: change in running(mariadb))
        wait_until(lambda: "Waiting for table metadata lock" in _states(mariadb))
        assert values_in(read_each(partitions)) == list(range(1, ROWS + 1))
    changing.result()


def _states(database: MariaDbDatabase) -> list[str]:
    return [str(state) for (state,) in database.execute("SELECT state FROM information_schema.processlist")]


def test_a_server_that_ends_idle_transactions(mariadb: MariaDbDatabase, mariadb_server: MariaDbServer) -> None:
    """A range that has not begun yet is not one of those."""
    make_numbered(mariadb)
    maintenance = mariadb_server.maintenance
    maintenance.execute("SET GLOBAL idle_transaction_timeout = 1")
    try:
        with partitioned(mariadb, 2) as partitions, closing(mariadb.connect()) as other, other.cursor() as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            wait_until(lambda: len(mariadb.sessions()) == 2)  # the server has ended that one
            assert values_in(read_each(partitions)) == list(range(1, ROWS + 1))
    finally:
        maintenance.execute("SET GLOBAL idle_transaction_timeout = DEFAULT")


# --- the lock -----------------------------------------------------------------------------------------------------------


@contextmanager
def _written(database: MariaDbDatabase) -> Iterator[Any]:
    """A transaction that has written the table and does not end."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        connection.begin()
        cursor.execute("UPDATE t SET word = 'unsure' WHERE id = 1")
        yield connection


def _is_locking(database: MariaDbDatabase) -> bool:
    return "LOCK TABLES `t` READ" in running(database)


def test_a_transaction_under_way_is_waited_for(mariadb: MariaDbDatabase) -> None:
    """Once it has ended, what it wrote is in the snapshot."""
    make_numbered(mariadb)

    def words() -> list[str]:
        with partitioned(mariadb, 2) as partitions:
            return values_in(read_each(partitions), "word")

    with _written(mariadb) as writer:
        reading = start(words)
        wait_until(lambda: _is_locking(mariadb))
        writer.commit()
        assert reading.result()[0] == "unsure"


def test_a_transaction_that_does_not_end_is_not_waited_for(
    mariadb: MariaDbDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For long, that is: writers are behind us. The error says what to do, and trying again may help."""
    make_numbered(mariadb)
    monkeypatch.setattr(_snapshot, "_LEADING", _snapshot._LEADING.replace("= 5", "= 1"))
    with _written(mariadb), pytest.raises(SourceError, match="try again when no long transaction writes it") as caught:
        with partitioned(mariadb, 2):
            pass
    assert caught.value.transient
    mariadb.execute("UPDATE t SET word = 'new'")


@pytest.mark.parametrize("how", ["cancel", "deadline", "kill"])
def test_however_waiting_for_the_lock_ends(mariadb: MariaDbDatabase, how: str) -> None:
    """No session stays, so no lock; nor a descriptor."""
    make_numbered(mariadb)
    with partitioned(mariadb, 2):
        pass  # imports
    nobody_left(mariadb)
    before = open_descriptors()

    def wait() -> None:
        with partitioned(mariadb, 3):
            raise AssertionError("it has begun to read")

    def overdue() -> None:
        with pytest.raises(DeadlineExceeded), fail_after(0.5):
            wait()

    with _written(mariadb) as writer:
        if how == "cancel":
            call = Cancellable(wait)
            wait_until(lambda: _is_locking(mariadb))
            assert call.cancel() < 0.5
        elif how == "deadline":
            overdue()
        else:
            waiting = start(wait)
            wait_until(lambda: _is_locking(mariadb))
            mariadb.kill_sessions()
            with pytest.raises(SourceError):
                waiting.result()
        wait_until(lambda: len(mariadb.sessions()) <= 1)
        with suppress(pymysql.Error):
            writer.rollback()
    assert open_descriptors() == before
    mariadb.execute("UPDATE t SET word = 'new'")


def test_an_error_under_the_lock_ends_it(mariadb: MariaDbDatabase, mariadb_server: MariaDbServer) -> None:
    """A condition is refused there; whoever writes then does not wait."""
    make_numbered(mariadb)
    make(mariadb, "CREATE TABLE other (a int)")
    with pytest.raises(ConfigurationError), partitioned(mariadb, 3, where="id IN (SELECT a FROM other)"):
        pass
    nobody_left(mariadb)
    mariadb.execute("UPDATE t SET word = 'new'")


@pytest.mark.parametrize("granted", ["{0}.*", "{0}.t"])
def test_without_the_privilege(mariadb: MariaDbDatabase, mariadb_server: MariaDbServer, granted: str) -> None:
    """The error says which it takes; with it the right to read is enough."""
    make_numbered(mariadb)
    maintenance, user = mariadb_server.maintenance, f"reader_of_{mariadb.name}"
    maintenance.execute(f"CREATE USER {user}@'%' IDENTIFIED BY 'p'")
    try:
        maintenance.execute(f"GRANT SELECT ON {granted.format(mariadb.name)} TO {user}@'%'")
        uri = f"mysql://{user}:p@{mariadb.host}:{mariadb.port}/{mariadb.name}"
        with pytest.raises(SourceError, match=r"t: Access denied .* takes the privilege LOCK TABLES on its database"):
            with partitioned(mariadb, 2, uri=uri):
                pass
        maintenance.execute(f"GRANT LOCK TABLES ON {mariadb.name}.* TO {user}@'%'")
        with partitioned(mariadb, 2, uri=uri) as partitions:
            assert len(values_in(read_each(partitions))) == ROWS
    finally:
        maintenance.execute(f"DROP USER {user}@'%'")


# --- how reading ends ---------------------------------------------------------------------------------------------------


def test_a_failure_in_one_range_stops_all_on_leaving(mariadb: MariaDbDatabase) -> None:
    """Which one it was, the error says; the others' queries are not running any more, nor do sessions stay."""
    make_numbered(mariadb)
    make(mariadb, "ALTER TABLE t ADD COLUMN day date", "UPDATE t SET day = IF(id = 950, '0000-00-00', '2024-02-29')")
    with partitioned(mariadb, 3) as partitions, partitions.each[0].source.open_batches() as batches:
        first_of(batches)
        with pytest.raises(SourceError, match=r"t, partition 3 of 3: .*0000-00-00"):
            read_table(partitions.each[2].source)
        wait_until(lambda: len(mariadb.sessions()) == 2)  # one is open, one has not been, one is closed
    assert running(mariadb) == []


def test_a_cancel_stops_the_queries_of_all_ranges(mariadb: MariaDbDatabase) -> None:
    """Each in its thread; the server has stopped by then."""
    make_numbered(mariadb)
    with CancelScope() as scope, partitioned(mariadb, 2, where=SLOW) as partitions:
        calls = [Cancellable(lambda source=each.source: read_table(source)) for each in partitions.each]  # type: ignore[misc]
        wait_until(lambda: len([text for text in running(mariadb) if "sleep" in text]) == 2)
        scope.cancel()
        for call in calls:
            assert call.cancel() < 0.5
        assert running(mariadb) == []


def test_connections_to_different_servers(mariadb: MariaDbDatabase) -> None:
    """Are no snapshot: here every second connection goes to another server, which has the same table."""
    make_numbered(mariadb)
    with run_mariadb() as second:
        for statement in (
            f"CREATE DATABASE {mariadb.name}",
            f"CREATE USER {mariadb.user}@'%' IDENTIFIED BY '{mariadb.password}'",
            f"GRANT ALL ON {mariadb.name}.* TO {mariadb.user}@'%'",
        ):
            second.maintenance.execute(statement)
        make_numbered(replace(mariadb, port=second.maintenance.port))
        with Proxy(mariadb.port, second.maintenance.port) as proxy:
            uri = replace(mariadb, port=proxy.port).uri
            with pytest.raises(SourceError, match="connections lead to different servers"):
                with partitioned(mariadb, 2, uri=uri):
                    pass


def test_a_galera_cluster(mariadb_server: MariaDbServer) -> None:
    """Is refused: its other servers write without asking for our lock. Here it is a cluster of one."""
    with run_mariadb("--wsrep-on=ON", "--wsrep-provider=none", "--binlog-format=ROW") as node:
        database = node.new_database()
        make_numbered(database, 10)
        with pytest.raises(ConfigurationError, match="in a Galera cluster no lock"), partitioned(database, 2):
            pass
        nobody_left(database)
