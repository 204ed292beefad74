"""The servers that the kits of ``tests/faults`` ask pytest for, without pytest: each is started when it is first wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, final

import pytest

__all__ = ["Fixtures", "Services"]


@final
class Services:
    """Private servers, ended when the ``with`` block is left."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._running: dict[str, Any] = {}

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def server(self, name: str) -> Any:
        """Return the running server, after starting it if need be.

        Raises:
            Unavailable: it can not be had here.
        """
        if name not in self._running:
            self._running[name] = self._stack.enter_context(_RUN[name]())
        return self._running[name]

    @contextmanager
    def for_one_copy(self) -> Iterator[Fixtures]:
        """Give databases and buckets of its own to one copy; afterwards they are dropped, and servers healed."""
        with ExitStack() as stack:
            yield Fixtures(self, stack)


@final
class Fixtures:
    """Answers as pytest's ``request`` does, as far as the kits ask."""

    def __init__(self, services: Services, stack: ExitStack) -> None:
        self._services = services
        self._stack = stack
        self._values: dict[str, Any] = {}

    def getfixturevalue(self, name: str) -> Any:
        """Return the fixture of that name, the same one each time."""
        if name not in self._values:
            self._values[name] = self._made(name)
        return self._values[name]

    def _made(self, name: str) -> Any:
        if name == "monkeypatch":
            variables = pytest.MonkeyPatch()
            self._stack.callback(variables.undo)
            return variables
        if name in {"postgres", "mariadb"}:
            server = self._services.server(name)
            database = server.new_database()
            self._stack.callback(server.drop_database, database)
            return database
        server = self._services.server("s3_server" if name == "bucket" else name)
        self._stack.callback(server.heal)
        return server.create_bucket() if name == "bucket" else server


def _postgres() -> AbstractContextManager[Any]:
    from tests.servers.postgres import run_postgres

    return run_postgres()


def _mariadb() -> AbstractContextManager[Any]:
    from tests.servers.mariadb import run_mariadb

    return run_mariadb()


def _mongo_double() -> AbstractContextManager[Any]:
    from tests.servers.mongo_double import run_mongo_double

    return run_mongo_double()


def _s3() -> AbstractContextManager[Any]:
    from tests.servers.s3 import run_s3

    return run_s3()


_RUN: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "postgres": _postgres,
    "mariadb": _mariadb,
    "mongo_double": _mongo_double,
    "s3_server": _s3,
}
