"""Find out how to connect to a server: from the address, ``~/.my.cnf`` and the environment. Pure but for that file.

What the address leaves out comes from where the ``mysql`` client takes it: the ``[client]`` section of ``~/.my.cnf``, then
``MYSQL_HOST``, ``MYSQL_TCP_PORT``, ``MYSQL_UNIX_PORT`` and ``MYSQL_PWD``.
"""

from __future__ import annotations

import configparser
import getpass
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from penstock.connectors._this_machine import is_this_machine
from penstock.connectors._uri import query_parameters
from penstock.errors import ConfigurationError
from penstock.flow.suggest import did_you_mean

__all__ = ["SSL_MODES", "Login", "login_of"]

SSL_MODES = ("disabled", "preferred", "required", "verify-ca", "verify-identity")
"""As MySQL's own clients have them. ``preferred``: TLS where the server offers it, unverified: their default, and ours for a
server on this machine. For any other it is ``verify-identity``."""

_DEFAULT_PORT = 3306
_CONNECT_SECONDS = 10.0
_SECTIONS = ("client", "client-server", "client-mariadb")
_ESCAPING = "write characters like @ : / # % in a password as %40 %3A %2F %23 %25"
_PARAMETERS = {
    "unix_socket": "socket",
    "socket": "socket",
    "connect_timeout": "connect-timeout",
    "ssl": "ssl",
    **{f"ssl{separator}{name}": f"ssl-{name}" for separator in "-_" for name in ("mode", "ca", "cert", "key")},
}
_SWITCHES = ("ssl", "ssl-verify-server-cert")  # in an option file skip- and disable- switch them off
_YES, _NO = frozenset({"1", "true", "yes", "on", ""}), frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True)
class Login:
    """How to connect.

    Attributes:
        host: name or address of the server.
        port: its TCP port.
        unix_socket: path of its socket, used instead of host and port; None for TCP.
        user: whose rights.
        password: theirs; ``""`` for none.
        database: to use; None for none, which is fine where every table is named with its own.
        connect_seconds: how long connecting may take.
        ssl_mode: one of :data:`SSL_MODES`.
        ssl_ca: file of the certificates to trust; None for the system's.
        ssl_cert: file of our own certificate; None for none.
        ssl_key: file of its key.
    """

    host: str
    port: int
    unix_socket: str | None
    user: str
    password: str = field(repr=False)
    database: str | None
    connect_seconds: float
    ssl_mode: str
    ssl_ca: str | None
    ssl_cert: str | None
    ssl_key: str | None

    @property
    def where(self) -> str:
        """The server, as messages show it."""
        return f"mysql://{self.unix_socket or f'{self.host}:{self.port}'}"


def login_of(uri: str, shown: str) -> Login:
    """Return what ``uri``, the option file and the environment say together.

    Args:
        uri: ``mysql://user:password@host:port/database?ssl-mode=required``.
        shown: the same for messages.

    Raises:
        ConfigurationError: it is not well-formed; never repeats what may be the password.
    """
    parts = _split(uri, shown)
    given = {
        _PARAMETERS[name]: value
        for name, value in query_parameters(parts.query, known=frozenset(_PARAMETERS), where=shown).items()
    }
    authority, filed = _authority(parts, shown), _option_file(Path("~/.my.cnf").expanduser())
    known = {**_environment(), **filed, **authority, **given}
    host = known.get("host") or "localhost"
    unix_socket = known.get("socket") if "host" not in authority or "socket" in given else None
    is_here = unix_socket is not None or is_this_machine(host)
    return Login(
        host=host,
        port=_port(known.get("port"), shown),
        unix_socket=unix_socket,
        user=known.get("user") or getpass.getuser(),
        password=known.get("password") or "",
        database=unquote(parts.path.removeprefix("/")) or known.get("database"),
        connect_seconds=_seconds(known.get("connect-timeout"), shown),
        ssl_mode=_chosen_mode(given, shown)
        or _chosen_mode(filed, shown)
        or _default_mode(known, shown, is_here=is_here),
        ssl_ca=known.get("ssl-ca"),
        ssl_cert=known.get("ssl-cert"),
        ssl_key=known.get("ssl-key"),
    )


def _split(uri: str, shown: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        # Not chained: its message repeats what may be the password.
        raise ConfigurationError(f"{shown}: not a well-formed MySQL address; {_ESCAPING}") from None
    if parts.fragment or "/" in parts.path.removeprefix("/"):
        raise ConfigurationError(f"{shown}: not a well-formed MySQL address; {_ESCAPING}")
    return parts


def _authority(parts: SplitResult, shown: str) -> dict[str, str]:
    login, _, _host = parts.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    found = {
        "host": unquote(parts.hostname or ""),
        "port": "" if parts.port is None else str(parts.port),
        "user": unquote(user),
    }
    if "%" in unquote(password) and _is_broken_escape(password):
        raise ConfigurationError(f"{shown}: not a well-formed MySQL address; {_ESCAPING}")
    return {name: value for name, value in found.items() if value} | ({"password": unquote(password)} if colon else {})


def _is_broken_escape(text: str) -> bool:
    hexadecimal = "0123456789abcdefABCDEF"
    return any(
        len(rest) < 2 or rest[0] not in hexadecimal or rest[1] not in hexadecimal for rest in text.split("%")[1:]
    )


def _environment() -> dict[str, str]:
    names = {
        "MYSQL_HOST": "host",
        "MYSQL_TCP_PORT": "port",
        "MYSQL_UNIX_PORT": "socket",
        "MYSQL_PWD": "password",
    }
    return {name: os.environ[variable] for variable, name in names.items() if os.environ.get(variable)}


def _option_file(path: Path) -> dict[str, str]:
    """Read the sections for clients of an option file, as MySQL's clients do: not if anybody may write to it."""
    try:
        if path.stat().st_mode & stat.S_IWOTH:
            return {}
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except OSError:
        return {}  # as the clients: a file that is not there, or not ours to read, says nothing
    parser = configparser.RawConfigParser(allow_no_value=True, strict=False, comment_prefixes=("#", ";"))
    try:
        parser.read_string("".join(line.strip() + "\n" for line in lines if not line.lstrip().startswith("!")))
    except configparser.Error as exc:
        raise ConfigurationError(f"{path} is not well-formed: {type(exc).__name__}") from None
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            found |= _options(parser[section])
    return found


def _options(section: Mapping[str, str | None]) -> dict[str, str]:
    options = {name.replace("_", "-"): (value or "").strip("'\"") for name, value in section.items()}
    for name in _SWITCHES:
        if options.keys() & {f"skip-{name}", f"disable-{name}"}:
            options[name] = "0"
    return options


def _chosen_mode(said: Mapping[str, str], shown: str) -> str | None:
    """Return the mode that the address, or the option file, chooses; None for none.

    ``ssl=true`` is TLS that is worth its name, unless ``ssl-verify-server-cert``, which MariaDB's clients have, is off.
    """
    if "ssl-mode" in said:
        return _ssl_mode(said["ssl-mode"], shown)
    verifies = _is_on(said.get("ssl-verify-server-cert", "1"), shown)
    if "ssl" in said:
        return _asked_for_tls(verifies=verifies) if _is_on(said["ssl"], shown) else "disabled"
    return "verify-identity" if verifies and "ssl-verify-server-cert" in said else None


def _default_mode(known: Mapping[str, str], shown: str, *, is_here: bool) -> str:
    """Return the mode where none is chosen. Who names an authority wants servers verified by it, wherever they are."""
    verifies = _is_on(known.get("ssl-verify-server-cert", "1"), shown)
    if is_here and not (verifies and "ssl-ca" in known):
        return "preferred"
    return _asked_for_tls(verifies=verifies)


def _asked_for_tls(*, verifies: bool) -> str:
    return "verify-identity" if verifies else "required"


def _is_on(value: str, shown: str) -> bool:
    if value.lower() in _YES | _NO:
        return value.lower() in _YES
    raise ConfigurationError(f"{shown}: ssl is true or false; for more, ssl-mode is one of {', '.join(SSL_MODES)}")


def _ssl_mode(value: str, shown: str) -> str:
    mode = value.lower().replace("_", "-")
    if mode not in SSL_MODES:
        hint = did_you_mean(mode, SSL_MODES, otherwise=f"it may be {', '.join(SSL_MODES)}")
        raise ConfigurationError(f"{shown}: ssl-mode {mode!r} is unknown: {hint}")
    return mode


def _port(value: str | None, shown: str) -> int:
    try:
        return int(value) if value else _DEFAULT_PORT
    except ValueError:
        raise ConfigurationError(f"{shown}: the port is not a number; {_ESCAPING}") from None


def _seconds(value: str | None, shown: str) -> float:
    try:
        seconds = float(value) if value else _CONNECT_SECONDS
    except ValueError:
        raise ConfigurationError(f"{shown}: connect_timeout is not a number of seconds") from None
    return seconds if seconds > 0 else _CONNECT_SECONDS  # zero, elsewhere: wait for ever. Nothing here does.
