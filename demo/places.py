"""Where the data goes: standard output, an HTTP endpoint, an object store. Each can say what arrived."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from demo.command import Ended
from tests.servers import Unavailable
from tests.servers.http import Ending, HttpServer
from tests.servers.s3 import S3Server, run_s3


@dataclass(frozen=True)
class Arrival:
    """What a place has received, by its own account."""

    size_bytes: int
    sha256: str
    facts: str = ""


class Place(Protocol):
    """A destination of copies."""

    def address(self, name: str) -> str:
        """Where a copy called ``name`` goes, as ``penstock cp`` is told."""

    def begin(self) -> None:
        """Count connections and requests from here on."""

    def arrival(self, name: str, ended: Ended) -> Arrival:
        """What came of the copy called ``name``, the only one since ``begin``."""


class StandardOutput:
    """The other end of the command's standard output, which is this process."""

    def address(self, name: str) -> str:
        return "-"

    def begin(self) -> None:
        pass

    def arrival(self, name: str, ended: Ended) -> Arrival:
        return Arrival(ended.stdout_bytes, ended.stdout_sha256)


class HttpEndpoint:
    """A server that knows how each body ended."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self._connections_before = 0

    def address(self, name: str) -> str:
        return f"{self.server.url}/{name}"

    def begin(self) -> None:
        self._connections_before = self.server.connections

    def arrival(self, name: str, ended: Ended) -> Arrival:
        [post] = [request for request in self.server.requests if request.path == f"/{name}"]
        assert (post.method, post.ending) == ("POST", Ending.COMPLETE), post
        assert post.headers["transfer-encoding"] == "chunked", post
        connections = self.server.connections - self._connections_before
        spent = "one connection" if connections == 1 else f"{connections} connections"
        return Arrival(post.body_bytes, post.sha256, f"one chunked POST, {spent}")


class ObjectStore:
    """A bucket at a store that speaks S3."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.server = server
        self.bucket = bucket
        self._before = server.statistics()

    def address(self, name: str) -> str:
        return f"s3://{self.bucket}/{name}.csv"

    def begin(self) -> None:
        self._before = self.server.statistics()

    def arrival(self, name: str, ended: Ended) -> Arrival:
        connections = self.server.statistics().connections - self._before.connections
        parts = ended.report["details"]["parts"]
        assert parts == self.requests("UploadPart") + self.requests("PutObject")  # what is small is one PUT
        facts = f"{parts} parts, {connections} connections"
        stored = self.server.read(self.bucket, f"{name}.csv")
        return Arrival(len(stored), hashlib.sha256(stored).hexdigest(), facts)

    def requests(self, operation: str) -> int:
        """How many requests of this kind came since ``begin``."""
        return self.server.statistics().requests.get(operation, 0) - self._before.requests.get(operation, 0)


@contextlib.contextmanager
def object_store() -> Iterator[ObjectStore | Unavailable]:
    """Run a private store; or say why it cannot be had on this machine, where that is no failure."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(run_s3())
        except Unavailable as reason:
            if os.environ.get("PENSTOCK_REQUIRE_SERVICES") == "1":
                raise
            yield reason
            return
        yield ObjectStore(server, server.create_bucket("demo"))
