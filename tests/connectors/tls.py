"""TLS in front of a plain server, with a certificate of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.connectors._tls_sockets import TlsSocket


def make_certificate(folder: Path, name: str = "IP:127.0.0.1") -> Path:
    """Make a self-signed certificate for ``name``; key and certificate are in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl program, which makes the certificate, is not installed")
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", f"subjectAltName={name}", "-addext", "basicConstraints=critical,CA:FALSE"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


def own_address() -> str:
    """An address of this machine that is not of its loopback: for all anybody can tell, another machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        with contextlib.suppress(OSError):
            unused.connect(("192.0.2.1", 9))  # sends nothing, but has the kernel choose
        address: str = unused.getsockname()[0]
    if address.startswith(("0.", "127.")):
        pytest.skip("this machine has no address besides its loopback")
    return address


@contextmanager
def in_front_of(port: int, certificate: Path) -> Iterator[int]:
    """Take TLS connections on the port this gives, and pass what is in them to ``port`` and back."""
    front = _Front(port, certificate)
    try:
        yield front.port
    finally:
        front.stop()


class _Front:
    def __init__(self, inner_port: int, certificate: Path) -> None:
        self._inner_port = inner_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._context.sslsocket_class = TlsSocket
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._opened: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        socket.socket.shutdown(self._listener, socket.SHUT_RDWR)
        self._threads[0].join()
        for opened in self._opened:
            _shut_down(opened)
        for thread in self._threads:
            thread.join()
        for opened in [self._listener, *self._opened]:
            opened.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                raw, _ = self._listener.accept()
                self._opened.append(raw)
                thread = threading.Thread(target=self._serve, args=(raw,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client did not trust us, or has gone
            outer = self._context.wrap_socket(raw, server_side=True)
            self._opened.append(outer)
            inner = socket.create_connection(("127.0.0.1", self._inner_port))
            self._opened.append(inner)
            back = threading.Thread(target=_pump, args=(inner, outer), daemon=True)
            back.start()
            _pump(outer, inner)
            back.join()


def _pump(giving: socket.socket, taking: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either end has gone; then the other goes, too
        while data := giving.recv(65536):
            taking.sendall(data)
    for end in (giving, taking):
        _shut_down(end)


def _shut_down(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has happened already
        socket.socket.shutdown(end, socket.SHUT_RDWR)
