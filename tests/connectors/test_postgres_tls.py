"""PostgreSQL and TLS: a server on another machine is verified, unless somebody has said otherwise."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from penstock.connectors.postgres import _incoming_tls
from penstock.connectors.postgres._libpq import Connection
from penstock.errors import SinkError, SourceError
from tests.connectors.parts import Cancellable, read_bytes, read_rows, read_table, source_of
from tests.connectors.postgres_parts import either_way, environment, load, running
from tests.connectors.tls import make_certificate, own_address
from tests.core.threads import wait_until
from tests.servers import Unavailable
from tests.servers.proxy import Proxy, Trouble

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase, PostgresServer

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

__all__ = ["either_way", "environment"]

SECURED = "SELECT ssl::text AS tls FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()"
YES, NO = [{"tls": "true"}], [{"tls": "false"}]
VERIFIED = {"sslmode": "verify-full"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: None) -> None:
    """No certificates and no services of whoever runs the tests; some authorities for the system."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    authorities = tmp_path / "authorities.pem"
    authorities.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))


# --- what libpq is given ----------------------------------------------------------------------------------------


def parameters(uri: str) -> dict[str, str]:
    """What matters here of what libpq connects with."""
    from penstock.connectors.postgres._address import parsed_address

    given = psycopg.conninfo.conninfo_to_dict(parsed_address(uri, "shown").conninfo)
    names = {"host", "hostaddr", "sslmode", "sslrootcert"}
    return {name: str(value) for name, value in given.items() if name in names}


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://",
        "postgresql:///shop",
        "postgresql:///shop?host=/run/postgresql",
        "postgresql:///shop?host=@abstract",
        "postgresql://localhost/shop",
        "postgresql://LocalHost./shop",
        "postgresql://127.0.0.1/shop",
        "postgresql://127.8.9.10/shop",
        "postgresql://[::1]/shop",
        "postgresql://[::ffff:127.0.0.1]/shop",
        "postgresql://localhost,127.0.0.1:5433/shop",
        "postgresql://db.example/shop?hostaddr=127.0.0.1",
    ],
)
def test_on_this_machine_libpq_has_its_way(uri: str) -> None:
    """Unix sockets, localhost, and every address of the loopback; where hostaddr leads counts, not the name."""
    assert "sslmode" not in parameters(uri)
    assert "sslrootcert" not in parameters(uri)


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("postgresql://db.example/shop", "db.example"),
        ("postgresql://192.0.2.7/shop", "192.0.2.7"),
        ("postgresql://[2001:db8::7]:5433/shop", "2001:db8::7"),
        ("postgresql://localhost.example/shop", "localhost.example"),
        ("postgresql://localhost,db.example/shop", "localhost,db.example"),
        ("postgresql://db.example:5433,/shop", "db.example,"),
        ("postgresql://localhost/shop?hostaddr=192.0.2.7", "localhost"),
        ("postgresql:///shop?hostaddr=192.0.2.7,192.0.2.8", "192.0.2.7,192.0.2.8"),
        ("postgresql:///shop?host=,db.example&hostaddr=192.0.2.7,192.0.2.8", "192.0.2.7,db.example"),
    ],
)
def test_elsewhere_the_server_is_verified(uri: str, host: str, tmp_path: Path) -> None:
    """One of several that is elsewhere does; one without a name has to prove its address."""
    found = parameters(uri)
    assert found.pop("host") == host
    found.pop("hostaddr", None)
    assert found == {"sslmode": "verify-full", "sslrootcert": str(tmp_path / "authorities.pem")}


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca"])
def test_a_choice_stays(mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the address, of PGSSLMODE, or of a service file, even where it is libpq's own default."""
    assert parameters(f"postgresql://db/shop?sslmode={mode}") == {"host": "db", "sslmode": mode}
    services = tmp_path / "services"
    services.write_text(f"[chosen]\nhost=db.example\nsslmode={mode}\n[unchosen]\nhost=db.example\n[here]\nhost=::1\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    assert parameters("postgresql://?service=chosen") == {}
    assert parameters("postgresql://?service=here") == {}
    assert parameters("postgresql://?service=unchosen")["sslmode"] == "verify-full"
    monkeypatch.setenv("PGSERVICE", "chosen")
    assert parameters("postgresql://") == {}
    monkeypatch.delenv("PGSERVICE")
    monkeypatch.setenv("PGSSLMODE", mode)
    assert parameters("postgresql://db/shop") == {"host": "db"}


@pytest.mark.parametrize("host", ["db.example", "localhost"])
def test_who_chooses_to_verify_needs_no_file(host: str, tmp_path: Path) -> None:
    """Where libpq has no authorities, the system's do, as by default."""
    authorities = str(tmp_path / "authorities.pem")
    found = parameters(f"postgresql://{host}/shop?sslmode=verify-full")
    assert found == {"host": host, **VERIFIED, "sslrootcert": authorities}


def test_a_host_from_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one in the address."""
    monkeypatch.setenv("PGHOST", "db.example")
    assert parameters("postgresql:///shop")["sslmode"] == "verify-full"
    assert "sslmode" not in parameters("postgresql://localhost/shop")
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    assert "sslmode" not in parameters("postgresql:///shop")


def test_an_authority_that_is_named_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the address, in PGSSLROOTCERT, or by the file where libpq looks for one."""
    named = parameters("postgresql://db/shop?sslrootcert=/ca.pem")
    assert named == {"host": "db", "sslrootcert": "/ca.pem", **VERIFIED}
    monkeypatch.setenv("PGSSLROOTCERT", "/ca.pem")
    assert parameters("postgresql://db/shop") == {"host": "db", **VERIFIED}
    monkeypatch.delenv("PGSSLROOTCERT")
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").touch()
    assert parameters("postgresql://db/shop") == {"host": "db", **VERIFIED}


def test_authorities_that_are_in_no_file_are_left_to_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which knows them by the name of ``system``."""
    monkeypatch.setenv("SSL_CERT_FILE", "/absent.pem")
    monkeypatch.setattr("penstock.connectors.postgres._tls._AUTHORITIES", ())
    assert parameters("postgresql://db/shop") == {"host": "db", **VERIFIED, "sslrootcert": "system"}


# --- what servers say to it -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of no authority anybody knows, for this machine's own address and for ``db.example``."""
    return make_certificate(tmp_path_factory.mktemp("certificate"), f"IP:{own_address()},DNS:db.example")


@pytest.fixture(scope="module")
def server(certificate: Path) -> Iterator[PostgresServer]:
    """A server with that certificate, at that address."""
    from tests.servers.postgres import run_postgres

    try:
        with run_postgres(address=own_address(), certificate=certificate) as running_server:
            yield running_server
    except Unavailable as exc:
        pytest.skip(f"no PostgreSQL with TLS here: {exc}")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one authority that this system knows: not the server's."""
    return make_certificate(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def elsewhere(server: PostgresServer, stranger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresDatabase]:
    """A database of it, by the address that is not of the loopback."""
    monkeypatch.setenv("SSL_CERT_FILE", str(stranger))
    database = server.new_database()
    yield dataclasses.replace(database, host=own_address())
    wait_until(lambda: database.sessions() == [])
    server.drop_database(database)


def test_an_unknown_authority_is_refused(elsewhere: PostgresDatabase) -> None:
    """By default, and when asked for; the message has what to add, for reading and for loading."""
    said = r"TLS: the server's certificate is not accepted \(\?sslrootcert=FILE .*\?sslmode=require encrypts"
    for uri in (elsewhere.uri, elsewhere.uri_with(sslmode="verify-full", sslrootcert="system")):
        with pytest.raises(SourceError, match=said) as caught:
            read_table(source_of(uri, query=SECURED))
        assert not caught.value.transient
        assert caught.value.__cause__ is not None
        assert elsewhere.password not in str(caught.value)
    with pytest.raises(SinkError, match=said):
        load(elsewhere, pa.table({"i": [1]}))
    with pytest.raises(SourceError, match=r"TLS: the file of authorities can not be used \(\?sslrootcert=FILE"):
        read_table(source_of(elsewhere.uri_with(sslrootcert="/absent.pem"), query=SECURED))


def test_a_known_authority_is_enough(
    elsewhere: PostgresDatabase, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named in the address, or one of the system's; for the host name, or for the address where there is no name."""
    given = {"sslrootcert": str(certificate)}
    assert read_rows(source_of(elsewhere.uri_with(**given), query=SECURED)) == YES
    named = {**given, "host": "db.example", "hostaddr": elsewhere.host}
    assert read_rows(source_of(elsewhere.uri_with(**named), query=SECURED)) == YES
    nameless = re.sub(
        r"@[^:]*:\d+", "@", elsewhere.uri_with(**given, hostaddr=elsewhere.host, port=str(elsewhere.port))
    )
    assert read_rows(source_of(nameless, query=SECURED)) == YES
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert read_rows(source_of(elsewhere.uri, query=SECURED)) == YES
    load(elsewhere, pa.table({"i": [1]}))
    call = Cancellable(lambda: read_table(source_of(elsewhere.uri, query="SELECT pg_sleep(600)::text")))
    wait_until(lambda: any("pg_sleep" in text for text in running(here(elsewhere))))
    assert call.cancel() < 0.5
    assert running(here(elsewhere)) == []


def test_another_name_is_refused(elsewhere: PostgresDatabase, certificate: Path) -> None:
    """Although the authority is known: both names are said."""
    uri = elsewhere.uri_with(sslrootcert=str(certificate), host="other.example", hostaddr=elsewhere.host)
    said = r'TLS: server certificate for .* does not match host name "other.example" \(use that name'
    with pytest.raises(SourceError, match=said) as caught:
        read_table(source_of(uri, query=SECURED))
    assert "\n" not in str(caught.value)


def test_who_says_so_goes_without(elsewhere: PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the address or PGSSLMODE; on this machine nobody has to."""
    for mode, secured in (("require", YES), ("prefer", YES), ("disable", NO)):
        assert read_rows(source_of(elsewhere.uri_with(sslmode=mode), query=SECURED)) == secured
    assert read_rows(source_of(here(elsewhere).uri, query=SECURED)) == YES
    monkeypatch.setenv("PGSSLMODE", "require")
    assert read_rows(source_of(elsewhere.uri, query=SECURED)) == YES


@pytest.mark.usefixtures("either_way")
def test_many_rows_come_through_tls(elsewhere: PostgresDatabase, certificate: Path) -> None:
    """The same as in the clear, as values and as CSV, a wide one too; past libpq, and where that is out of reach."""
    wide = "CASE i WHEN 2000 THEN repeat('y', 5000000) ELSE '' END"
    numbers = f"SELECT i, repeat('x', i) || {wide} AS t FROM generate_series(1, 3000) i"
    secured = source_of(elsewhere.uri_with(sslrootcert=str(certificate), sslmode="verify-full"), query=numbers)
    in_the_clear = source_of(here(elsewhere).uri_with(sslmode="disable"), query=numbers)
    assert read_rows(secured) == read_rows(in_the_clear)
    assert [row["i"] for row in read_rows(secured)] == list(range(1, 3001))
    assert read_bytes(secured) == read_bytes(in_the_clear)


@pytest.fixture
def handed_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Grows with each COPY whose rows libpq hands out. Which libpq it is, is looked for anew."""
    noted: list[object] = []
    collected = Connection._collected
    monkeypatch.setattr(Connection, "_collected", lambda *given: noted.append(given) or collected(*given))
    _incoming_tls._libpq.cache_clear()
    yield noted
    _incoming_tls._libpq.cache_clear()


def test_under_tls_rows_are_not_handed_out_one_by_one(elsewhere: PostgresDatabase, handed_out: list[object]) -> None:
    """They are taken past libpq, whatever session this is."""
    secured = source_of(elsewhere.uri_with(sslmode="require"), query="SELECT 1 AS a")
    assert read_rows(secured) == [{"a": 1}]
    assert handed_out == []


@pytest.mark.parametrize("why", ["two", "none", "another version", "not Linux"])
def test_where_it_is_not_certain_which_libpq_it_is_none_is_asked(
    elsewhere: PostgresDatabase, handed_out: list[object], why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The wrong one would misread psycopg's structures; so rows are handed out one by one."""
    mapped = tmp_path / "maps"
    if why == "another version":
        monkeypatch.setattr(psycopg.pq, "version", lambda: 1)
    else:
        monkeypatch.setattr(_incoming_tls, "_MAPPED", mapped)
    if why in {"two", "none"}:
        libraries = ("libpq.so.5", "libpq-1a2b.so.5.18") if why == "two" else ()
        mapped.write_text("".join(f"7f00-7f01 r-xp 00 fe:00 1 /lib/{name}\n" for name in libraries))
    secured = source_of(elsewhere.uri_with(sslmode="require"), query="SELECT 1 AS a")
    assert read_rows(secured) == [{"a": 1}]
    assert len(handed_out) == 1


@pytest.mark.parametrize("row", [1, 500_000])
def test_an_error_comes_through_tls(elsewhere: PostgresDatabase, certificate: Path, row: int) -> None:
    """The server's own words, before the first row and after many were taken past libpq."""
    fails = f"SELECT 1 / ({row} - i) AS a FROM generate_series(1, 600000) i"
    secured = source_of(elsewhere.uri_with(sslrootcert=str(certificate)), query=fails)
    for read in (read_table, read_bytes):
        with pytest.raises(SourceError, match="division by zero"):
            read(secured)


def test_a_connection_that_is_cut_under_tls(elsewhere: PostgresDatabase) -> None:
    """An error, transient, however much of it has come."""
    endless = "SELECT generate_series(1, 100000000) AS i, repeat('x', 1000) AS t"
    with Proxy(elsewhere.port, down=Trouble("cut", 4 << 20)) as proxy:
        proxied = dataclasses.replace(here(elsewhere), port=proxy.port)
        with pytest.raises(SourceError) as caught:
            read_table(source_of(proxied.uri_with(sslmode="require"), query=endless))
    assert caught.value.transient


def test_a_cancel_under_tls_stops_the_query(elsewhere: PostgresDatabase, certificate: Path) -> None:
    """In the middle of rows: libpq finds the next message, and the server ends the query."""
    uri = elsewhere.uri_with(sslrootcert=str(certificate))
    seen = []

    def read() -> None:
        endless = source_of(uri, query="SELECT generate_series(1, 100000000) AS i, repeat('x', 700) AS t")
        with endless.open_batches() as batches:
            seen.extend(batch.num_rows for batch in batches)

    call = Cancellable(read)
    wait_until(lambda: len(seen) > 3)
    assert call.cancel() < 0.5
    assert running(here(elsewhere)) == []


def test_a_server_without_tls_is_refused(elsewhere: PostgresDatabase, server: PostgresServer) -> None:
    """Nothing goes over the network in clear unless somebody has said so."""
    _switch(server, tls="off")
    try:
        for uri in (elsewhere.uri, elsewhere.uri_with(sslmode="require")):
            with pytest.raises(
                SourceError, match=r"TLS: the server does not offer it \(\?sslmode=disable goes without"
            ):
                read_table(source_of(uri, query=SECURED))
        with pytest.raises(SinkError, match="TLS: the server does not offer it"):
            load(elsewhere, pa.table({"i": [1]}))
        for uri in (elsewhere.uri_with(sslmode="disable"), elsewhere.uri_with(sslmode="prefer"), here(elsewhere).uri):
            assert read_rows(source_of(uri, query=SECURED)) == NO
    finally:
        _switch(server, tls="on")


def here(database: PostgresDatabase) -> PostgresDatabase:
    """The same, by the loopback."""
    return dataclasses.replace(database, host="127.0.0.1")


def _switch(server: PostgresServer, *, tls: str) -> None:
    server.maintenance.execute(f"ALTER SYSTEM SET ssl = {tls}")
    server.maintenance.execute("SELECT pg_reload_conf()")
    wait_until(lambda: server.maintenance.execute("SHOW ssl") == [(tls,)])
