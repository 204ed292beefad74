"""The servers that speak MongoDB's protocol do what the other tests rely on; whoever doubts a fixture starts here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import AutoReconnect, CursorNotFound, OperationFailure

from tests.servers.ferretdb import FerretServer, run_ferretdb
from tests.servers.mongo_double import MongoDouble, run_mongo_double

Client = pymongo.MongoClient[dict[str, Any]]


def test_ferretdb_starts_and_stops(ferretdb_server: FerretServer) -> None:
    """It answers as a MongoDB of 7.0, and its process is gone when the block ends."""
    with run_ferretdb() as server:
        with Client(server.new_database()) as client:
            status = client.admin.command("serverStatus")
        assert (status["process"], status["version"].split(".")[0]) == ("ferretdb", "7")
        assert Path(f"/proc/{server.pid}").exists()
    assert not Path(f"/proc/{server.pid}").exists()


def test_ferretdb_counts_its_cursors(ferretdb_server: FerretServer) -> None:
    """One that is left open is seen, and seen to be gone."""
    with Client(ferretdb_server.new_database()) as client:
        collection = client.get_default_database()["c"]
        collection.insert_many([{"_id": number} for number in range(10)])
        before = ferretdb_server.cursors()
        with collection.find(batch_size=2) as cursor:
            next(cursor)
            assert ferretdb_server.cursors().open == before.open + 1
        assert ferretdb_server.cursors().open == before.open
        assert ferretdb_server.cursors().opened == before.opened + 1


def test_the_double_ends_with_its_block() -> None:
    """No process stays."""
    with run_mongo_double() as server:
        assert server.command({"ping": 1})["ok"]
    assert not Path(f"/proc/{server.pid}").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ({"aggregate": "c", "pipeline": [], "cursor": {}}, "no such command: 'aggregate'"),
        ({"find": "c", "filter": {"a": 1}}, "knows no filters"),
        ({"find": "c", "sort": {"a": 1}}, "has no find.sort"),
        ({"find": "c", "projection": {"a": 1}}, "has no find.projection"),
        ({"getMore": 1, "collection": "c", "comment": "x", "term": 1}, "has no getMore.term"),
        ({"getMore": 1, "collection": "c"}, "cursor id 1 not found"),
        ({"find": "c", "tailable": True}, "tailable cursor requested on non capped collection"),
        ({"configureFailPoint": "other", "mode": "off"}, "has failCommand alone"),
        ({"configureFailPoint": "failCommand", "mode": "off", "data": {"errorLabels": []}}, "has failCommand alone"),
    ],
)
def test_the_double_refuses_what_it_does_not_know(
    mongo_double: MongoDouble, command: dict[str, Any], said: str
) -> None:
    """Nothing is passed over: a wrong query must not look right."""
    with pytest.raises(ValueError, match=said):
        mongo_double.command(command)


def test_the_double_ends_sessions_and_their_cursors(mongo_double: MongoDouble) -> None:
    """After half an hour by its own clock, unless they are refreshed: then also after an hour."""
    uri = mongo_double.new_database()
    mongo_double.fill(uri, "c", {}, None)
    with Client(uri) as client, client.start_session() as session:
        cursor = client.get_default_database()["c"].find(session=session, batch_size=2)
        next(cursor)
        for _ in range(3):
            mongo_double.advance_clock(20 * 60)
            client.admin.command("refreshSessions", [session.session_id])
        assert [next(cursor)["_id"] for _ in range(3)] == [1, 2, 3]
        mongo_double.advance_clock(40 * 60)
        with pytest.raises(CursorNotFound):
            for _ in cursor:
                pass


def test_the_double_fails_when_it_is_told_to(mongo_double: MongoDouble) -> None:
    """By error or by hanging up, after so many good answers; then never again."""
    uri = mongo_double.new_database()
    mongo_double.fill(uri, "c", {}, None)
    with Client(uri, retryReads=False) as client:
        collection = client.get_default_database()["c"]
        mongo_double.fail("find", mode={"skip": 1, "times": 1}, errorCode=13)
        assert collection.find_one()
        with pytest.raises(OperationFailure) as caught:
            collection.find_one()
        assert caught.value.code == 13
        assert collection.find_one()
        mongo_double.fail("find", mode={"times": 1}, closeConnection=True)
        with pytest.raises(AutoReconnect):
            collection.find_one()
        assert collection.find_one()


def test_the_double_keeps_documents_as_they_are(mongo_double: MongoDouble) -> None:
    """In the order in which they were inserted; a capped collection forgets the oldest."""
    with Client(mongo_double.new_database()) as client:
        database = client.get_default_database()
        database.create_collection("c", check_exists=False, capped=True, size=4096, max=2)
        database["c"].insert_many([{"_id": number, "nested": {"a": [None]}} for number in range(3)])
        assert list(database["c"].find()) == [{"_id": number, "nested": {"a": [None]}} for number in (1, 2)]
        assert database.list_collection_names() == ["c"]
