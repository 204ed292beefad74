"""Log in to MySQL or MariaDB with PyMySQL (handshake, authentication plugins, TLS), then take over the socket.

PyMySQL is used for the handshake only, which is not worth implementing twice. What comes after it, above all rows, is
handled by :mod:`penstock.connectors.mysql._wire`.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.connectors.mysql._address import Login
from penstock.connectors.mysql._wire import LostConnection, ServerError
from penstock.core.cancel import on_cancel

if TYPE_CHECKING:
    from penstock.connectors._descriptors import Waker

__all__ = ["log_in"]

_CLEAR_PASSWORD = b"mysql_clear_password"
_DIALOG = b"dialog"
_CLIENT_LOCAL_FILES = 128


def log_in(login: Login, waker: Waker, *, local_files: bool) -> tuple[socket.socket, int, str]:
    """Connect and authenticate; return the socket, non-blocking, the connection's number, and the server's version.

    Blocks for ``login.connect_seconds`` at most, besides looking up the host's name; a cancel interrupts it.

    Args:
        login: where to, and as whom.
        waker: waits for the TCP connection.
        local_files: whether the server may ask for data of a ``LOAD DATA LOCAL``.

    Raises:
        LostConnection: the server cannot be reached.
        ServerError: it does not let us in.
    """
    deadline = monotonic() + login.connect_seconds
    opened = _connected_socket(login, waker, deadline)
    try:
        # A duplicate of the descriptor: TLS takes the socket over, and a cancel has to reach it all the same.
        lever = socket.socket(fileno=os.dup(opened.fileno()))
    except BaseException:
        opened.close()
        raise
    with contextlib.closing(lever), on_cancel(lambda: _hang_up(lever)):
        return _authenticated(login, opened, local_files=local_files)


def _connected_socket(login: Login, waker: Waker, deadline: float) -> socket.socket:
    """Return a TCP or Unix connection. Every address of the host is tried."""
    error: OSError = OSError("the host has no address")
    try:
        addresses = _addresses(login)
    except OSError as exc:
        raise LostConnection(f"unknown host: {exc}") from exc
    for family, address in addresses:
        opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            _connect(opened, address, waker, deadline)
        except OSError as exc:
            opened.close()
            error = exc
        except BaseException:
            opened.close()
            raise
        else:
            opened.settimeout(max(0.01, deadline - monotonic()))
            return opened
    raise LostConnection(str(error)) from error


def _addresses(login: Login) -> list[tuple[int, Any]]:
    if login.unix_socket is not None:
        return [(socket.AF_UNIX, login.unix_socket)]
    found = socket.getaddrinfo(login.host, login.port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _kind, _protocol, _name, address in found]


def _connect(opened: socket.socket, address: Any, waker: Waker, deadline: float) -> None:
    opened.setblocking(False)
    try:
        opened.connect(address)
    except BlockingIOError:
        if not waker.wait(opened.fileno(), select.POLLOUT, max(0.0, deadline - monotonic())):
            raise TimeoutError("timed out") from None
        if code := opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code)) from None
    if opened.family != socket.AF_UNIX:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _hang_up(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be gone already
        opened.shutdown(socket.SHUT_RDWR)


def _authenticated(login: Login, opened: socket.socket, *, local_files: bool) -> tuple[socket.socket, int, str]:
    driver = _pymysql()
    try:
        client = driver.connections.Connection(**_arguments(login), defer_connect=True)
        if login.ssl_mode == "preferred" and login.unix_socket is None:
            # As PyMySQL's own default is, but without loading the certificates that nobody is going to look at: 15 ms.
            client.ssl, client.ctx = True, _unverified()
        if local_files:
            client.client_flag |= _CLIENT_LOCAL_FILES
        client.connect(opened)  # closes the socket itself when it fails
    except driver.Error as exc:
        opened.close()
        raise _translated(exc) from exc
    except (ssl.SSLError, RuntimeError, ValueError) as exc:
        opened.close()
        raise LostConnection(str(exc)) from exc
    except BaseException:
        opened.close()
        raise
    taken, reader = client._sock, client._rfile
    number, version = int(client.thread_id()), str(client.get_server_info())
    client._sock = client._rfile = None  # the socket is ours now; its finalizer must not close it
    reader.close()
    if (
        login.ssl_mode not in {"disabled", "preferred"}
        and login.unix_socket is None
        and not isinstance(taken, ssl.SSLSocket)
    ):
        taken.close()
        raise LostConnection("SSL is required but the server doesn't support it")  # early PyMySQL goes on without
    taken.setblocking(False)
    return taken, number, version


def _arguments(login: Login) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "host": login.host,
        "user": login.user,
        "password": login.password,
        "database": login.database,
        "charset": "utf8mb4",
        "autocommit": None,
        "program_name": "penstock",
        "connect_timeout": login.connect_seconds,
        "read_timeout": login.connect_seconds,
        "write_timeout": login.connect_seconds,
        "auth_plugin_map": {_CLEAR_PASSWORD: _OnlyOverTls, _DIALOG: _OnlyOverTls},
    }
    if login.ssl_mode in {"disabled", "preferred"} or login.unix_socket is not None:
        return arguments | {"ssl_disabled": True}
    return arguments | {"ssl": _tls_context(login)}


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _tls_context(login: Login) -> ssl.SSLContext:
    try:
        context = _unverified() if login.ssl_mode == "required" else ssl.create_default_context(cafile=login.ssl_ca)
        # Certificates that MySQL makes for itself have no key identifier.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = login.ssl_mode == "verify-identity"
        if login.ssl_cert is not None:
            context.load_cert_chain(login.ssl_cert, login.ssl_key)
    except OSError as exc:
        raise LostConnection(f"TLS: a file of ssl-ca, ssl-cert or ssl-key can not be used: {exc}") from exc
    return context


class _OnlyOverTls:
    """Sends the password as it is, which a server may ask for, only where nobody can listen."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def authenticate(self, packet: Any) -> Any:
        driver = _pymysql()
        if not isinstance(self._client._sock, ssl.SSLSocket):
            raise driver.OperationalError(2061, "the server asks for the password in clear, and there is no TLS")
        self._client.write_packet(self._client.password + b"\0")
        answer = self._client._read_packet()
        answer.check_error()
        return answer


def _translated(exc: Any) -> Exception:
    """Tell what the server said apart from what PyMySQL makes of a connection that did not come about."""
    code = exc.args[0] if exc.args and isinstance(exc.args[0], int) else 0
    message = str(exc.args[-1]) if exc.args else type(exc).__name__
    is_the_servers = 1000 <= code < 2000 or code >= 3000
    return ServerError(message, code, "") if is_the_servers else LostConnection(message)


def _pymysql() -> Any:
    need("pymysql.connections", extra="mysql", why="talk to MySQL")
    return need("pymysql", extra="mysql", why="talk to MySQL")
