"""Begin the transactions in which sessions read: one with a snapshot of its own, or several with the same snapshot.

MySQL cannot pass a snapshot from one connection to another. So for several sessions a further connection, the leader, locks
the table against writes, which waits for those under way. While nobody can write, every session takes a snapshot, so all
snapshots are the same. The lock is released before the first row is read. What ensures this:

- The lock is one of the server (``LOCK TABLES``), and one of InnoDB as well (``autocommit = 0``): a foreign key's cascade
  may know only that.
- Each session has opened the table in its transaction before the lock is over, which keeps others from putting another in
  its place until all have been read.
- The leader has the statement prepared while it may read nothing but that one table, so a condition that reads others,
  whose rows nobody has locked, is refused.
- All are found to see a lock by name that the leader holds: behind one address there may be several servers.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from penstock.connectors._requests import SourceRequest
from penstock.connectors.mysql import _errors as _mysql_errors
from penstock.connectors.mysql._connection import Column, Connection
from penstock.connectors.mysql._sql import literal, quoted_path
from penstock.connectors.mysql._wire import ServerError
from penstock.errors import ConfigurationError, SourceError

__all__ = ["SNAPSHOT", "begin", "begin_together", "prepare_session"]

SNAPSHOT = (
    "one state, for which the table is locked against writes while every partition's transaction takes its snapshot"
)

_WEEK_SECONDS = 604_800
_LOCK_SECONDS = 5
_IDLE_SECONDS = 60
_SESSION = (
    # A sink that is slow for minutes is no reason to hang up on us, which is what the server does after 60 s.
    f"SET SESSION net_write_timeout = {_WEEK_SECONDS}, wait_timeout = {_WEEK_SECONDS}, time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
)
_BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
# Whoever waits for us holds up all that come after: writers behind the lock, and us behind somebody who changes the table.
_IMPATIENT = f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}, innodb_lock_wait_timeout = {_LOCK_SECONDS}"
# Were we cut off just then, the server would keep the lock until it takes us for gone.
_LEADING = f"{_IMPATIENT}, innodb_table_locks = 1, autocommit = 0, wait_timeout = {_IDLE_SECONDS}"
# Between its snapshot and its first row a transaction is idle. MySQL has no limit on that.
_FOLLOWING = f"{_IMPATIENT} /*M!100300 , idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0 */"


def prepare_session(connection: Connection) -> None:
    """Set what reading depends on, and a server or user may have set otherwise."""
    connection.execute(*_SESSION)


def begin(connection: Connection) -> None:
    """Begin to read, alone."""
    connection.execute(_BEGIN)


def begin_together(
    leader: Connection, others: Sequence[Connection], request: SourceRequest, statement: str
) -> tuple[Column, ...]:
    """Begin to read a table in all of ``others``, of one snapshot; return the columns of ``statement``.

    Blocks while transactions that write the table are under way, a few seconds at most. Nobody can write it from then
    on, until this returns; or, where it raises, until ``leader`` is closed.

    Args:
        leader: a session that is good for nothing else afterwards.
        others: sessions that have not begun.
        request: what was asked for: a table.
        statement: the SELECT that means.

    Raises:
        ConfigurationError: the statement reads more than the table, or the server's locks are not for all that write.
        SourceError: the table could not be locked, or the connections lead to several servers.
        ServerError: the server refused something else.
    """
    where, table = f"{request.shown} {request.table}", quoted_path(str(request.table))
    _refuse_cluster(leader, where)
    mark = literal(f"penstock-{secrets.token_hex(16)}")
    leader.query(f"SELECT GET_LOCK({mark}, 0)")
    for connection in others:
        prepare_session(connection)
        connection.execute(_FOLLOWING)
    _lock(leader, table, where)
    columns = _columns_of_one_table(leader, statement, where)
    for connection in others:
        begin(connection)
        connection.query(f"SELECT 1 FROM {table} LIMIT 0")  # noqa: S608 - quoted
        _check_server(connection, mark, where)
    leader.execute("UNLOCK TABLES")  # had the server ended it, and so the lock, this would raise
    return columns


def _refuse_cluster(leader: Connection, where: str) -> None:
    """Refuse Galera: other nodes write without asking for locks of this one."""
    if [value for _name, value in leader.query("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")] in ([], ["OFF"]):
        return
    raise ConfigurationError(
        f"{where}: it can not be read in partitions: in a Galera cluster no lock of one server keeps the others from writing; "
        "without partitions it can be read"
    )


def _lock(leader: Connection, table: str, where: str) -> None:
    leader.execute(_LEADING)
    try:
        leader.execute(f"LOCK TABLES {table} READ")
    except ServerError as exc:
        text = " ".join(str(exc).split())
        if exc.code in _mysql_errors.DENIED:
            hint = (
                "for one snapshot the table is locked for a moment, which takes the privilege LOCK TABLES on its "
                "database: GRANT it, or leave partitions out"
            )
            raise SourceError(text, where=where, hint=hint) from exc
        if exc.code == _mysql_errors.LOCK_TIMEOUT:
            hint = (
                f"to lock it would have taken longer than {_LOCK_SECONDS} s, for which writers would have had to wait: "
                "try again when no long transaction writes it, or leave partitions out"
            )
            raise SourceError(text, where=where, hint=hint, transient=True) from exc
        raise


def _columns_of_one_table(leader: Connection, statement: str, where: str) -> tuple[Column, ...]:
    try:
        return leader.prepare(statement).columns
    except ServerError as exc:
        if exc.code != _mysql_errors.NOT_LOCKED:
            raise
        raise ConfigurationError(
            f"{where}: it can not be read in partitions with this condition (where), which looks something up in a table: "
            "no lock covers that, so partitions may find different rows; without partitions it can be read"
        ) from exc


def _check_server(connection: Connection, mark: str, where: str) -> None:
    ((holder,),) = connection.query(f"SELECT IS_USED_LOCK({mark})")
    if holder is None:
        raise SourceError(
            "connections lead to different servers, whose snapshots have nothing in common",
            where=where,
            hint="every connection must reach the same server: name it instead of what distributes them",
        )
