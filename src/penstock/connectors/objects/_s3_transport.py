"""Send botocore's requests so that a cancel interrupts them, wherever they wait.

botocore builds and signs requests and parses responses. Its ``before-send`` event allows others to do the sending, as this
module does: with urllib3, like botocore itself, but over connections that another thread can cut. Only looking up a host's
name cannot be interrupted; the system's resolver limits that.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import ssl
import threading
from types import TracebackType
from typing import Any, final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from penstock._extras import need
from penstock.connectors._tls_sockets import TlsSocket
from penstock.core.cancel import on_cancel

__all__ = ["Transport"]

_BLOCK_BYTES = 1 << 17  # urllib3's own 16 KiB cost a turn of the interpreter each; more only leaves holes in the heap


@final
class Transport:
    """The connections of one client. Leaving the ``with`` block closes them.

    Args:
        connections: how many are kept open for reuse.
        connect_seconds: how long a connection may take to be made.
        read_seconds: how long the store may be silent, or take nothing.
        ca_bundle: a file of trusted authorities; None for those of the system.
    """

    def __init__(
        self, *, connections: int, connect_seconds: float, read_seconds: float, ca_bundle: str | None = None
    ) -> None:
        self._options = {
            "maxsize": connections,
            "timeout": _urllib3().Timeout(connect=connect_seconds, read=read_seconds),
            "blocksize": _BLOCK_BYTES,
            "cert_reqs": "CERT_REQUIRED",
            "ca_certs": ca_bundle,
        }
        self._ca_bundle = ca_bundle
        self._managers: dict[str | None, Any] = {}
        self._mutex = threading.Lock()

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for manager in self._managers.values():
            # clear() alone leaves them to the garbage collector, which the traceback of a failure keeps off.
            for key in manager.pools.keys():  # noqa: SIM118 - not iterable
                manager.pools[key].close()
            manager.clear()

    def send(self, request: Any, **_event: object) -> Any:
        """Send one ``botocore.awsrequest.AWSPreparedRequest``; a handler of ``before-send``.

        Blocks until the whole answer has come.

        Raises:
            Cancelled: the surrounding scope was cancelled; the connection has been cut.
            urllib3.exceptions.HTTPError, OSError: the exchange failed.
        """
        line = _Line()
        headers = {name: _text(value) for name, value in request.headers.items() if name.lower() != "expect"}
        with contextlib.closing(line), on_cancel(line.cut), _using(line):
            response = self._manager(request.url).urlopen(
                request.method,
                request.url,
                body=request.body,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
                chunked=headers.get("Transfer-Encoding") == "chunked",
            )
            answer = need("botocore.awsrequest", extra="s3", why="write to S3").AWSResponse(
                request.url, response.status, response.headers, response
            )
            _ = answer.content  # read now, while a cancel can still interrupt it
        return answer

    def _manager(self, url: str) -> Any:
        proxy = _proxy_for(url)
        with self._mutex:
            if proxy not in self._managers:
                context = self._tls_context() if url.startswith("https:") else None
                self._managers[proxy] = self._new_manager(proxy, context)
            return self._managers[proxy]

    def _tls_context(self) -> ssl.SSLContext:
        """The TLS context that urllib3 would make for each connection, made once, and with a socket class of our own."""
        utilities = need("urllib3.util.ssl_", extra="s3", why="write to S3")
        context: ssl.SSLContext = utilities.create_urllib3_context()
        context.sslsocket_class = TlsSocket
        if self._ca_bundle is None:  # urllib3 loads one that is given by itself, and says when it cannot
            context.load_default_certs()
        return context

    def _new_manager(self, proxy: str | None, context: ssl.SSLContext | None) -> Any:
        if proxy is None:
            manager = _urllib3().PoolManager(ssl_context=context, **self._options)
        else:
            parts = urlsplit(proxy)
            login = None if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = _urllib3().make_headers(proxy_basic_auth=login)
            manager = _urllib3().ProxyManager(proxy, proxy_headers=headers, ssl_context=context, **self._options)
        manager.pool_classes_by_scheme = _pool_classes()
        return manager


def _urllib3() -> Any:
    return need("urllib3", extra="s3", why="write to S3")


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _proxy_for(url: str) -> str | None:
    """Return the proxy that ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY`` name for ``url``."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.hostname or ""):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


# --- connections that can be cut ----------------------------------------------------------------------------------


@final
class _Line:
    """The connection that one request goes over, as another thread sees it.

    It holds a descriptor of its own for it: TLS takes the socket over while it shakes hands, and a number alone might
    have become somebody else's by the time it is used.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._twin: socket.socket | None = None
        self._is_cut = False

    def lead_over(self, opened: socket.socket) -> None:
        """Note the connection in use, instead of an earlier one; cut it at once if that was asked for already."""
        twin = socket.socket(fileno=os.dup(opened.fileno()))
        with self._mutex:
            earlier, self._twin = self._twin, twin
            is_cut = self._is_cut
        if earlier is not None:
            earlier.close()
        if is_cut:
            _shut_down(twin)

    def cut(self) -> None:
        """Make whatever waits on the connection fail. May be called from any thread."""
        with self._mutex:
            self._is_cut = True
            if self._twin is not None:
                _shut_down(self._twin)

    def close(self) -> None:
        with self._mutex:
            if self._twin is not None:
                self._twin.close()
            self._twin = None


def _shut_down(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):  # not connected yet, or no longer
        opened.shutdown(socket.SHUT_RDWR)


_current = threading.local()


@contextlib.contextmanager
def _using(line: _Line) -> Any:
    _current.line = line
    try:
        yield
    finally:
        _current.line = None


class _Cuttable:
    """Mixed into urllib3's connections: tells the line of the request in progress which socket it goes over."""

    host: str
    port: int
    sock: Any
    timeout: Any
    socket_options: Any
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        last: OSError | None = None
        for family, kind, protocol, _name, address in socket.getaddrinfo(
            self._dns_host, self.port, type=socket.SOCK_STREAM
        ):
            opened = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    opened.setsockopt(*option)
                opened.settimeout(self.timeout)
                _current.line.lead_over(opened)
                opened.connect(address)
            except OSError as exc:
                opened.close()
                last = exc
            except BaseException:
                opened.close()
                raise
            else:
                return opened
        raise last or OSError("the name has no address")

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is not None:
            _current.line.lead_over(self.sock)
        super().request(*args, **options)  # type: ignore[misc]  # that of the urllib3 class it is mixed into


@functools.cache
def _pool_classes() -> dict[str, Any]:
    """Return urllib3's pools, with connections that can be cut."""
    connections = need("urllib3.connection", extra="s3", why="write to S3")
    pools = need("urllib3.connectionpool", extra="s3", why="write to S3")
    made = {}
    for scheme, pool, connection in (
        ("http", pools.HTTPConnectionPool, connections.HTTPConnection),
        ("https", pools.HTTPSConnectionPool, connections.HTTPSConnection),
    ):
        cuttable = type(f"Cuttable{connection.__name__}", (_Cuttable, connection), {})
        made[scheme] = type(f"Cuttable{pool.__name__}", (pool,), {"ConnectionCls": cuttable})
    return made
