"""What is needed of a MongoDB server for a client to hold a cursor open, in a process of its own.

No MongoDB can be installed where these tests run. This is not one: it speaks the wire protocol (OP_MSG alone, which
is why the client must name an API version) and has one endless collection. The client and its cursors are the real
ones, and they are what the programs are about.
"""

from __future__ import annotations

import socketserver
import struct
import subprocess
import sys
import threading
from typing import Any

import bson
import pymongo
from pymongo.server_api import ServerApi

__all__ = ["connect_to_mongo_service"]

_HEADER = struct.Struct("<iiii")  # length, request, answer to which request, kind
_SECTION = struct.Struct("<iB")  # flags, kind of the section that follows
_OP_MSG = 2013
_CURSOR = 4711

_services: list[subprocess.Popen[str]] = []


def connect_to_mongo_service() -> pymongo.MongoClient[dict[str, Any]]:
    """Start a service and connect to it. Call it from ``prepare()``: what it leaves open was there before."""
    command = [sys.executable, "-m", "tests.leaks.corpus.mongo_service"]
    service = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    _services.append(service)
    assert service.stdout is not None
    port = int(service.stdout.readline())
    client: pymongo.MongoClient[dict[str, Any]]
    client = pymongo.MongoClient("127.0.0.1", port, directConnection=True, server_api=ServerApi("1"))
    client.admin.command("ping")
    return client


def _answer(command: dict[str, Any]) -> dict[str, Any]:
    """What a server says to ``command``; the collection has no end but that of a caller's batches."""
    verb = next(iter(command))
    if verb == "hello":
        limits = {"maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48 << 20, "maxWriteBatchSize": 100_000}
        return {"isWritablePrimary": True, "minWireVersion": 0, "maxWireVersion": 21, **limits}
    if verb in ("find", "getMore"):
        name = f"{command['$db']}.{command['find'] if verb == 'find' else command['collection']}"
        documents = [{"number": number} for number in range(command.get("limit") or 100)]
        batch = "firstBatch" if verb == "find" else "nextBatch"
        return {"cursor": {"id": 0 if "limit" in command else _CURSOR, "ns": name, batch: documents}}
    return {}


class _Connection(socketserver.StreamRequestHandler):
    """Answers one connection's requests."""

    def handle(self) -> None:
        """Until the client goes away."""
        while head := self.rfile.read(_HEADER.size):
            length, request, _, _ = _HEADER.unpack(head)
            command = bson.decode(self.rfile.read(length - _HEADER.size)[_SECTION.size :])
            body = _SECTION.pack(0, 0) + bson.encode({**_answer(command), "ok": 1.0})
            self.wfile.write(_HEADER.pack(_HEADER.size + len(body), 0, request, _OP_MSG) + body)


class _Service(socketserver.ThreadingTCPServer):
    daemon_threads = True


def _serve() -> None:
    server = _Service(("127.0.0.1", 0), _Connection)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()  # ends with the process at the other side of the pipe, however that ends


if __name__ == "__main__":
    _serve()
