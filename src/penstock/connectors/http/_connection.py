"""One HTTP/1.1 connection that can be cancelled at any moment: connect, TLS, send, answer, and again.

It is built on ``http.client`` and plain sockets rather than on a client library, because the sink must do what libraries
do not offer: notice a response while the body is still being sent, and cut off a body so that no server takes it for
complete. Looking up a host's name is the only wait that a cancel does not interrupt; the system's resolver limits it.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import select
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, cast

from penstock.connectors._descriptors import Waker
from penstock.connectors._tls_sockets import TlsSocket
from penstock.connectors.http._endpoint import Endpoint
from penstock.connectors.http._interim import is_interim, may_be_interim, without_interim
from penstock.connectors.http._proxy import Proxy, proxy_for
from penstock.core.cancel import on_cancel
from penstock.errors import ConnectorError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Connection", "connected", "excerpt", "open_connection"]

_CONNECT_SECONDS = 10.0
_RECEIVED_BYTES = 4096
_EXCERPT_BYTES = 2048
_EXCERPT_SECONDS = 2.0
_EXCERPT_CHARACTERS = 300
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close() drops what is queued and sends RST
_HUNG_UP = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_NOT_PRINTABLE = re.compile(r"[\s\x00-\x1f\x7f]+")


def open_connection(endpoint: Endpoint, error: type[ConnectorError]) -> Connection:
    """Connect. The caller closes.

    Raises:
        ConnectorError: (as ``error``) it is refused, unknown, or not to be trusted.
    """
    proxy = proxy_for(endpoint)
    first = endpoint if proxy is None else proxy.stands_before(endpoint)
    with _translating(first, error):
        opened = _open_socket(first, endpoint, proxy)
    return Connection(endpoint, opened, error, proxy)


@contextmanager
def connected(endpoint: Endpoint, error: type[ConnectorError]) -> Iterator[Connection]:
    """Connect, and close on leaving. If the block fails, close so that nothing sent can look complete to the server.

    Raises:
        ConnectorError: (as ``error``) it is refused, unknown, or not to be trusted.
    """
    with closing(open_connection(endpoint, error)) as connection:
        try:
            yield connection
        except BaseException:
            connection.abort()
            raise


class Connection:
    """An open connection, for one thread at a time. Methods block, wake on a cancel, and raise ``error`` on failure.

    Attributes:
        endpoint: the address of the request it carries now, or is to carry next; always of the same server.
        socket: plain, or with TLS on it.
        is_answered: whether the server has said something, or hung up; nothing more is sent then.
        requests: how many it has carried, or begun to.
    """

    def __init__(
        self, endpoint: Endpoint, opened: socket.socket, error: type[ConnectorError], proxy: Proxy | None = None
    ) -> None:
        self.endpoint = endpoint
        self.socket = opened
        self.is_answered = False
        self.requests = 0
        self._is_broken = False  # closed, or left in the middle of an answer
        self._held = ExitStack()
        self._held.callback(opened.close)
        self._waker = self._held.enter_context(Waker())
        self._error = error
        self._proxy = proxy if endpoint.scheme == "http" else None  # under TLS it passes on what it cannot read
        self._method = ""
        self._received = b""
        self._response: http.client.HTTPResponse | None = None

    def send_head(self, method: str, headers: Mapping[str, str]) -> None:
        """Send request line and headers, which begins a request; Host and the server's private headers are added."""
        self._method = method
        self.requests += 1
        self.is_answered = False
        self._received = b""
        self._response = None
        request = http.client.HTTPConnection(self.endpoint.host)
        request.sock = collected = _Collector()
        target = self.endpoint.target if self._proxy is None else self.endpoint.url
        request.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        request.putheader("Host", self.endpoint.host_header)
        if self._proxy is not None and self._proxy.authorization is not None:
            request.putheader("Proxy-Authorization", self._proxy.authorization)
        private = {name.lower(): (name, value) for name, value in self.endpoint.private_headers}
        ours = [(name, value) for name, value in headers.items() if name.lower() not in private]
        for name, value in [*private.values(), *ours]:
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
        """Check, without waiting, whether the server has answered.

        Data that belongs to TLS itself is no answer, nor is an interim response (100 and the like), which is dropped.
        """
        if not self.is_answered:
            with _translating(self.endpoint, self._error), self._not_blocking():
                try:
                    more = self.socket.recv(_RECEIVED_BYTES)
                    self._received = without_interim(self._received + more)
                    self.is_answered = not more or not may_be_interim(self._received)  # nothing: it has hung up
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
        """Wait for the head of the answer; read its body with :meth:`read`. Closed with the connection.

        Interim answers (102, 103) are passed over; ``http.client`` does so with 100 alone.
        """
        answering = cast(socket.socket, _Answering(self.socket, self._received))
        while True:
            self._response = response = http.client.HTTPResponse(answering, method=self._method)
            with self.receiving():
                response.begin()
                _check_one_length(response)
            if not is_interim(response.status):
                return response
            response.fp = None  # type: ignore[assignment]  # so that it does not close what the next is read from

    @property
    def is_ready(self) -> bool:
        """Whether it can carry a request: a new one, or one that sent its body and read its answer to their ends."""
        if self._is_broken or self.is_answered:
            return False
        response = self._response
        return self.requests == 0 or (response is not None and response.isclosed() and not response.will_close)

    def close(self) -> None:
        """Close the answer, if there is one, and the socket. Idempotent."""
        self._is_broken = True
        if self._response is not None:
            self._response.close()
        self._held.close()

    def abort(self) -> None:
        """Close so that nothing sent can look complete: the server sees a connection reset. Idempotent."""
        with contextlib.suppress(OSError):  # it is gone already, which is as good
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()

    def read(self, response: http.client.HTTPResponse, size: int) -> bytes:
        """Read up to ``size`` bytes of the body of an answer."""
        with self.receiving():
            return response.read(size)

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Translate failures of reading, and let a cancel interrupt it."""
        is_broken, self._is_broken = self._is_broken, True
        with _translating(self.endpoint, self._error), on_cancel(lambda: _shut_down(self.socket, socket.SHUT_RDWR)):
            yield
        self._is_broken = is_broken


def excerpt(connection: Connection, response: http.client.HTTPResponse) -> str:
    """Return the beginning of the body of an error response, on one line, as far as it comes within 2 s."""
    before = connection.socket.gettimeout()
    connection.socket.settimeout(_EXCERPT_SECONDS)
    try:
        body = connection.read(response, _EXCERPT_BYTES)
    except ConnectorError:
        connection.close()
        return ""
    connection.socket.settimeout(before)
    text = _NOT_PRINTABLE.sub(" ", body.decode("utf-8", errors="replace")).strip()
    return text if len(text) <= _EXCERPT_CHARACTERS else f"{text[:_EXCERPT_CHARACTERS]}..."


def _open_socket(first: Endpoint, endpoint: Endpoint, proxy: Proxy | None) -> socket.socket:
    last: OSError | None = None
    for family, kind, protocol, _name, address in socket.getaddrinfo(first.host, first.port, type=socket.SOCK_STREAM):
        raw = socket.socket(family, kind, protocol)
        try:
            return _connect(raw, address, endpoint, proxy)
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


def _connect(raw: socket.socket, address: Any, endpoint: Endpoint, proxy: Proxy | None) -> socket.socket:
    raw.settimeout(_CONNECT_SECONDS)
    with on_cancel(lambda: _shut_down(raw, socket.SHUT_RDWR)):
        raw.connect(address)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if endpoint.scheme == "https":
        if proxy is not None:
            _ask_for_tunnel(raw, endpoint, proxy)
        raw = _encrypted(raw, endpoint)
    raw.settimeout(None)  # from here on a wait may be long; cancels and deadlines end it
    return raw


def _ask_for_tunnel(raw: socket.socket, endpoint: Endpoint, proxy: Proxy) -> None:
    """Ask the proxy to connect us to the server, so that TLS is end-to-end."""
    with on_cancel(lambda: _shut_down(raw, socket.SHUT_RDWR)):
        raw.sendall(proxy.tunnel_request(endpoint))
        response = http.client.HTTPResponse(cast(socket.socket, _Answering(raw, b"")), method="CONNECT")
        response.begin()
    response.close()
    if response.status != http.client.OK:
        raise OSError(f"the proxy answered {response.status} {response.reason}")


def _encrypted(raw: socket.socket, endpoint: Endpoint) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.sslsocket_class = TlsSocket
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
    """A block in which errors of sockets become ours."""
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


def _check_one_length(response: http.client.HTTPResponse) -> None:
    """Refuse an answer of two lengths: ``http.client`` would take the first, and the rest of the body for nothing."""
    lengths = {length.strip() for length in response.headers.get_all("Content-Length", [])}
    if len(lengths) > 1 and not response.chunked:
        raise http.client.HTTPException("it has more than one Content-Length")


class _Collector:
    """Collects the head of a request that ``http.client`` writes, in place of a socket."""

    def __init__(self) -> None:
        self.data = b""

    def sendall(self, data: bytes) -> None:
        self.data += data


class _Answering:
    """Gives ``http.client`` the bytes of a response, beginning with those that have been read already."""

    def __init__(self, opened: socket.socket, received: bytes) -> None:
        self._reader = io.BufferedReader(_Received(opened, received))

    def makefile(self, _mode: str) -> io.BufferedIOBase:
        return self._reader


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
