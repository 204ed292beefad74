"""One HTTP/1.1 connection that can be cancelled at any moment: address, connect, TLS, answer.

Written on ``http.client`` and plain sockets rather than a client library, because the sink must do what libraries
hide: notice an answer while the body is still being sent, and cut a body so that it can not be taken for whole.
Looking up a host's name is the one wait no cancel interrupts; the system's resolver bounds it. Proxies are not used.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import re
import select
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

from penstock.connectors._descriptors import Waker
from penstock.connectors._uri import redact
from penstock.core.cancel import on_cancel
from penstock.errors import ConfigurationError, ConnectorError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Connection", "Endpoint", "connected", "excerpt"]

_CONNECT_SECONDS = 10.0
_USUAL_PORTS = {"http": 80, "https": 443}
_EXCERPT_BYTES = 2048
_EXCERPT_CHARACTERS = 300
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close() drops what is queued and sends RST
_HUNG_UP = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_NOT_PRINTABLE = re.compile(r"[\s\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Endpoint:
    """An HTTP address taken apart. ``where`` is how messages show it."""

    scheme: str
    host: str
    port: int
    where: str
    target: str = field(repr=False)  # its query may hold a token
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, uri: str) -> Endpoint:
        """Take ``uri`` apart; a user name and password in it become basic authorization.

        Raises:
            ConfigurationError: it is not well-formed.
        """
        where = redact(uri)
        problem = "not a well-formed address; write characters like @ : / # in a password as %40 %3A %2F %23"
        try:
            parts = urlsplit(uri)
            scheme, host = parts.scheme.lower(), parts.hostname or ""
            endpoint = cls(scheme, host, parts.port or _USUAL_PORTS[scheme], where, _target(parts), _basic(parts))
            endpoint.host_header.encode("ascii")
        except ValueError:  # also what idna refuses; not chained, as it may repeat the password
            raise ConfigurationError(f"{where}: {problem}") from None
        if not host:
            raise ConfigurationError(f"{where}: {problem}")
        if not endpoint.target.isascii() or _NOT_PRINTABLE.search(endpoint.target):
            raise ConfigurationError(f"{where}: spaces and letters beyond ASCII must be percent-encoded")
        return endpoint

    @property
    def host_header(self) -> str:
        """Host and, where it is not the usual one, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host.encode("idna").decode("ascii")
        return host if self.port == _USUAL_PORTS.get(self.scheme) else f"{host}:{self.port}"


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _basic(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


@contextmanager
def connected(endpoint: Endpoint, error: type[ConnectorError]) -> Iterator[Connection]:
    """Connect, and close on leaving; when the block fails, so that nothing sent looks complete to anybody.

    Raises:
        ConnectorError: (as ``error``) it is refused, unknown, or not to be trusted.
    """
    with _translating(endpoint, error):
        opened = _open_socket(endpoint)
    with Waker() as waker, closing(Connection(endpoint, opened, waker, error)) as connection:
        try:
            yield connection
        except BaseException:
            with contextlib.suppress(OSError):  # it is gone already, which is as good
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            raise


class Connection:
    """An open connection, for one thread. Methods block, are woken by a cancel, and raise ``error`` on failure.

    Attributes:
        endpoint: what it is connected to.
        socket: plain, or with TLS on it.
        is_answered: whether the server has said something, or hung up; nothing more is sent then.
    """

    def __init__(self, endpoint: Endpoint, opened: socket.socket, waker: Waker, error: type[ConnectorError]) -> None:
        self.endpoint = endpoint
        self.socket = opened
        self.is_answered = False
        self._waker = waker
        self._error = error
        self._method = ""
        self._received = b""
        self._response: http.client.HTTPResponse | None = None

    def send_head(self, method: str, headers: dict[str, str]) -> None:
        """Send request line and headers; Host and Authorization are added."""
        self._method = method
        request = http.client.HTTPConnection(self.endpoint.host)
        request.sock = collected = _Collector()
        request.putrequest(method, self.endpoint.target, skip_host=True, skip_accept_encoding=True)
        request.putheader("Host", self.endpoint.host_header)
        if self.endpoint.authorization:
            request.putheader("Authorization", self.endpoint.authorization)
        for name, value in headers.items():
            request.putheader(name, value)
        request.endheaders()
        self.send(collected.data)

    def send(self, data: bytes) -> None:
        """Send all of ``data``, but stop when the server answers: look at ``is_answered`` afterwards."""
        rest = memoryview(data)
        with _translating(self.endpoint, self._error), self._not_blocking():
            while rest and not self.is_answered:
                try:
                    rest = rest[self.socket.send(rest) :]
                except (BlockingIOError, ssl.SSLWantWriteError):
                    self._waker.wait(self.socket.fileno(), select.POLLIN | select.POLLOUT)
                    self.look_for_answer()
                except ssl.SSLWantReadError:
                    self._waker.wait(self.socket.fileno(), select.POLLIN)
                except _HUNG_UP:
                    self.is_answered = True  # what the server said before it hung up can still be read

    def look_for_answer(self) -> bool:
        """Look, without waiting, whether the server has answered. What TLS sends on its own account is no answer."""
        if not self.is_answered:
            with _translating(self.endpoint, self._error), self._not_blocking():
                try:
                    self._received = self.socket.recv(1)
                    self.is_answered = True  # a byte, or the end of the connection
                except (BlockingIOError, ssl.SSLWantReadError):
                    pass  # nothing, or nothing for us
                except _HUNG_UP:
                    self.is_answered = True
        return self.is_answered

    @contextmanager
    def _not_blocking(self) -> Iterator[None]:
        before = self.socket.gettimeout()  # these blocks nest: looking for an answer is part of sending
        self.socket.settimeout(0)
        try:
            yield
        finally:
            self.socket.settimeout(before)

    def answer(self) -> http.client.HTTPResponse:
        """Wait for the head of the answer; read its body with :meth:`read`. Closed with the connection."""
        answering = cast(socket.socket, _Answering(self.socket, self._received))
        self._response = http.client.HTTPResponse(answering, method=self._method)
        with self.receiving():
            self._response.begin()
        return self._response

    def close(self) -> None:
        """Close the answer, if there is one, and the socket."""
        if self._response is not None:
            self._response.close()
        self.socket.close()

    def read(self, response: http.client.HTTPResponse, size: int) -> bytes:
        """Read up to ``size`` bytes of the body of an answer."""
        with self.receiving():
            return response.read(size)

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Translate failures of reading, and let a cancel interrupt it."""
        with _translating(self.endpoint, self._error), on_cancel(lambda: _shut_down(self.socket, socket.SHUT_RDWR)):
            yield


def excerpt(connection: Connection, response: http.client.HTTPResponse) -> str:
    """Return the first words of the body of an error answer, on one line; what does not come within 2 s is left."""
    connection.socket.settimeout(2.0)
    try:
        body = connection.read(response, _EXCERPT_BYTES)
    except ConnectorError:
        return ""
    text = _NOT_PRINTABLE.sub(" ", body.decode("utf-8", errors="replace")).strip()
    return text if len(text) <= _EXCERPT_CHARACTERS else f"{text[:_EXCERPT_CHARACTERS]}..."


def _open_socket(endpoint: Endpoint) -> socket.socket:
    last: OSError | None = None
    for family, kind, protocol, _name, address in socket.getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_STREAM
    ):
        raw = socket.socket(family, kind, protocol)
        try:
            return _connect(raw, address, endpoint)
        except ssl.SSLError:
            raw.close()
            raise
        except OSError as exc:
            raw.close()
            last = exc
        except BaseException:
            raw.close()
            raise
    raise last or OSError("the name has no address")


def _connect(raw: socket.socket, address: Any, endpoint: Endpoint) -> socket.socket:
    raw.settimeout(_CONNECT_SECONDS)
    with on_cancel(lambda: _shut_down(raw, socket.SHUT_RDWR)):
        raw.connect(address)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if endpoint.scheme == "https":
        raw = _encrypted(raw, endpoint)
    raw.settimeout(None)  # from here on a wait may be long; cancels and deadlines end it
    return raw


def _encrypted(raw: socket.socket, endpoint: Endpoint) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    encrypted = context.wrap_socket(raw, server_hostname=endpoint.host, do_handshake_on_connect=False)
    try:
        with on_cancel(lambda: _shut_down(encrypted, socket.SHUT_RDWR)):
            encrypted.do_handshake()
    except (ssl.SSLEOFError, ConnectionResetError) as exc:
        encrypted.close()
        raise ssl.SSLError(0, "the server hung up on the handshake") from exc
    except BaseException:
        encrypted.close()
        raise
    return encrypted


def _shut_down(opened: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        # Not SSLSocket.shutdown: that takes the TLS layer off first, and the other thread may be sending.
        socket.socket.shutdown(opened, how)


@contextmanager
def _translating(endpoint: Endpoint, error: type[ConnectorError]) -> Iterator[None]:
    """The one seam between sockets and our errors."""
    try:
        yield
    except socket.gaierror as exc:
        raise error(f"unknown host {endpoint.host!r}", where=endpoint.where, hint="is the name right?") from exc
    except ssl.SSLCertVerificationError as exc:
        hint = "the server's certificate is not trusted here; SSL_CERT_FILE may name another authority"
        raise error(f"TLS: {exc.verify_message}", where=endpoint.where, hint=hint) from exc
    except (http.client.IncompleteRead, http.client.RemoteDisconnected, *_HUNG_UP) as exc:
        if isinstance(exc, ConnectionRefusedError):
            hint = f"is anything listening on port {endpoint.port}?"
            raise error("connection refused", where=endpoint.where, hint=hint, transient=True) from exc
        raise error("the server closed the connection", where=endpoint.where, transient=True) from exc
    except ssl.SSLError as exc:
        reason = (getattr(exc, "reason", None) or exc.strerror or str(exc)).lower().replace("_", " ")
        raise error(f"TLS: {reason}", where=endpoint.where, hint="does the server speak https on this port?") from exc
    except TimeoutError as exc:
        raise error("no answer in time", where=endpoint.where, transient=True) from exc
    except http.client.HTTPException as exc:
        raise error(f"not an HTTP answer: {exc!r}", where=endpoint.where, hint="is it an HTTP server?") from exc
    except OSError as exc:
        raise error(exc.strerror or str(exc), where=endpoint.where) from exc


class _Collector:
    """Stands in for the socket of ``http.client`` while it writes the head."""

    def __init__(self) -> None:
        self.data = b""

    def sendall(self, data: bytes) -> None:
        self.data += data


class _Answering:
    """Gives ``http.client`` the bytes of an answer, the ones read already first."""

    def __init__(self, opened: socket.socket, received: bytes) -> None:
        self._raw = _Received(opened, received)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._raw)


class _Received(io.RawIOBase):
    def __init__(self, opened: socket.socket, received: bytes) -> None:
        super().__init__()
        self._socket = opened
        self._received = received

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        if self._received:
            size = min(len(view), len(self._received))
            view[:size], self._received = self._received[:size], self._received[size:]
            return size
        return self._socket.recv_into(view)
