"""TLS connections that end before or in the middle of the handshake leave no socket to the garbage collector."""

from __future__ import annotations

import gc
import select
import socket
import ssl
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.connectors._tls_sockets import TlsSocket
from penstock.errors import SinkError
from tests.connectors.parts import Cancellable, data_stream
from tests.connectors.stores import sink_in, use_only
from tests.connectors.tls import in_front_of, make_certificate
from tests.core.threads import wait_until
from tests.servers.proxy import Proxy, Trouble
from tests.servers.s3 import S3Server

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
#: Of what a server says in a handshake: nothing, half a head of a record, its first record, and into what is encrypted.
MOMENTS = [0, 3, 127, 600]


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was raised where nobody could catch it, such as the warning of a socket that was not closed."""
    seen: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: seen.append(repr(raised.exc_value)))
    return seen


def reset_by_peer() -> socket.socket:
    """A connection that its other side has reset, which the kernel knows already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.close()
    poll = select.poll()
    poll.register(server, select.POLLIN)
    assert poll.poll(20_000)[0][1] & select.POLLHUP
    return server


@contextmanager
def troubled_store(
    server: S3Server, trouble: Trouble, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> Iterator[Proxy]:
    """Have S3's clients reach the server over TLS, whose bytes meet a trouble on their way."""
    certificate = make_certificate(folder)
    with in_front_of(server.port, certificate) as port, Proxy(port, down=trouble) as proxy:
        use_only({**server.environment, "AWS_ENDPOINT_URL": f"https://127.0.0.1:{proxy.port}"}, monkeypatch)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        yield proxy


def test_a_connection_reset_before_the_handshake_is_closed(unraisable: list[str]) -> None:
    """By wrapping it, which fails with what has happened, and leaves nothing open."""
    context = ssl.create_default_context()
    context.sslsocket_class = TlsSocket
    with pytest.raises(ConnectionResetError):
        context.wrap_socket(reset_by_peer(), server_hostname="127.0.0.1", do_handshake_on_connect=False)
    gc.collect()
    assert unraisable == []


@pytest.mark.parametrize("after_bytes", MOMENTS)
def test_a_handshake_that_is_cut(
    s3_server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    unraisable: list[str],
    after_bytes: int,
) -> None:
    """It is an error, on both sides, and both close what they had."""
    monkeypatch.setattr("penstock.connectors.objects._s3_client._FIRST_DELAY_SECONDS", 0.001)
    with troubled_store(s3_server, Trouble("cut", after_bytes), monkeypatch, tmp_path) as proxy:
        with pytest.raises(SinkError):
            sink_in(bucket).check()
        assert proxy.troubled >= 1
    gc.collect()
    assert unraisable == []


@pytest.mark.parametrize("after_bytes", MOMENTS)
def test_a_cancel_while_the_handshake_is_held(
    s3_server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    unraisable: list[str],
    after_bytes: int,
) -> None:
    """At whatever byte: it is left, and both sides close what they had."""
    with troubled_store(s3_server, Trouble("stall", after_bytes), monkeypatch, tmp_path) as proxy:
        call = Cancellable(lambda: sink_in(bucket).store(data_stream(b"x")))
        wait_until(lambda: proxy.troubled)
        call.cancel()
    gc.collect()
    assert unraisable == []
