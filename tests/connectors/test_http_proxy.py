"""Through the proxy of the environment, or past it."""

from __future__ import annotations

import base64
import socket
import traceback
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError, SinkError, SourceError
from tests.connectors.parts import SECRET, Cancellable, data_stream, read_bytes, sink_of, source_of
from tests.connectors.proxies import tunnelling
from tests.connectors.tls import in_front_of, make_certificate
from tests.servers.http import Ending, HttpServer, Reply

DATA = b"a\n1\n"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test says which there is."""
    for name in (*NAMES, "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for a host that no resolver knows."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:server.invalid")


def basic(user: str, password: str) -> str:
    """Basic authorization."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_plain_request_goes_to_the_proxy(
    http_server: HttpServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """With the whole address; the proxy has its own user and password, and the server its own."""
    monkeypatch.setenv(variable, http_server.url.replace("//", f"//anna:{SECRET}@"))
    http_server.reply("*", Reply(body=DATA))
    assert read_bytes(source_of("http://bob:pw@server.invalid:81/x.csv?q=1")) == DATA
    sink_of("http://server.invalid/in").store(data_stream(DATA))
    read, written = http_server.finished(2)
    assert read.target == "http://server.invalid:81/x.csv?q=1"
    assert read.headers["host"] == "server.invalid:81"
    assert read.headers["authorization"] == basic("bob", "pw")
    assert read.headers["proxy-authorization"] == basic("anna", SECRET)
    assert (written.target, written.body, written.ending) == ("http://server.invalid/in", DATA, Ending.COMPLETE)


def test_tls_goes_through_a_tunnel(http_server: HttpServer, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From end to end: the proxy learns host and port, and its own password; the certificate is the server's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    http_server.reply("*", Reply(body=DATA))
    with in_front_of(http_server.port, certificate) as port, tunnelling(port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"anna:{SECRET}@127.0.0.1:{proxy.port}")
        assert read_bytes(source_of("https://bob:pw@server.invalid/x.csv")) == DATA
        with pytest.raises(SourceError, match="TLS: Hostname mismatch"):
            read_bytes(source_of("https://other.invalid/x.csv"))
    assert proxy.heads[0] == (
        "CONNECT server.invalid:443 HTTP/1.1\r\nHost: server.invalid:443\r\n"
        f"Proxy-Authorization: {basic('anna', SECRET)}\r\n\r\n"
    )
    (request,) = http_server.requests
    assert request.target == "/x.csv"
    assert "proxy-authorization" not in request.headers


def test_a_proxy_that_refuses_is_an_error(http_server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names both, and no password."""
    with tunnelling(http_server.port, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://anna:{SECRET}@127.0.0.1:{proxy.port}")
        with pytest.raises(SinkError) as caught:
            sink_of("https://server.invalid/in").check()
    assert str(caught.value) == (
        f"https://server.invalid/in by the proxy http://***@127.0.0.1:{proxy.port}: "
        "the proxy answered 407 Proxy Authentication Required"
    )
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_proxy_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the proxy's port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(SourceError, match=rf"by the proxy http://127\.0\.0\.1:{port}: connection refused"):
            read_bytes(source_of("http://server.invalid/x.csv"))


def test_a_cancel_ends_the_wait_for_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        call = Cancellable(lambda: sink_of("https://server.invalid/").check())
        connection, _ = listener.accept()
        with connection:
            call.wait_still()
            assert call.cancel() < 0.5


@pytest.mark.parametrize("no_proxy_for", ["server.invalid", ".invalid", "*", "other,server.invalid:80"])
def test_some_are_reached_directly(monkeypatch: pytest.MonkeyPatch, no_proxy_for: str) -> None:
    """Those that NO_PROXY names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", no_proxy_for)
    with pytest.raises(SourceError, match=r"unknown host 'server\.invalid'"):
        read_bytes(source_of("http://server.invalid/x.csv"))


def test_this_machine_is_reached_directly(http_server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy elsewhere would reach its own."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    http_server.reply("*", Reply(body=DATA))
    assert read_bytes(source_of(f"{http_server.url}/x.csv")) == DATA
    assert read_bytes(source_of(f"http://localhost:{http_server.port}/x.csv")) == DATA


@pytest.mark.parametrize("address", ["socks5://anna:pw@proxy:1080", "https://proxy", "http://", "http://proxy:port"])
def test_other_proxies_are_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Clearly, and not by going past them."""
    monkeypatch.setenv("HTTP_PROXY", address)
    with pytest.raises(ConfigurationError, match="only http:// proxies are supported") as caught:
        read_bytes(source_of("http://server.invalid/x.csv"))
    assert "pw" not in str(caught.value)
