"""A double of MongoDB, as far as a reader of it can see: cursors, sessions, capped collections, faults. NOT MongoDB.

Run by :mod:`tests.servers.mongo_double`. Written from the public protocol (OP_MSG, and OP_QUERY for the first hello) and
the manual, never compared with a mongod, so whatever is tested with it can be run on a real one instead
(``PENSTOCK_MONGO_URI``). It is for what FerretDB has not:

- sessions that end, with their cursors, when they are not refreshed. Its clock stands still: ``advanceClock`` moves it;
- tailable cursors that wait, die on an empty collection, and lose their place when they are too slow;
- ``serverStatus.metrics.cursor``, and which commands run now;
- ``configureFailPoint`` with ``failCommand``: errors, cut connections, commands that block. As in a mongod, a command
  ends when its client goes away;
- collections of any size that cost no memory: ``fill``.

It answers to no filter, sort or projection, and says so: what it does not know is an error, never passed over.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import bson
from bson import Int64

from tests.servers._mongo_state import Collection, Cursor, FailPoint, HangUp, Refused, reply
from tests.servers._mongo_wire import Document, Raw, messages, packed, parsed

FIRST_BATCH = 101
SESSION_SECONDS = 30 * 60.0
CURSOR_SECONDS = 10 * 60.0
EVERYWHERE = {"$db", "lsid", "$readPreference", "$clusterTime", "comment"}


class Server:
    """State, and one method for each command."""

    def __init__(self) -> None:
        self.databases: dict[str, dict[str, Collection]] = {}
        self.cursors: dict[int, Cursor] = {}
        self.sessions: dict[Raw, float] = {}
        self.running: dict[asyncio.Task[Any], tuple[str, Raw | None]] = {}
        self.counts: dict[str, int] = {}
        self.fail_point: FailPoint | None = None
        self.clock = 0.0
        self.opened_cursors = self.timed_out_cursors = self.connections = 0
        self.grown = asyncio.Condition()
        self.cursor_numbers = itertools.count(1_000_001)

    async def answer(self, command: Document) -> Raw:
        """Run one command."""
        name = next(iter(command))
        self.counts[name] = self.counts.get(name, 0) + 1
        method = getattr(self, f"on_{name.lower()}", None)
        session = bytes(command["lsid"]["id"]) if "lsid" in command else None
        if session is not None:
            self.sessions[session] = self.clock
        try:
            async with self._noted(name, session):
                await self._fail(name)
                if method is None:
                    raise Refused(59, "CommandNotFound", f"no such command: '{name}'")
                given = await method(command)
        except Refused as exc:
            given = exc.answer
        return given if isinstance(given, bytes) else bson.encode({**given, **({} if "ok" in given else {"ok": 1.0})})

    @asynccontextmanager
    async def _noted(self, name: str, session: Raw | None) -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self.running[task] = (name, session)
        try:
            yield
        finally:
            del self.running[task]

    async def _fail(self, name: str) -> None:
        point = self.fail_point
        if point is None or not point.strikes(name):
            return
        if point.data.get("blockConnection"):
            await asyncio.sleep(point.data["blockTimeMS"] / 1000)
        if point.data.get("closeConnection"):
            raise HangUp
        if "errorCode" in point.data:
            raise Refused(point.data["errorCode"], "FailPoint", f"Failing command via 'failCommand' failpoint: {name}")

    # --- what connections begin and end with ----------------------------------------------------------------------

    async def on_hello(self, command: Document) -> Document:
        limits = {"maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000}
        sessions = {"logicalSessionTimeoutMinutes": int(SESSION_SECONDS // 60)}
        versions = {"minWireVersion": 0, "maxWireVersion": 21}
        return {
            "helloOk": True,
            "isWritablePrimary": True,
            "ismaster": True,
            "readOnly": False,
            **limits,
            **sessions,
            **versions,
        }

    on_ismaster = on_hello

    async def on_ping(self, command: Document) -> Document:
        return {}

    async def on_endsessions(self, command: Document) -> Document:
        for session in command["endSessions"]:
            self._end(bytes(session["id"]))
        return {}

    async def on_refreshsessions(self, command: Document) -> Document:
        for session in command["refreshSessions"]:
            self.sessions[bytes(session["id"])] = self.clock
        return {}

    async def on_killsessions(self, command: Document) -> Document:
        for session in command["killSessions"]:
            killed = bytes(session["id"])
            for task, (name, owner) in list(self.running.items()):
                if owner == killed and name != "killSessions":
                    task.cancel()
            self._end(killed)
        return {}

    def _end(self, session: Raw) -> None:
        self.sessions.pop(session, None)
        for cursor in [cursor for cursor in self.cursors.values() if cursor.session == session]:
            del self.cursors[cursor.number]

    # --- collections --------------------------------------------------------------------------------------------

    def _collection(self, command: Document) -> Collection:
        name = command[next(iter(command))]
        return self.databases.setdefault(command["$db"], {}).setdefault(name, Collection())

    async def on_insert(self, command: Document) -> Document:
        only(command, "insert", {"documents", "ordered"})
        collection = self._collection(command)
        for document in command["documents"]:
            collection.add(document)
        async with self.grown:
            self.grown.notify_all()
        return {"n": len(command["documents"])}

    async def on_create(self, command: Document) -> Document:
        only(command, "create", {"capped", "size", "max"})
        self._collection(command).capped_at = command.get("max", sys.maxsize) if command.get("capped") else None
        return {}

    async def on_drop(self, command: Document) -> Document:
        namespace = f"{command['$db']}.{command['drop']}"
        self.databases.get(command["$db"], {}).pop(command["drop"], None)
        for cursor in [cursor for cursor in self.cursors.values() if cursor.namespace == namespace]:
            del self.cursors[cursor.number]
        async with self.grown:
            self.grown.notify_all()
        return {}

    async def on_fill(self, command: Document) -> Document:
        """Of this double alone: a collection of ``count`` copies of a document (None: no end), with their numbers as _id."""
        count, document = command["count"], command["document"]

        def generated() -> Iterator[Raw]:
            numbers = itertools.count() if count is None else range(count)
            return (bson.encode({"_id": number, **document}) for number in numbers)

        self._collection(command).generated = generated
        return {}

    async def on_listcollections(self, command: Document) -> Document:
        names = self.databases.get(command["$db"], {})
        entries = [{"name": name, "type": "collection"} for name in names]
        return {"cursor": {"id": Int64(0), "ns": f"{command['$db']}.$cmd.listCollections", "firstBatch": entries}}

    async def on_collstats(self, command: Document) -> Document:
        collection = self._collection(command)
        if collection.generated is not None:
            size = len(next(collection.generated(), b""))
            return {"avgObjSize": size, "count": 0, "size": 0}
        size, count = sum(map(len, collection.documents)), len(collection.documents)
        return {"count": count, "size": size, **({"avgObjSize": size // count} if count else {})}

    # --- cursors ------------------------------------------------------------------------------------------------

    async def on_find(self, command: Document) -> Raw:
        only(
            command,
            "find",
            {"filter", "batchSize", "limit", "skip", "singleBatch", "noCursorTimeout", "tailable", "awaitData"},
        )
        if command.get("filter"):
            raise Refused(238, "NotImplemented", "this double of MongoDB knows no filters")
        collection = self._collection(command)
        if command.get("tailable") and collection.capped_at is None:
            raise Refused(2, "BadValue", "error processing query: tailable cursor requested on non capped collection")
        cursor = self._cursor(command, collection)
        documents, is_all = cursor.take(command.get("batchSize", FIRST_BATCH))
        if (
            command.get("singleBatch")
            or (is_all and not cursor.is_tailable)
            or (cursor.is_tailable and not cursor.position)
        ):
            cursor.number = 0
        else:
            self.cursors[cursor.number] = cursor
        return reply(cursor, "firstBatch", documents)

    def _cursor(self, command: Document, collection: Collection) -> Cursor:
        self.opened_cursors += 1
        return Cursor(
            number=next(self.cursor_numbers),
            namespace=f"{command['$db']}.{command['find']}",
            collection=collection,
            session=bytes(command["lsid"]["id"]) if "lsid" in command else None,
            without_timeout=bool(command.get("noCursorTimeout")),
            is_tailable=bool(command.get("tailable")),
            waits=bool(command.get("awaitData")),
            left=command.get("limit") or None,
            used_at=self.clock,
            position=collection.dropped + command.get("skip", 0),
            generated=collection.generated() if collection.generated else None,
        )

    async def on_getmore(self, command: Document) -> Raw:
        only(command, "getMore", {"collection", "batchSize", "maxTimeMS"})
        cursor = self._known(command["getMore"])
        cursor.is_pinned = True
        try:
            documents, is_all = cursor.take(command.get("batchSize") or None)
            if cursor.is_tailable and cursor.waits and not documents:
                documents = await self._grown(cursor, command)
        finally:
            cursor.is_pinned = False
            cursor.used_at = self.clock
        if is_all and not cursor.is_tailable:
            del self.cursors[cursor.number]
            cursor.number = 0
        return reply(cursor, "nextBatch", documents)

    def _known(self, number: int) -> Cursor:
        if number not in self.cursors:
            raise Refused(43, "CursorNotFound", f"cursor id {number} not found")
        return self.cursors[number]

    async def _grown(self, cursor: Cursor, command: Document) -> list[Raw]:
        documents: list[Raw] = []
        try:
            async with asyncio.timeout(command.get("maxTimeMS", 1000) / 1000), self.grown:
                while not documents:
                    await self.grown.wait()
                    self._known(cursor.number)
                    documents, _is_all = cursor.take(command.get("batchSize") or None)
        except TimeoutError:
            pass
        return documents

    async def on_killcursors(self, command: Document) -> Document:
        killed = [number for number in command["cursors"] if self.cursors.pop(number, None) is not None]
        return {"cursorsKilled": killed, "cursorsNotFound": [], "cursorsAlive": [], "cursorsUnknown": []}

    # --- looking, and making trouble ----------------------------------------------------------------------------

    async def on_serverstatus(self, command: Document) -> Document:
        without_timeout = sum(cursor.without_timeout for cursor in self.cursors.values())
        pinned = sum(cursor.is_pinned for cursor in self.cursors.values())
        counts = {"noTimeout": Int64(without_timeout), "pinned": Int64(pinned), "total": Int64(len(self.cursors))}
        cursors = {"timedOut": Int64(self.timed_out_cursors), "totalOpened": Int64(self.opened_cursors), "open": counts}
        return {
            "process": "mongo_double",
            "connections": {"current": self.connections},
            "metrics": {"cursor": cursors, "commands": {name: {"total": n} for name, n in self.counts.items()}},
            "running": [name for name, _session in self.running.values() if name not in {"serverStatus", "hello"}],
            "sessions": len(self.sessions),
        }

    async def on_configurefailpoint(self, command: Document) -> Document:
        only(command, "configureFailPoint", {"mode", "data"})
        mode, data = command["mode"], dict(command.get("data", {}))
        commands = data.pop("failCommands", [])
        known = {"blockConnection", "blockTimeMS", "closeConnection", "errorCode"}
        if command["configureFailPoint"] != "failCommand" or data.keys() - known:
            raise Refused(9, "FailedToParse", f"this double has failCommand alone, with {sorted(known)}")
        if mode == "off":
            self.fail_point = None
        else:
            times = {"alwaysOn": None, "once": 1}[mode] if isinstance(mode, str) else mode.get("times")
            self.fail_point = FailPoint(commands, data, 0 if isinstance(mode, str) else mode.get("skip", 0), times)
        return {}

    async def on_advanceclock(self, command: Document) -> Document:
        """Of this double alone: let ``seconds`` pass, and end what has been idle for too long by then."""
        self.clock += command["advanceClock"]
        for cursor in list(self.cursors.values()):
            idle_seconds = self.clock - cursor.used_at
            if cursor.session is None and not cursor.without_timeout and idle_seconds > CURSOR_SECONDS:
                del self.cursors[cursor.number]
                self.timed_out_cursors += 1
        for session, refreshed_at in list(self.sessions.items()):
            if self.clock - refreshed_at > SESSION_SECONDS:
                self._end(session)
        return {}


def only(command: Document, name: str, known: set[str]) -> None:
    """Refuse what nothing here would heed."""
    unknown = command.keys() - known - EVERYWHERE - {name}
    if unknown:
        raise Refused(238, "NotImplemented", f"this double of MongoDB has no {name}.{min(unknown)}")


async def serve_client(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection. What runs when the client goes away is cancelled."""
    server.connections += 1
    running: asyncio.Task[None] | None = None

    async def answer(kind: int, number: int, body: bytes) -> None:
        try:
            writer.write(packed(kind, number, await server.answer(parsed(kind, body))))
            await writer.drain()
        except HangUp:
            writer.transport.abort()

    try:
        async for message in messages(reader):  # one at a time: a client waits for its answer
            running = asyncio.create_task(answer(*message))
    finally:
        server.connections -= 1
        if running is not None:
            running.cancel()
        writer.transport.abort()


async def serve() -> None:
    """Listen on a free port, print it, and go on until the input ends."""
    state = Server()
    listening = await asyncio.start_server(lambda reader, writer: serve_client(state, reader, writer), "127.0.0.1", 0)
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    listening.close()


if __name__ == "__main__":
    asyncio.run(serve())
