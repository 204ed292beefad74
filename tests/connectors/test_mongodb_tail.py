"""Capped collections, followed: what is there, and then what is added."""

from __future__ import annotations

import pytest

from penstock.errors import SourceError
from tests.connectors.parts import Cancellable, read_rows, read_table, source_of
from tests.core.threads import start, wait_until
from tests.servers.mongo import MongoDatabase
from tests.servers.mongo_double import MongoDouble


@pytest.fixture
def capped(complete_mongo: MongoDatabase) -> MongoDatabase:
    """A database with a capped collection `c`. FerretDB has them, but ends a tailable cursor with its first reply."""
    complete_mongo.create("c", capped=True, size=1 << 20, max=10)
    return complete_mongo


def test_what_is_there_and_then_what_is_added(capped: MongoDatabase) -> None:
    """A batch as soon as there is something; silence for `idle` ends it, and no cursor stays."""
    capped.insert("c", [{"_id": 1}, {"_id": 2}])
    source = source_of(capped.uri, table="c", options={"mode": "tail", "idle": 0.7})
    with source.open_batches() as batches:
        rows = iter(batches)
        assert next(rows).to_pylist() == [{"_id": 1}, {"_id": 2}]
        capped.insert("c", [{"_id": 3}])
        assert next(rows).to_pylist() == [{"_id": 3}]
        assert next(rows, None) is None
    assert source.rows_read == 3
    assert capped.open_cursors() == 0


def test_a_field_that_comes_late_is_not_to_be_looked_for_first(capped: MongoDatabase) -> None:
    """What is without end nobody reads twice, so that is no advice."""
    capped.insert("c", [{"_id": 1}])
    source = source_of(capped.uri, table="c", options={"mode": "tail"})
    with source.open_batches() as batches:
        rows = iter(batches)
        assert next(rows).num_rows == 1
        capped.insert("c", [{"_id": 2, "late": 1}])
        with pytest.raises(SourceError, match="'late' appears only in the document with _id 2") as caught:
            next(rows)
    assert caught.value.hint is not None
    assert "schema=all" not in caught.value.hint
    assert "shape=document" in caught.value.hint


def test_a_limit_ends_it(capped: MongoDatabase) -> None:
    """After so many documents, wherever in a batch."""
    capped.insert("c", [{"_id": 1}, {"_id": 2}, {"_id": 3}])
    assert read_rows(source_of(capped.uri, table="c", limit=2, options={"mode": "tail"})) == [{"_id": 1}, {"_id": 2}]
    assert capped.open_cursors() == 0


def test_an_empty_collection_is_waited_for(capped: MongoDatabase) -> None:
    """A server closes the cursor on one at once; it is opened again until there is something."""
    reading = start(read_rows, source_of(capped.uri, table="c", limit=1, options={"mode": "tail"}))
    capped.insert("c", [{"_id": 1}])
    assert reading.result() == [{"_id": 1}]


def test_an_empty_collection_that_stays_so(capped: MongoDatabase) -> None:
    """Nothing came; that is no error, but there are no columns either."""
    table = read_table(source_of(capped.uri, table="c", options={"mode": "tail", "idle": "300ms"}))
    assert (table.num_rows, table.num_columns) == (0, 0)


def test_a_cancel_ends_it(capped: MongoDatabase) -> None:
    """Also while it waits for a document; the cursor is closed."""
    capped.insert("c", [{"_id": 1}])
    call = Cancellable(lambda: read_rows(source_of(capped.uri, table="c", options={"mode": "tail"})))
    wait_until(lambda: capped.open_cursors() == 1)
    assert call.cancel() < 2
    assert capped.open_cursors() == 0


def test_with_text_all_columns_are_text(capped: MongoDatabase) -> None:
    """Nobody knows what will come, and it must not fail."""
    capped.insert("c", [{"_id": 1}, {"_id": "x"}])
    options = {"mode": "tail", "idle": "300ms"}
    rows = read_rows(source_of(capped.uri, table="c", options=options, on_type_loss="text"))
    assert rows == [{"_id": "1"}, {"_id": "x"}]


def test_other_collections_have_no_end_to_wait_at(any_mongo: MongoDatabase) -> None:
    """The server refuses, and the error says what can be read so."""
    any_mongo.insert("c", [{"_id": 1}])
    with pytest.raises(SourceError, match="capped"):
        read_rows(source_of(any_mongo.uri, table="c", options={"mode": "tail"}))


def test_a_reader_that_was_too_slow_is_told(complete_mongo: MongoDatabase) -> None:
    """Documents that were overwritten before they were read are an error, not a gap."""
    complete_mongo.create("c", capped=True, size=4096, max=3)
    complete_mongo.insert("c", [{"_id": 1, "v": "x"}])
    with source_of(complete_mongo.uri, table="c", options={"mode": "tail"}).open_batches() as batches:
        rows = iter(batches)
        next(rows)
        complete_mongo.drop("c")
        with pytest.raises(SourceError, match=r"the server has closed the cursor \(documents were overwritten"):
            for _ in rows:
                pass
    assert complete_mongo.open_cursors() == 0


def test_it_is_told_that_nobody_waits_any_more(mongo_double: MongoDouble) -> None:
    """A cancel while the server waits for documents ends that wait there as well."""
    uri = mongo_double.new_database()
    name = uri.rpartition("/")[2]
    mongo_double.command({"create": "c", "capped": True, "size": 4096}, name)
    mongo_double.command({"insert": "c", "documents": [{"_id": 1}]}, name)
    call = Cancellable(lambda: read_rows(source_of(uri, table="c", options={"mode": "tail"})))
    wait_until(lambda: "getMore" in mongo_double.running())
    call.cancel()
    assert mongo_double.running() == []
