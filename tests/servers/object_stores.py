"""Object stores beside Swift, for the optional tier: MinIO, Azurite, fake-gcs-server. Each private, gone when its block ends.

``scripts/build-object-stores`` puts their programs into ``.venvs/object-stores/bin``; programs of these names on PATH do as
well. MinIO is a real S3 server. Azurite is Microsoft's emulator of Azure Blob Storage, and checks signatures.
fake-gcs-server emulates Google's JSON interface; of the XML interface that is used here it knows reading and listing,
not uploads: those are tested at Swift, through ``_google_door.py``.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import http.client
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from tests.servers import Unavailable
from tests.servers._process import end_process, free_port, is_listening, wait_until_ready
from tests.servers.s3 import S3Server

__all__ = ["Azurite", "FakeGcs", "run_azurite", "run_fake_gcs", "run_minio"]

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 30
# Azurite's one account; its key is printed in every manual.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def _program(name: str) -> str:
    built = ROOT / ".venvs" / "object-stores" / "bin" / name
    found = str(built) if built.exists() else shutil.which(name)
    if found is None:
        raise Unavailable(f"no {name}: `scripts/build-object-stores` builds it, where there are Go and npm")
    return found


@contextlib.contextmanager
def _running(command: list[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run a server in a folder of its own (``{home}`` in the command); give its process id once it listens."""
    with tempfile.TemporaryDirectory(prefix="objects-") as directory:
        home = Path(directory)
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [word.format(home=home) for word in command],
                env={**os.environ, **(environment or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends the tests; the tests end the server
            )
        try:
            wait_until_ready(process, lambda: is_listening(port), log=home / "log")
            yield process.pid
        finally:
            end_process(process)


@contextlib.contextmanager
def run_minio() -> Iterator[S3Server]:
    """Run a private MinIO. It takes no orders to fail.

    Raises:
        Unavailable: it is not installed.
    """
    port = free_port()
    keys = {"MINIO_ROOT_USER": "tester-tester", "MINIO_ROOT_PASSWORD": "testing-testing"}
    command = [_program("minio"), "server", "{home}/data", "--address", f"127.0.0.1:{port}", "--quiet"]
    with _running(command, port, keys) as pid:
        server = S3Server(port, pid, access_key=keys["MINIO_ROOT_USER"], secret_key=keys["MINIO_ROOT_PASSWORD"])
        server.wait_until_it_serves()
        yield server


# --- Azure --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Azurite:
    """A running emulator of Azure Blob Storage."""

    port: int
    pid: int
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which Azure's own clients find it."""
        endpoint = f"http://127.0.0.1:{self.port}/{AZURE_ACCOUNT}"
        parts = {"AccountName": AZURE_ACCOUNT, "AccountKey": AZURE_KEY, "BlobEndpoint": endpoint}
        pairs = ";".join(f"{name}={value}" for name, value in parts.items())
        return {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{pairs};"}

    def create_container(self) -> str:
        """Create a container under a name of its own; return that."""
        name = f"container-{next(self._numbers)}"
        self._call("PUT", f"/{name}", {"restype": "container"})
        return name

    def objects(self, container: str, *, uncommitted: bool = False) -> dict[str, int]:
        """Key and size of the objects; with ``uncommitted`` also of those that only have blocks so far."""
        query = {"restype": "container", "comp": "list"} | ({"include": "uncommittedblobs"} if uncommitted else {})
        listing = ElementTree.fromstring(self._call("GET", f"/{container}", query))
        return {
            blob.findtext("Name", ""): int(blob.findtext("Properties/Content-Length", "0"))
            for blob in listing.iterfind("Blobs/Blob")
        }

    def read(self, container: str, key: str) -> bytes:
        """The whole object, in memory."""
        return self._call("GET", f"/{container}/{quote(key)}", {})

    def _call(self, method: str, path: str, query: Mapping[str, str]) -> bytes:
        path = f"/{AZURE_ACCOUNT}{path}"
        headers = {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": "2023-11-03"}
        canonical = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        resource = f"/{AZURE_ACCOUNT}{path}" + "".join(f"\n{name}:{query[name]}" for name in sorted(query))
        to_sign = f"{method}{chr(10) * 12}{canonical}{resource}"
        signature = base64.b64encode(hmac.digest(base64.b64decode(AZURE_KEY), to_sign.encode(), "sha256")).decode()
        headers["authorization"] = f"SharedKey {AZURE_ACCOUNT}:{signature}"
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return _request(self.port, method, f"{path}?{words}", b"", headers)


@contextlib.contextmanager
def run_azurite() -> Iterator[Azurite]:
    """Run a private Azurite.

    Raises:
        Unavailable: it is not installed.
    """
    port = free_port()
    command = [_program("azurite-blob"), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", "{home}"]
    with _running([*command, "--silent", "--disableTelemetry", "--skipApiVersionCheck"], port) as pid:
        yield Azurite(port, pid)


# --- Google -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FakeGcs:
    """A running emulator of Google Cloud Storage."""

    port: int
    pid: int
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which Google's own clients find it."""
        return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{self.port}"}

    def create_bucket(self) -> str:
        """Create a bucket under a name of its own; return that."""
        name = f"bucket-{next(self._numbers)}"
        body = json.dumps({"name": name}).encode()
        _request(self.port, "POST", "/storage/v1/b?project=test", body, {"content-type": "application/json"})
        return name

    def write(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object."""
        target = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}"
        _request(self.port, "POST", target, data, {"content-type": "application/octet-stream"})


@contextlib.contextmanager
def run_fake_gcs() -> Iterator[FakeGcs]:
    """Run a private fake-gcs-server, which keeps everything in memory.

    Raises:
        Unavailable: it is not installed.
    """
    port = free_port()
    host = f"127.0.0.1:{port}"
    where = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", host]
    command = [_program("fake-gcs-server"), "-backend", "memory", *where, "-external-url", f"http://{host}"]
    with _running(command, port) as pid:
        yield FakeGcs(port, pid)


def _request(port: int, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        content = response.read()
    if response.status >= 300:
        raise RuntimeError(f"{method} {target}: {response.status} {content[:300]!r}")
    return content
