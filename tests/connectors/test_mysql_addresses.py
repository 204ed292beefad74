"""Where a MySQL server is: the address, the option file, the environment; and no password in any message."""

from __future__ import annotations

import getpass
import traceback
from pathlib import Path

import pytest

from penstock.connectors.mysql._address import Login, login_of
from penstock.errors import ConfigurationError
from tests.connectors.mysql_parts import no_settings_from_outside
from tests.connectors.parts import SECRET


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_settings_from_outside(monkeypatch, tmp_path)


def login(uri: str) -> Login:
    return login_of(uri, "mysql://shown")


def test_an_address_may_say_everything_or_nothing() -> None:
    """What it leaves out has the defaults of MySQL's own clients."""
    whole = login(
        "mysql+pymysql://b%40b:p%2Fw%25@[::1]:3307/sh%20op?ssl_mode=VERIFY_CA&ssl-ca=/ca.pem&connect_timeout=2.5"
    )
    assert (whole.host, whole.port, whole.user, whole.password, whole.database) == ("::1", 3307, "b@b", "p/w%", "sh op")
    assert (whole.ssl_mode, whole.ssl_ca, whole.connect_seconds, whole.unix_socket) == (
        "verify-ca",
        "/ca.pem",
        2.5,
        None,
    )
    bare = login("mariadb://")
    assert (bare.host, bare.port, bare.user, bare.password) == ("localhost", 3306, getpass.getuser(), "")
    assert (bare.database, bare.ssl_mode, bare.unix_socket) == (None, "preferred", None)
    assert "p/w%" not in repr(whole)


@pytest.mark.parametrize(
    ("parameters", "mode"),
    [
        ("ssl=true", "verify-identity"),
        ("ssl=false", "disabled"),
        ("ssl-ca=/ca.pem", "verify-identity"),
        ("ssl-mode=required&ssl-ca=/ca.pem", "required"),
        ("ssl-mode=preferred", "preferred"),
        ("", "preferred"),
    ],
)
def test_who_asks_for_tls_gets_it_verified(parameters: str, mode: str) -> None:
    """Unless they say how; who does not ask a server on this machine for it gets what MySQL's clients do."""
    assert login(f"mysql://127.0.0.1/x?{parameters}").ssl_mode == mode
    assert login(f"mysql://db/x?{parameters}").ssl_mode == (mode if parameters else "verify-identity")


@pytest.mark.parametrize(
    "host", ["", "localhost", "LOCALHOST.", "127.0.0.1", "127.8.9.10", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_a_server_on_this_machine_need_not_prove_who_it_is(host: str) -> None:
    """Every address of the loopback is this machine; so is a socket, whatever the host's name."""
    assert login(f"mysql://{host}/x").ssl_mode == "preferred"
    assert login("mysql://db/x?unix_socket=/run/s").ssl_mode == "preferred"


@pytest.mark.parametrize("host", ["db", "localhost.example", "192.0.2.7", "0.0.0.0", "[2001:db8::7]"])
def test_a_server_elsewhere_is_verified(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the system's authorities; wherever the host comes from."""
    assert (login(f"mysql://{host}/x").ssl_mode, login(f"mysql://{host}/x").ssl_ca) == ("verify-identity", None)
    monkeypatch.setenv("MYSQL_HOST", host.strip("[]"))
    assert login("mysql:///x").ssl_mode == "verify-identity"


@pytest.mark.parametrize(
    ("option", "elsewhere", "here"),
    [
        ("ssl-mode=REQUIRED", "required", "required"),
        ("ssl_mode=preferred", "preferred", "preferred"),
        ("ssl", "verify-identity", "verify-identity"),
        ("skip-ssl", "disabled", "disabled"),
        ("ssl=0", "disabled", "disabled"),
        ("ssl-verify-server-cert", "verify-identity", "verify-identity"),
        ("ssl-verify-server-cert=off", "required", "preferred"),
        ("disable-ssl-verify-server-cert", "required", "preferred"),
        ("ssl\nskip_ssl_verify_server_cert", "required", "required"),
    ],
)
def test_the_option_file_may_choose(option: str, elsewhere: str, here: str, tmp_path: Path) -> None:
    """As MySQL's and MariaDB's clients write it; the address wins."""
    (tmp_path / ".my.cnf").write_text(f"[client]\n{option}\n")
    assert (login("mysql://db/x").ssl_mode, login("mysql://localhost/x").ssl_mode) == (elsewhere, here)
    assert login("mysql://db/x?ssl-mode=verify-ca").ssl_mode == "verify-ca"
    assert login("mysql://db/x?ssl=false").ssl_mode == "disabled"


def test_the_address_wins_over_the_option_file_and_that_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As with every MySQL client; other sections, and lines that include files, are passed over."""
    for name, value in {"MYSQL_HOST": "env", "MYSQL_TCP_PORT": "1111", "MYSQL_PWD": "env-password"}.items():
        monkeypatch.setenv(name, value)
    assert (login("mysql:///x").host, login("mysql:///x").port, login("mysql:///x").password) == (
        "env",
        1111,
        "env-password",
    )
    (tmp_path / ".my.cnf").write_text(
        '!includedir /etc/mysql/conf.d/\n[mysqld]\nport=9\n[client]\n# me\nuser = filed\npassword="file#password"\n'
        "port=2222\nssl_ca=/file.pem\nskip-something\n"
    )
    found = login("mysql://bob@db/x")
    assert (found.host, found.port, found.user, found.password) == ("db", 2222, "bob", "file#password")
    assert (found.ssl_ca, found.ssl_mode) == ("/file.pem", "verify-identity")
    assert login("mysql://bob:@db:3333/x").port == 3333
    assert login("mysql://bob:@db/x").password == ""


def test_a_socket_is_for_who_names_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """MYSQL_UNIX_PORT does not take an address away from the host it names."""
    monkeypatch.setenv("MYSQL_UNIX_PORT", "/run/s")
    assert login("mysql:///x").unix_socket == "/run/s"
    assert login("mysql://db/x").unix_socket is None
    assert login("mysql://db/x?unix_socket=/other").unix_socket == "/other"


def test_an_option_file_that_anybody_may_write_is_not_read(tmp_path: Path) -> None:
    """As with every MySQL client."""
    path = tmp_path / ".my.cnf"
    path.write_text("[client]\nhost=evil\n")
    path.chmod(0o666)
    assert login("mysql:///x").host == "localhost"


@pytest.mark.parametrize(
    "uri",
    [
        f"mysql://bob:{SECRET}/x@db/shop",
        f"mysql://bob:p%zz{SECRET}@db/shop",
        f"mysql://bob:{SECRET}#x@db/shop",
        f"mysql://bob:{SECRET}@db/shop?nonsense=1",
        f"mysql://bob:{SECRET}@db:12x/shop",
        f"mysql://bob:{SECRET}@db/shop?connect_timeout=soon",
        f"mysql://bob:{SECRET}@db/shop?ssl-mode=verfy-ca",
        f"mysql://bob:{SECRET}@db/shop?ssl=maybe",
        f"mysql://bob:{SECRET}@db/shop/more",
    ],
)
def test_an_address_that_is_not_well_formed_is_refused(uri: str) -> None:
    """Without repeating what may be the password."""
    with pytest.raises(ConfigurationError) as caught:
        login(uri)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_option_file_that_is_not_well_formed_is_named(tmp_path: Path) -> None:
    """But nothing in it is repeated."""
    (tmp_path / ".my.cnf").write_text(f"password={SECRET}\n")
    with pytest.raises(ConfigurationError, match=r"\.my\.cnf is not well-formed") as caught:
        login("mysql://db/x")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
