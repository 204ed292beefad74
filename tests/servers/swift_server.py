"""OpenStack Swift behind its S3 interface, all four of its servers in this one process. Run by ``s3.py``.

    python swift_server.py DIRECTORY

``DIRECTORY`` becomes its whole world: configuration, rings, objects. Once it accepts connections it writes its port
to ``DIRECTORY/port``. It ends when its standard input does, so it never outlives whoever started it.

Runs in a virtual environment of its own with ``swift`` in it: eventlet replaces half the standard library.
In front of Swift stands :class:`Gate`, which counts what comes in and refuses or holds what it was told to; between them
:class:`GoogleDoor`, through which clients of Google Cloud Storage come in.
"""

import eventlet

eventlet.monkey_patch()

# ruff: noqa: E402  nothing that opens a socket may be imported before the patch
import collections
import io
import json
import logging
import os
import pwd
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import parse_qs

from eventlet import event, hubs, wsgi
from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.wsgi import SwiftHttpProtocol, loadapp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # as a script this is in no package
from tests.servers._google_door import GoogleDoor

STORAGE = ("object", "container", "account")
CONCURRENT_REQUESTS = 256
LISTEN_BACKLOG = 512

SHARED = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = 0
swift_dir = {etc}
user = {user}
log_level = ERROR
"""

STORAGE_CONFIGURATION = """\
devices = {node}
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = {server}-server
[app:{server}-server]
use = egg:swift#{server}
mb_per_sync = 0
network_chunk_size = 1048576
disk_chunk_size = 1048576
"""

PROXY_CONFIGURATION = """\
[pipeline:main]
pipeline = catch_errors gatekeeper s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
object_chunk_size = 1048576
client_chunk_size = 1048576
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
check_bucket_owner = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
# Else the parts of what is deleted stay until a daemon that does not run here comes for them.
allow_async_delete = false
[filter:dlo]
use = egg:swift#dlo
"""

Environment = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Environment, StartResponse], Iterable[bytes]]


def operation_of(environment: Environment) -> str:
    """What S3 calls this request: "UploadPart", "CompleteMultipartUpload", "PutObject", ..."""
    method: str = environment["REQUEST_METHOD"]
    query = parse_qs(environment.get("QUERY_STRING", ""), keep_blank_values=True)
    of_object = "/" in environment["PATH_INFO"].strip("/")
    if "uploadId" in query:
        in_upload = {"POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload", "GET": "ListParts"}
        return in_upload.get(method, "UploadPart")
    if "uploads" in query:
        return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
    return f"{method.capitalize()}{'Object' if of_object else 'Bucket'}"


def is_from_helper(environment: Environment) -> bool:
    return "HTTP_X_PENSTOCK_HELPER" in environment


class Gate:
    """Counts every request, and refuses or holds the next ones of an operation when told to over ``/-/``.

    ``POST /-/rules`` takes a list of ``{"operation", "times", "status", "code", "is_whole"}`` in place of the rules so
    far; a rule without ``status`` holds its requests until the rules are replaced, then lets them through, and reads
    their bodies before or after that (``is_whole``); one with a negative ``status`` has them carried out, and breaks the
    connection instead of answering.
    ``GET /-/statistics`` answers with the counts. No bucket can be called ``-``. Requests of the helper in ``s3.py`` carry
    a header of their own: they pass uncounted, and so do their connections.
    """

    def __init__(self, application: Application) -> None:
        self.application = application
        self.connections = 0
        self.requests: collections.Counter[str] = collections.Counter()
        self.refused: collections.Counter[str] = collections.Counter()
        self.held: collections.Counter[str] = collections.Counter()
        self.rules: list[dict[str, Any]] = []
        self.released = event.Event()

    def __call__(self, environment: Environment, start: StartResponse) -> Iterable[bytes]:
        path = environment["PATH_INFO"]
        if path == "/-/statistics":
            return self._answer(start, "200 OK", self.statistics())
        if path == "/-/rules":
            self._replace_rules(json.loads(environment["wsgi.input"].read()))
            return self._answer(start, "200 OK", self.statistics())
        if is_from_helper(environment):
            return self.application(environment, start)
        operation = operation_of(environment)
        self.requests[operation] += 1
        rule = self._take_rule(operation)
        if rule and rule["status"] < 0:
            return self._lose(environment)
        if rule and rule["status"]:
            return self._refuse(environment, start, operation, rule)
        if rule:
            self._hold(environment, operation, rule)
        return self.application(environment, start)

    def statistics(self) -> dict[str, Any]:
        """Everything counted since the start."""
        return {
            "connections": self.connections,
            "requests": dict(self.requests),
            "refused": dict(self.refused),
            "held": dict(self.held),
        }

    def _replace_rules(self, rules: list[dict[str, Any]]) -> None:
        self.rules = rules
        self.released.send(None)
        self.released = event.Event()

    def _take_rule(self, operation: str) -> dict[str, Any] | None:
        for rule in self.rules:
            if rule["operation"] == operation and rule["times"] > 0:
                rule["times"] -= 1
                return rule
        return None

    def _lose(self, environment: Environment) -> Iterable[bytes]:
        """Do it, and tell nobody."""
        for _ in self.application(environment, lambda *_: None):
            pass
        environment["penstock.connection"].shutdown(SHUT_RDWR)
        raise ConnectionResetError("told to lose the answer")

    def _hold(self, environment: Environment, operation: str, rule: dict[str, Any]) -> None:
        if rule["is_whole"]:
            environment["wsgi.input"] = io.BytesIO(environment["wsgi.input"].read())
        self.held[operation] += 1
        self.released.wait()

    def _refuse(
        self, environment: Environment, start: StartResponse, operation: str, rule: dict[str, Any]
    ) -> Iterable[bytes]:
        self.refused[operation] += 1
        while environment["wsgi.input"].read(1 << 20):
            pass  # answered after the body, as S3 does, so that the connection can be used again
        body = f"<?xml version='1.0'?><Error><Code>{rule['code']}</Code><Message>told to</Message></Error>".encode()
        start(f"{rule['status']} {rule['code']}", _headers("application/xml", body))
        return [body]

    @staticmethod
    def _answer(start: StartResponse, status: str, content: object) -> Iterable[bytes]:
        body = json.dumps(content).encode()
        start(status, _headers("application/json", body))
        return [body]


def _headers(content_type: str, body: bytes) -> list[tuple[str, str]]:
    return [("Content-Type", content_type), ("Content-Length", str(len(body)))]


def main(directory: Path) -> None:
    etc, node = directory / "etc", directory / "node"
    etc.mkdir()
    (node / "d1").mkdir(parents=True)
    sockets = {server: eventlet.listen(("127.0.0.1", 0), backlog=LISTEN_BACKLOG) for server in STORAGE}
    write_configuration(etc, node)
    write_rings(etc, {server: socket.getsockname()[1] for server, socket in sockets.items()})
    utils.set_swift_dir(str(etc))
    utils.validate_configuration()
    for server, socket in sockets.items():
        serve(socket, load(etc, server), SwiftHttpProtocol)
    gate = Gate(GoogleDoor(load(etc, "proxy")))
    front = eventlet.listen(("127.0.0.1", 0), backlog=LISTEN_BACKLOG)
    serve(front, gate, counting_protocol(gate))
    announce(directory / "port", front.getsockname()[1])
    wait_for_end_of_input()


def write_configuration(etc: Path, node: Path) -> None:
    shared = SHARED.format(etc=etc, user=pwd.getpwuid(os.geteuid()).pw_name)
    (etc / "swift.conf").write_text("[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n")
    (etc / "proxy.conf").write_text(shared + PROXY_CONFIGURATION)
    for server in STORAGE:
        (etc / f"{server}.conf").write_text(shared + STORAGE_CONFIGURATION.format(node=node, server=server))


def write_rings(etc: Path, ports: dict[str, int]) -> None:
    """Tell Swift where its storage is: one replica on one device."""
    for server, port in ports.items():
        where = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
        builder = RingBuilder(part_power=2, replicas=1, min_part_hours=0)
        builder.add_dev({"region": 1, "zone": 1, "device": "d1", "weight": 1, "meta": "", **where})
        builder.rebalance()
        builder.get_ring().save(str(etc / f"{server}.ring.gz"))


def load(etc: Path, server: str) -> Application:
    application: Application = loadapp(str(etc / f"{server}.conf"), global_conf={"log_name": server})
    return application


def serve(socket: Any, application: Application, protocol: type) -> None:
    eventlet.spawn(
        wsgi.server,
        socket,
        application,
        logging.getLogger("wsgi"),
        protocol=protocol,
        log_output=False,
        custom_pool=eventlet.GreenPool(CONCURRENT_REQUESTS),
        capitalize_response_headers=False,
    )


def counting_protocol(gate: Gate) -> type:
    """The HTTP protocol, made once per connection; so that is what it counts, but for the helper's own."""

    class CountingProtocol(SwiftHttpProtocol):  # type: ignore[misc]  # Swift has no types
        counted = False

        def setup(self) -> None:
            super().setup()
            gate.connections += 1
            self.counted = True

        def get_environ(self) -> Environment:
            environment: Environment = super().get_environ()
            environment["penstock.connection"] = self.connection
            if self.counted and is_from_helper(environment):
                gate.connections -= 1
                self.counted = False
            return environment

    return CountingProtocol


def announce(file: Path, port: int) -> None:
    """Publish the port in one step: whoever sees the file sees all of it."""
    unfinished = file.with_suffix(".new")
    unfinished.write_text(str(port))
    unfinished.rename(file)


def wait_for_end_of_input() -> None:
    while True:
        hubs.trampoline(0, read=True)
        if not os.read(0, 1024):
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
    os._exit(0)  # green threads still serve; there is nothing to save
