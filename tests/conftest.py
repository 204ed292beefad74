"""Fixtures for every test: real servers, started on first use, and what happens when one cannot be had."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings

from tests.servers import Unavailable, object_stores
from tests.servers.http import HttpServer
from tests.servers.s3 import S3Server, run_s3

if TYPE_CHECKING:  # psycopg is an extra; tests of the core run without it
    from tests.servers.ferretdb import FerretServer
    from tests.servers.mariadb import MariaDbDatabase, MariaDbServer
    from tests.servers.mongo import MongoDatabase
    from tests.servers.mongo_double import MongoDouble
    from tests.servers.postgres import PostgresDatabase, PostgresServer

T = TypeVar("T")

#: Fixtures behind which stands a server that may be missing; a test that uses one is marked `service`.
SERVICES = frozenset(
    {
        "any_mongo",
        "bucket",
        "ferretdb_server",
        "mariadb",
        "mariadb_server",
        "mongo",
        "postgres",
        "postgres_server",
        "s3_server",
    }
)
#: Tests that look through the heap many times. It grows while tests run: at the end each would take several times as long.
SEARCH_THE_HEAP = frozenset(
    {
        "test_cursors.py",
        "test_descriptors.py",
        "test_generators.py",
        "test_leftovers.py",
        "test_own.py",
        "test_processes.py",
        "test_proof.py",
        "test_resources.py",
        "test_task_checks.py",
        "test_task_waits.py",
        "test_tasks.py",
        "test_trio_tasks.py",
        "test_watch.py",
    }
)
#: Servers that speak MongoDB's protocol, by what they are good for; a test's name says which one it ran on.
_MONGOD = ["mongod"] if "PENSTOCK_MONGO_URI" in os.environ else []
MONGO_SERVERS = {
    "real": ["ferretdb", *_MONGOD],
    "all": ["ferretdb", "double", *_MONGOD],
    "complete": ["double", *_MONGOD],
}
SERVICES_REQUIRED = os.environ.get("PENSTOCK_REQUIRE_SERVICES") == "1"

# A shell starts what it puts into the background with Ctrl-C ignored, and processes inherit that. Tests press Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as under nohup

# Repeatable by default: the same examples in every run, and no deadline that a busy machine could miss.
settings.register_profile("repeatable", derandomize=True, deadline=None)
# `HYPOTHESIS_PROFILE=explore pytest ...` looks for new examples.
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses a service, so that nobody has to remember to, and put those first that come first."""
    for item in items:
        if SERVICES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("service")
    items.sort(key=lambda item: item.path.name not in SEARCH_THE_HEAP)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where services are required, a service test that was skipped has failed, however it was skipped."""
    report = yield
    if SERVICES_REQUIRED and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("service"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"PENSTOCK_REQUIRE_SERVICES=1, and this was not to be had: {reason}"
    return report


@contextlib.contextmanager
def started(server: AbstractContextManager[T]) -> Iterator[T]:
    """Start a server, or skip the test with the reason why it cannot be had."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(server)
        except Unavailable as exc:
            pytest.skip(str(exc))
        yield running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL, for the whole session."""
    postgres = pytest.importorskip("tests.servers.postgres", reason="psycopg is not installed")
    with started(postgres.run_postgres()) as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """A fresh, empty database; afterwards it is dropped, whoever may still be in it."""
    database = postgres_server.new_database()
    yield database
    postgres_server.drop_database(database)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDbServer]:
    """A private MariaDB, for the whole session."""
    mariadb = pytest.importorskip("tests.servers.mariadb", reason="pymysql is not installed")
    with started(mariadb.run_mariadb()) as server:
        yield server


@pytest.fixture
def mariadb(mariadb_server: MariaDbServer) -> Iterator[MariaDbDatabase]:
    """A fresh, empty database with a user of its own; afterwards both are dropped, whoever may still be in it."""
    database = mariadb_server.new_database()
    yield database
    mariadb_server.drop_database(database)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A private S3 object store, for the whole session."""
    with started(run_s3()) as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server) -> Iterator[str]:
    """The name of a fresh bucket; afterwards the store is healed of whatever faults the test ordered."""
    yield s3_server.create_bucket()
    s3_server.heal()


@pytest.fixture(scope="session")
def minio_server() -> Iterator[S3Server]:
    """A private MinIO, another S3 server, for the whole session; optional."""
    with started(object_stores.run_minio()) as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[object_stores.Azurite]:
    """A private emulator of Azure Blob Storage, for the whole session; optional."""
    with started(object_stores.run_azurite()) as server:
        yield server


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[object_stores.FakeGcs]:
    """A private emulator of Google Cloud Storage, for the whole session; optional."""
    with started(object_stores.run_fake_gcs()) as server:
        yield server


@pytest.fixture(scope="session")
def ferretdb_server() -> Iterator[FerretServer]:
    """A private FerretDB, for the whole session: it speaks MongoDB's protocol, and is not ours."""
    ferretdb = pytest.importorskip("tests.servers.ferretdb")
    with started(ferretdb.run_ferretdb()) as server:
        yield server


@pytest.fixture(scope="session")
def mongo_double_server() -> Iterator[MongoDouble]:
    """Our own double of MongoDB, for the whole session."""
    double = pytest.importorskip("tests.servers.mongo_double", reason="pymongo is not installed")
    with started(double.run_mongo_double()) as server:
        yield server


@pytest.fixture
def mongo_double(mongo_double_server: MongoDouble) -> Iterator[MongoDouble]:
    """The double, for what nothing real here does; afterwards it is healed of whatever faults the test ordered."""
    yield mongo_double_server
    mongo_double_server.heal()


@pytest.fixture(params=MONGO_SERVERS["real"])
def mongo(request: pytest.FixtureRequest) -> Iterator[MongoDatabase]:
    """A fresh database on a server that is not ours: FerretDB, and the mongod of PENSTOCK_MONGO_URI."""
    yield from _mongo_database(request)


@pytest.fixture(params=MONGO_SERVERS["all"])
def any_mongo(request: pytest.FixtureRequest) -> Iterator[MongoDatabase]:
    """A fresh database on each server that speaks MongoDB's protocol, also on our double."""
    yield from _mongo_database(request)


@pytest.fixture(params=MONGO_SERVERS["complete"])
def complete_mongo(request: pytest.FixtureRequest) -> Iterator[MongoDatabase]:
    """A fresh database on each server that has what FerretDB lacks: our double, and the mongod of PENSTOCK_MONGO_URI."""
    yield from _mongo_database(request)


def _mongo_database(request: pytest.FixtureRequest) -> Iterator[MongoDatabase]:
    servers = pytest.importorskip("tests.servers.mongo", reason="pymongo is not installed")
    if request.param == "mongod":
        with servers.mongod_database() as database:
            yield database
    elif request.param == "ferretdb":
        ferretdb: FerretServer = request.getfixturevalue("ferretdb_server")
        yield servers.MongoDatabase(ferretdb.new_database(), "ferretdb", lambda: ferretdb.cursors().open)
    else:
        double: MongoDouble = request.getfixturevalue("mongo_double_server")
        yield servers.MongoDatabase(double.new_database(), "double", double.open_cursors)


@pytest.fixture
def http_server() -> Iterator[HttpServer]:
    """An HTTP server with empty books."""
    with HttpServer() as server:
        yield server
