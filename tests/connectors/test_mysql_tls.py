"""MySQL and TLS: a server on another machine is verified, unless somebody has said otherwise."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from penstock.errors import SinkError, SourceError
from tests.connectors.mysql_parts import MANY, Loaded, no_settings_from_outside, nobody_left, running, table_sink
from tests.connectors.parts import Cancellable, read_rows, read_table, source_of
from tests.connectors.tls import make_certificate, own_address
from tests.core.threads import wait_until

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDbDatabase, MariaDbServer

pytest.importorskip("pymysql", reason="pymysql is not installed")

SECURED = (
    "SELECT variable_value <> '' AS tls FROM information_schema.session_status WHERE variable_name = 'ssl_version'"
)
YES, NO = [{"tls": 1}], [{"tls": 0}]
UNKNOWN = r"TLS: the server's certificate is not accepted \(\?ssl-ca=FILE .*\?ssl-mode=required encrypts"
ANOTHER_NAME = r"TLS: this name is not in the server's certificate \(use a name that is; \?ssl-mode=verify-ca"
NO_TLS = r"TLS: the server does not offer it \(\?ssl-mode=disabled goes without"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of no authority anybody knows, for this machine's own address and for ``db.example``."""
    folder = tmp_path_factory.mktemp("certificate")
    made = make_certificate(folder, f"IP:{own_address()},DNS:db.example")
    for path in (made, folder, folder.parent):  # the server may be another user
        path.chmod(path.stat().st_mode | 0o055)
    return made


@pytest.fixture(scope="module")
def server(mariadb_server: MariaDbServer, certificate: Path) -> Iterator[MariaDbServer]:
    """A server with that certificate, also at that address."""
    from tests.servers.mariadb import run_mariadb

    at = f"--bind-address=127.0.0.1,{own_address()}"
    with run_mariadb(at, f"--ssl-cert={certificate}", f"--ssl-key={certificate}") as running_server:
        yield running_server


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one authority that this system knows: not the server's."""
    return make_certificate(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stranger: Path) -> None:
    """No settings of whoever runs the tests, and no authorities."""
    no_settings_from_outside(monkeypatch, tmp_path)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(stranger))


@pytest.fixture
def elsewhere(server: MariaDbServer) -> Iterator[MariaDbDatabase]:
    """A database of it, by the address that is not of the loopback."""
    database = server.new_database()
    yield dataclasses.replace(database, host=own_address())
    nobody_left(database)
    server.drop_database(database)


def rows(database: MariaDbDatabase, parameters: str = "") -> list[dict[str, Any]]:
    """Whether a connection with these parameters is encrypted."""
    return read_rows(source_of(f"{database.uri}?{parameters}", query=SECURED))


def test_an_unknown_authority_is_refused(elsewhere: MariaDbDatabase) -> None:
    """By default, and when asked for; the message has what to add, for reading and for loading."""
    for parameters in ("", "ssl=true", "ssl-mode=verify-ca"):
        with pytest.raises(SourceError, match=UNKNOWN) as caught:
            rows(elsewhere, parameters)
        assert not caught.value.transient
        assert caught.value.__cause__ is not None
        assert elsewhere.password not in str(caught.value)
    for parameters in ("ssl=true", "ssl-mode=verify-ca"):
        with pytest.raises(SourceError, match=UNKNOWN):
            rows(here(elsewhere), parameters)
    with pytest.raises(SinkError, match=UNKNOWN):
        table_sink(elsewhere).check()


def test_a_known_authority_is_enough(
    elsewhere: MariaDbDatabase, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named in the address, or one of the system's; queries can be stopped, and tables loaded."""
    assert rows(elsewhere, f"ssl-ca={certificate}") == YES
    assert rows(here(elsewhere), f"ssl-mode=verify-ca&ssl-ca={certificate}") == YES
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert rows(elsewhere) == YES
    sink = table_sink(elsewhere)
    assert sink.check()
    assert sink.load(Loaded(pa.table({"i": [1, 2]}))).details["rows"] == 2
    call = Cancellable(lambda: read_table(source_of(elsewhere.uri, query=MANY)))
    wait_until(lambda: running(here(elsewhere)) == [MANY])
    assert call.cancel() < 0.5
    assert running(here(elsewhere)) == []


def test_another_name_is_refused(
    elsewhere: MariaDbDatabase, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the authority is known, and although the name leads to the server."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **named: resolve(elsewhere.host if host.endswith(".example") else host, *more, **named),
    )
    other = dataclasses.replace(elsewhere, host="other.example")
    with pytest.raises(SourceError, match=ANOTHER_NAME):
        rows(other, f"ssl-ca={certificate}")
    assert rows(other, f"ssl-mode=verify-ca&ssl-ca={certificate}") == YES
    assert rows(dataclasses.replace(elsewhere, host="db.example"), f"ssl-ca={certificate}") == YES
    with pytest.raises(SourceError, match=ANOTHER_NAME):
        rows(here(elsewhere), f"ssl-ca={certificate}")  # by its address


def test_who_says_so_goes_without(elsewhere: MariaDbDatabase, tmp_path: Path) -> None:
    """In the address or the option file; on this machine nobody has to."""
    for mode, secured in (("required", YES), ("preferred", YES), ("disabled", NO)):
        assert rows(elsewhere, f"ssl-mode={mode}") == secured
    assert rows(here(elsewhere)) == YES
    (tmp_path / ".my.cnf").write_text("[client]\nskip-ssl-verify-server-cert\n")
    assert rows(elsewhere) == YES


def test_a_server_without_tls_is_refused(
    mariadb: MariaDbDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing goes over the network in clear unless somebody has said so."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *more, **named: resolve(mariadb.host, *more, **named))
    named = dataclasses.replace(mariadb, host="db.example")
    for parameters in ("", "ssl-mode=required"):
        with pytest.raises(SourceError, match=NO_TLS) as caught:
            rows(named, parameters)
        assert not caught.value.transient
    with pytest.raises(SinkError, match=NO_TLS):
        table_sink(named).check()
    (tmp_path / ".my.cnf").write_text("[client]\nssl-verify-server-cert=0\n")
    with pytest.raises(SourceError, match=NO_TLS):
        rows(named)
    assert rows(named, "ssl-mode=disabled") == rows(named, "ssl-mode=preferred") == rows(mariadb) == NO


def here(database: MariaDbDatabase) -> MariaDbDatabase:
    """The same, by the loopback."""
    return dataclasses.replace(database, host="127.0.0.1")
