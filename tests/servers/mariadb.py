"""A private MariaDB: its own directory, its own port of the loopback, gone when the ``with`` block ends.

The binaries are the system's (Debian: ``mariadb-server``), or those in the folder ``PENSTOCK_MARIADB_BIN``. No option file of
the system is read. MariaDB refuses to run as root; ``_account`` says how root steps down.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql  # type: ignore[import-untyped]  # it has none

from tests.servers import Unavailable
from tests.servers._account import Account, unprivileged_account
from tests.servers._process import end_process, free_port, is_listening, wait_until_ready

__all__ = ["MariaDbDatabase", "MariaDbServer", "run_mariadb"]

USER = "tester"

# Nothing has to survive a crash of the machine. The sql_mode is MySQL 8's: MariaDB's own lets zero dates in.
SETTINGS = {
    "bind-address": "127.0.0.1",
    "innodb-buffer-pool-size": "64M",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
    "max-allowed-packet": "96M",
    "character-set-server": "utf8mb4",
    "local-infile": "1",
}
FLAGS = ("--skip-name-resolve", "--skip-log-bin")


@dataclass(frozen=True)
class MariaDbDatabase:
    """One database and how to reach it. ``uri`` carries the password."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str
    socket: Path

    @property
    def uri(self) -> str:
        """``mysql://user:password@host:port/name``."""
        return f"mysql://{quote(self.user)}:{quote(self.password)}@{self.host}:{self.port}/{quote(self.name)}"

    def connect(self) -> Any:
        """A connection of PyMySQL's, in autocommit mode, with no database where ``name`` is empty."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=self.name or None,
            autocommit=True,
            ssl_disabled=True,  # making a context for TLS takes longer than all the rest
        )

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own; return its rows, if it has any."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def sessions(self) -> list[tuple[str, str]]:
        """(command, query) of every session of this user but the asking one: what a client left open."""
        rows = self.execute(
            "SELECT command, coalesce(info, '') FROM information_schema.processlist "
            f"WHERE user = '{self.user}' AND id <> connection_id()"
        )
        return [(str(command), str(info)) for command, info in rows]

    def kill_sessions(self) -> int:
        """End every other session of this user, as a crashing server would; return how many there were."""
        numbers = self.execute(
            f"SELECT id FROM information_schema.processlist WHERE user = '{self.user}' AND id <> connection_id()"
        )
        for (number,) in numbers:
            with contextlib.suppress(pymysql.Error):  # it may have ended by itself
                self.execute(f"KILL {number}")
        return len(numbers)

    def tables(self) -> list[str]:
        """The names of all tables and views in it."""
        return sorted(
            str(name)
            for (name,) in self.execute(
                f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{self.name}'"
            )
        )


@dataclass(frozen=True)
class MariaDbServer:
    """A running server. ``maintenance`` is its ``mysql`` database, as a user who may do everything."""

    maintenance: MariaDbDatabase
    pid: int
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def new_database(self) -> MariaDbDatabase:
        """Create an empty database with a name and a user of its own, who owns it and may read no other."""
        base, number = self.maintenance, next(self._numbers)
        name, user, password = f"test_{number}", f"user_{number}", secrets.token_hex(12)
        base.execute(f"CREATE DATABASE {name}")
        base.execute(f"CREATE USER {user}@'%' IDENTIFIED BY '{password}'")
        base.execute(f"GRANT ALL ON {name}.* TO {user}@'%'")
        return MariaDbDatabase(base.host, base.port, user, password, name, base.socket)

    def drop_database(self, database: MariaDbDatabase) -> None:
        """Drop it and its user, ending whatever sessions they still have."""
        database.kill_sessions()
        self.maintenance.execute(f"DROP DATABASE IF EXISTS {database.name}")
        self.maintenance.execute(f"DROP USER IF EXISTS {database.user}@'%'")


@contextlib.contextmanager
def run_mariadb(*flags: str) -> Iterator[MariaDbServer]:
    """Run a private server, with ``flags`` besides the usual.

    Raises:
        Unavailable: it is not installed, or would not start.
    """
    server, installer = _found("mariadbd"), _found("mariadb-install-db")
    # Short on purpose: the path of a Unix socket must fit in 107 bytes.
    with tempfile.TemporaryDirectory(prefix="my-") as directory:
        home, account = Path(directory), unprivileged_account()
        account.give(home)
        base = MariaDbDatabase("127.0.0.1", free_port(), USER, secrets.token_hex(12), "mysql", home / "s")
        _initialise(installer, account, home, base)
        process = _start(server, account, home, base, flags)
        try:
            wait_until_ready(process, lambda: is_listening(base.port), log=home / "log")
            yield MariaDbServer(base, process.pid)
        finally:
            end_process(process, politely=signal.SIGTERM)


def _found(program: str) -> str:
    folders = [os.environ.get("PENSTOCK_MARIADB_BIN", ""), os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    found = shutil.which(program, path=os.pathsep.join(filter(None, folders)))
    if found is None:
        raise Unavailable(f"no MariaDB here: {program} is not installed (Debian: apt-get install mariadb-server)")
    return found


def _initialise(installer: str, account: Account, home: Path, base: MariaDbDatabase) -> None:
    (home / "init.sql").write_text(
        f"CREATE USER {base.user}@'127.0.0.1' IDENTIFIED BY '{base.password}';\n"
        f"GRANT ALL ON *.* TO {base.user}@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    (home / "init.sql").chmod(0o600)
    account.give(home / "init.sql")
    command = [
        *account.prefix,
        installer,
        "--no-defaults",
        f"--datadir={home / 'data'}",
        f"--tmpdir={home}",  # in a shared one, two that start at the same time remove each other's files
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
        "--innodb-flush-method=nosync",
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, **account.popen(home))
    except subprocess.CalledProcessError as exc:
        raise Unavailable(f"mariadb-install-db failed: {exc.stderr.strip()[-500:]}") from exc
    except OSError as exc:
        raise Unavailable(f"mariadb-install-db cannot be run: {exc}") from exc


def _start(
    server: str, account: Account, home: Path, base: MariaDbDatabase, flags: tuple[str, ...]
) -> subprocess.Popen[bytes]:
    command = [
        *account.prefix,
        server,
        "--no-defaults",  # first, or the system's option files are read
        f"--datadir={home / 'data'}",
        f"--socket={base.socket}",
        f"--pid-file={home / 'pid'}",
        f"--port={base.port}",
        f"--init-file={home / 'init.sql'}",
        *(f"--{name}={value}" for name, value in SETTINGS.items()),
        *FLAGS,
        *flags,
    ]
    with (home / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C ends the tests; the tests end the server
            **account.popen(home),
        )
