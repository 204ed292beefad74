"""A private S3 object store: OpenStack Swift with its S3 interface, in a process of its own.

Chosen because it refuses what S3 refuses (bad signatures, small parts, wrong checksums), lists open multipart
uploads, and stays at 65 MB however large the objects are. It needs ``make .venvs/swift`` once, and a file system
with user attributes for its data.

The helpers here talk to it through :mod:`tests.servers._sigv4`, so they share no code with the clients under test.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.servers import Unavailable
from tests.servers._process import POLL_SECONDS, end_process, wait_until_ready
from tests.servers._sigv4 import signed

__all__ = ["S3Error", "S3Server", "Statistics", "run_s3"]

ROOT = Path(__file__).resolve().parents[2]
SERVER_SCRIPT = Path(__file__).with_name("swift_server.py")
XML_NAMESPACE = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}
TIMEOUT_SECONDS = 30


class S3Error(RuntimeError):
    """The store answered with an error; ``status`` is HTTP's, the message ends with S3's code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Statistics:
    """What clients did since the server started, by S3's names of operations ("UploadPart", "GetObject", ...).

    ``connections`` are TCP connections accepted. What :class:`S3Server` itself asks is not in the books.
    """

    connections: int
    requests: Mapping[str, int]
    refused: Mapping[str, int]
    held: Mapping[str, int]


@dataclass(frozen=True)
class S3Server:
    """A running store. Addressing is path-style; the region is the one S3 starts with."""

    port: int
    pid: int
    access_key: str = "test:tester"
    secret_key: str = field(default="testing", repr=False)
    region: str = "us-east-1"
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)
    _rules: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def endpoint(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which every S3 client finds this store."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ALLOW_HTTP": "true",
        }

    @property
    def google_environment(self) -> dict[str, str]:
        """The variable by which clients of Google Cloud Storage find it, where there is a door for them (Swift)."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint}

    # --- what is in it ------------------------------------------------------------------------------------------

    def create_bucket(self, name: str | None = None) -> str:
        """Create a bucket, under a name of its own unless given one; return the name."""
        name = name or f"bucket-{next(self._numbers)}"
        self._call("PUT", f"/{name}")
        return name

    def wait_until_it_serves(self) -> None:
        """Block until it answers to signed requests; some listen before they do.

        Raises:
            S3Error: it has not within half a minute.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                self._call("GET", "/")
                return
            except S3Error:
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def objects(self, bucket: str) -> dict[str, int]:
        """Key and size of (the first thousand) objects."""
        listing = ElementTree.fromstring(self._call("GET", f"/{bucket}", {"list-type": "2"}))
        return {
            _text(entry, "Key"): int(_text(entry, "Size")) for entry in listing.iterfind("s3:Contents", XML_NAMESPACE)
        }

    def uploads(self, bucket: str, key: str = "") -> list[str]:
        """Keys of (the first thousand) multipart uploads neither completed nor aborted; of ``key`` only, if given.

        MinIO tells them only to who names the key.
        """
        query = {"uploads": "", **({"prefix": key} if key else {})}
        listing = ElementTree.fromstring(self._call("GET", f"/{bucket}", query))
        return [_text(entry, "Key") for entry in listing.iterfind("s3:Upload", XML_NAMESPACE)]

    def upload_ids(self, bucket: str) -> list[str]:
        """Ids of the same."""
        listing = ElementTree.fromstring(self._call("GET", f"/{bucket}", {"uploads": ""}))
        return [_text(entry, "UploadId") for entry in listing.iterfind("s3:Upload", XML_NAMESPACE)]

    def begin_upload(self, bucket: str, key: str) -> str:
        """Create a multipart upload, as somebody else might; return its id."""
        return _text(ElementTree.fromstring(self._call("POST", f"/{bucket}/{key}", {"uploads": ""})), "UploadId")

    def read(self, bucket: str, key: str) -> bytes:
        """The whole object, in memory."""
        return self._call("GET", f"/{bucket}/{key}")

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object in one request."""
        self._call("PUT", f"/{bucket}/{key}", body=data)

    # --- what goes wrong ----------------------------------------------------------------------------------------

    def refuse(self, operation: str, *, times: int = 1, status: int = 503, code: str = "SlowDown") -> None:
        """Answer the next ``times`` requests of this operation with an error, in addition to earlier orders."""
        self._order({"operation": operation, "times": times, "status": status, "code": code})

    def hold(self, operation: str, *, times: int = 1, is_whole: bool = False) -> None:
        """Not answer the next ``times`` requests of this operation until :meth:`heal`.

        Args:
            operation: what S3 calls it.
            times: how many.
            is_whole: read them, before they count as held; else not even that.
        """
        self._order({"operation": operation, "times": times, "status": 0, "code": "", "is_whole": is_whole})

    def lose(self, operation: str, *, times: int = 1) -> None:
        """Do what the next ``times`` requests of this operation ask, and break the connection instead of answering."""
        self._order({"operation": operation, "times": times, "status": -1, "code": ""})

    def heal(self) -> None:
        """Forget every order; let requests that are held go on."""
        self._rules.clear()
        self._control("POST", "/-/rules", [])

    def statistics(self) -> Statistics:
        """Counts since the start; compare two of them."""
        return Statistics(**self._control("GET", "/-/statistics"))

    def _order(self, rule: dict[str, Any]) -> None:
        self._rules.append(rule)
        self._control("POST", "/-/rules", self._rules)

    # --- requests -----------------------------------------------------------------------------------------------

    def _call(self, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
        target, headers = signed(
            method,
            f"127.0.0.1:{self.port}",
            path,
            query or {},
            body,
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
        )
        return self._request(method, target, body, headers)

    def _control(self, method: str, path: str, content: object = None) -> Any:
        return json.loads(self._request(method, path, json.dumps(content).encode(), {}))

    def _request(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, target, body, {**headers, "x-penstock-helper": "1"})
            response = connection.getresponse()
            content = response.read()
        if response.status >= 300:
            raise S3Error(
                f"{method} {target}: {response.status} {response.reason} {_error_code(content)}", response.status
            )
        return content


def _text(entry: ElementTree.Element, tag: str) -> str:
    return entry.findtext(f"s3:{tag}", default="", namespaces=XML_NAMESPACE)


def _error_code(content: bytes) -> str:
    with contextlib.suppress(ElementTree.ParseError):
        return ElementTree.fromstring(content).findtext("Code", default="")
    return ""


@contextlib.contextmanager
def run_s3() -> Iterator[S3Server]:
    """Run a private store; its data goes when the block ends.

    Raises:
        Unavailable: Swift is not installed, no file system here has user attributes, or it would not start.
    """
    python = _swift_python()
    with tempfile.TemporaryDirectory(prefix="s3-", dir=_place_with_attributes()) as directory:
        home = Path(directory)
        process = _start(python, home)
        try:
            wait_until_ready(process, (home / "port").exists, log=home / "log")
            yield S3Server(port=int((home / "port").read_text()), pid=process.pid)
        finally:
            if process.stdin:
                process.stdin.close()  # the server ends with its input
            end_process(process)


def _start(python: Path, home: Path) -> subprocess.Popen[bytes]:
    with (home / "log").open("wb") as log:
        return subprocess.Popen(
            [
                python,
                "-I",
                "-W",
                "ignore",
                SERVER_SCRIPT,
                home,
            ],  # -I: modules beside the script must not shadow others,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C ends the tests; the tests end the server
        )


def _swift_python() -> Path:
    chosen = os.environ.get("PENSTOCK_SWIFT_PYTHON")
    python = Path(chosen) if chosen else ROOT / ".venvs" / "swift" / "bin" / "python"
    if not python.exists():
        raise Unavailable(f"no S3 server: {python} does not exist; `make .venvs/swift` installs it")
    return python


@functools.cache
def _place_with_attributes() -> str:
    """A folder for the data: Swift keeps each object's metadata in user attributes of its file."""
    for place in (tempfile.gettempdir(), "/var/tmp", "/dev/shm", str(ROOT)):
        with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=place) as probe:
            os.setxattr(probe.name, "user.penstock.probe", b"1")
            return place
    raise Unavailable("no S3 server: no temporary folder here is on a file system with user attributes")
