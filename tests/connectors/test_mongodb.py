"""MongoDB on servers that are not ours: every value as it is or a clear error, and no cursor left open."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from bson import Int64, ObjectId

import penstock
from penstock.errors import BudgetExceeded, ConfigurationError, SourceError
from penstock.flow.contracts import Describable, Source
from penstock.flow.losses import Losses
from tests.connectors.parts import Fails, read_rows, read_table, source_of
from tests.servers.mongo import MongoDatabase

ORDERS = [
    {"_id": 1, "item": "apple", "quantity": 5, "at": datetime(2026, 1, 1, tzinfo=UTC)},
    {"_id": 2, "item": "pear", "quantity": 7, "at": datetime(2026, 1, 2, tzinfo=UTC)},
    {"_id": 3, "item": "plum", "quantity": 9, "at": datetime(2026, 1, 3, tzinfo=UTC)},
]


@pytest.fixture
def orders(mongo: MongoDatabase) -> MongoDatabase:
    mongo.insert("orders", ORDERS)
    return mongo


def described(source: Source) -> Any:
    assert isinstance(source, Describable)
    return source.describe(None)


def test_a_collection_is_a_table(orders: MongoDatabase) -> None:
    """Each field is a column, in the order in which fields appear; rows are counted; no cursor stays."""
    source = source_of(orders.uri, table="orders")
    table = read_table(source)
    assert table.schema.names == ["_id", "item", "quantity", "at"]
    assert table.schema.types == [pa.int64(), pa.string(), pa.int64(), pa.timestamp("ms", "UTC")]
    assert [row["item"] for row in table.to_pylist()] == ["apple", "pear", "plum"]
    assert (source.rows_read, source.display_name) == (3, f"{orders.uri} orders")
    assert orders.open_cursors() == 0


@pytest.mark.parametrize(
    ("wanted", "items"),
    [
        ({"table": "orders", "where": '{"quantity": {"$gt": 5}}'}, ["pear", "plum"]),
        ({"table": "orders", "where": '{"at": {"$gte": {"$date": "2026-01-03T00:00:00Z"}}}'}, ["plum"]),
        ({"table": "orders", "limit": 2}, ["apple", "pear"]),
        ({"table": "orders", "limit": 0}, []),
        ({"query": '{"collection": "orders", "filter": {"item": "plum"}}'}, ["plum"]),
        ({"query": '{"collection": "orders", "filter": {"item": "plum"}}', "where": '{"quantity": 1}'}, []),
        ({"query": '{"collection": "orders", "sort": {"quantity": -1}, "skip": 1}'}, ["pear", "apple"]),
        ({"query": '{"collection": "orders", "sort": [["quantity", -1]], "limit": 2}', "limit": 1}, ["plum"]),
        ({"query": '{"collection": "orders", "pipeline": [{"$match": {"quantity": 7}}]}'}, ["pear"]),
        ({"query": '{"collection": "orders", "pipeline": []}', "where": '{"_id": 3}', "limit": 5}, ["plum"]),
    ],
)
def test_where_limit_and_queries_narrow_it(orders: MongoDatabase, wanted: dict[str, Any], items: list[str]) -> None:
    """They are MongoDB's own, as JSON; what the request adds narrows what the query gives."""
    assert [row["item"] for row in read_rows(source_of(orders.uri, **wanted))] == items


def test_no_limit_is_too_large(orders: MongoDatabase) -> None:
    """Also one that MongoDB has no number for."""
    assert len(read_rows(source_of(orders.uri, table="orders", limit=1 << 70))) == 3


def test_an_aggregation_takes_its_options(orders: MongoDatabase) -> None:
    """An index by its name or by its fields; null is as if it was not given."""
    for hint in ('"_id_"', '{"_id": 1}', '[["_id", 1]]', "null"):
        query = f'{{"collection": "orders", "pipeline": [], "hint": {hint}, "maxTimeMS": null, "comment": "ours"}}'
        assert len(read_rows(source_of(orders.uri, query=query))) == 3


def test_columns_are_fields_in_the_order_given(orders: MongoDatabase) -> None:
    """A field that no document has is a column of NULLs; `_id` is there only if it was named."""
    expected = [{"quantity": 5, "nowhere": None, "item": "apple"}]
    names = ["quantity", "nowhere", "item"]
    assert read_rows(source_of(orders.uri, table="orders", columns=names, limit=1)) == expected
    piped = '{"collection": "orders", "pipeline": [{"$match": {"_id": 1}}]}'
    assert read_rows(source_of(orders.uri, query=piped, columns=names)) == expected


def test_a_pipeline_may_make_other_documents(orders: MongoDatabase) -> None:
    """What it groups and projects are the rows."""
    pipeline = [{"$group": {"_id": None, "sum": {"$sum": "$quantity"}}}, {"$project": {"_id": 0, "sum": 1}}]
    query = json.dumps({"collection": "orders", "pipeline": pipeline})
    assert read_rows(source_of(orders.uri, query=query)) == [{"sum": 21}]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({}, "say what to read: a collection (-t)"),
        ({"table": "c", "where": "quantity > 5"}, "where is not JSON: Expecting value: line 1 column 1"),
        ({"table": "c", "where": "[1]"}, 'where must be a JSON object; write for example {"total"'),
        ({"table": "c", "where": '{"_id": {"$oid": "xyz"}}'}, "where is not JSON: 'xyz' is not a valid ObjectId"),
        ({"query": "SELECT 1"}, "the query is not JSON"),
        ({"query": '{"filter": {}}'}, "the query names no collection"),
        ({"query": '{"collection": "c", "fitler": {}}'}, "unknown key 'fitler' in the query: did you mean 'filter'?"),
        ({"query": '{"collection": "c", "filter": 1}'}, "filter in the query must be a JSON object"),
        ({"query": '{"collection": "c", "limit": "5"}'}, "limit in the query must be a number from 0 on, not '5'"),
        ({"query": '{"collection": "c", "sort": "a"}'}, "sort in the query must look like"),
        ({"query": '{"collection": "c", "sort": [[1, 1]]}'}, "sort in the query must look like"),
        ({"query": '{"collection": "c", "sort": {"a": [1]}}'}, "sort in the query must look like"),
        ({"query": '{"collection": "c", "hint": 5}'}, "hint in the query is the name of an index"),
        ({"query": '{"collection": "c", "hint": []}'}, "hint in the query is the name of an index"),
        ({"query": '{"collection": "c", "hint": [["a"]]}'}, "hint in the query must look like"),
        ({"query": '{"collection": "c", "allowDiskUse": "yes"}'}, "allowDiskUse in the query must be true or false"),
        ({"query": '{"collection": "c", "pipeline": [], "hint": {}}'}, "hint in the query is the name of an index"),
        ({"query": '{"collection": "c", "pipeline": [], "let": 5}'}, "let in the query must be a JSON object"),
        ({"query": '{"collection": "c", "pipeline": [], "collation": "de"}'}, "collation in the query must be a JSON"),
        (
            {"query": '{"collection": "c", "limit": 9223372036854775808}'},
            "this query can not be sent to MongoDB: MongoDB",
        ),
        (
            {"query": '{"collection": "c", "pipeline": [{"$skip": 1000000000000000000000}]}'},
            "can not be sent to MongoDB",
        ),
        ({"query": '{"collection": "\\ud800"}'}, "can not be sent to MongoDB"),
        (
            {"table": "c", "where": '{"a": {"$gt": 10000000000000000000000}}'},
            "can not be sent to MongoDB: MongoDB can only",
        ),
        ({"table": "c", "where": '{"a": "\\ud800"}'}, "can not be sent to MongoDB: 'utf-8' codec"),
        (
            {"table": "c", "where": '{"a\\u0000": 1}'},
            "can not be sent to MongoDB: Invalid document: Key names must not",
        ),
        ({"table": "c", "where": '{"a": {"$numberDecimal": "x"}}'}, "where holds what is no Extended JSON"),
        ({"table": "c", "where": '{"a": {"$binary": {}}}'}, "where holds what is no Extended JSON"),
        ({"table": "c", "where": '{"a": ' * 5000 + "1" + "}" * 5000}, "where is nested too deeply"),
        ({"table": "c", "where": '{"a": ' + "[" * 200 + "1" + "]" * 200 + "}"}, "where is nested too deeply"),
        ({"table": "c", "columns": ["a\ud800"]}, "can not be sent to MongoDB"),
        ({"query": '{"collection": "c", "pipeline": {}}'}, "pipeline must be a list of stages"),
        ({"query": '{"collection": "c", "pipeline": [], "filter": {}}'}, "unknown key 'filter' in the query"),
        ({"query": '{"collection": "c", "pipeline": [{"$out": "d"}]}'}, "$out writes; sources are only read"),
        ({"query": '{"collection": "c", "projection": {"a": 1}}', "columns": ["b"]}, "columns or the query's own"),
        ({"table": "c", "columns": ["a.b"]}, "columns are fields of the document itself, not 'a.b'"),
        ({"table": "c", "columns": ["a", "a"]}, "a column is named twice"),
        ({"table": "c", "format": "csv"}, "format can not be used here"),
        ({"table": "c", "options": {"mod": "all"}}, "unknown option 'mod': did you mean 'mode'?"),
        ({"table": "c", "options": {"mode": "tial"}}, "mode is 'tial': did you mean 'tail'?"),
        ({"table": "c", "options": {"idle": "5s"}}, "idle is for mode=tail"),
        ({"table": "c", "options": {"mode": "tail", "idle": "0s"}}, "idle must be above zero"),
        ({"table": "c", "options": {"mode": "tail", "schema": "all"}}, "mode=tail has none"),
        ({"query": '{"collection": "c", "pipeline": []}', "options": {"mode": "tail"}}, "and no pipeline"),
    ],
)
def test_what_makes_no_sense_is_refused_before_connecting(wanted: dict[str, Any], said: str) -> None:
    """The message says what is wrong and what to write instead; nobody is asked."""
    with pytest.raises(ConfigurationError) as caught:
        source_of("mongodb://nowhere.invalid/db", **wanted)
    assert said in str(caught.value)
    assert str(caught.value).startswith("mongodb://nowhere.invalid/db: ")


def test_a_missing_collection_is_an_error(orders: MongoDatabase) -> None:
    """MongoDB would say it is empty; a wrong name must not look like success."""
    with pytest.raises(SourceError, match=r"no such collection: order \(did you mean 'orders'\?\)"):
        read_table(source_of(orders.uri, table="order"))
    with pytest.raises(SourceError, match=r"no such collection: nothing_like_it \(there are orders"):
        described(source_of(orders.uri, table="nothing_like_it"))


def test_nothing_found_is_no_error(orders: MongoDatabase) -> None:
    """A filter that nothing passes gives no rows, with the columns that were asked for."""
    table = read_table(source_of(orders.uri, table="orders", where='{"quantity": 0}', columns=["item"]))
    assert (table.num_rows, table.schema.names) == (0, ["item"])
    assert read_table(source_of(orders.uri, table="orders", where='{"quantity": 0}')).num_columns == 0


def test_what_the_server_refuses_is_told(orders: MongoDatabase) -> None:
    """Its own words, and where."""
    with pytest.raises(SourceError, match=r"orders: unknown operator: \$nonsense|orders: .*\$nonsense") as caught:
        read_table(source_of(orders.uri, table="orders", where='{"item": {"$nonsense": 1}}'))
    assert caught.value.__cause__ is not None
    assert orders.open_cursors() == 0


def test_batches_are_bounded_and_complete(mongo: MongoDatabase) -> None:
    """Every document comes once, in batches of about the size asked for, however replies are divided."""
    mongo.insert("c", ({"_id": number, "text": "x" * (number % 100)} for number in range(3000)))
    with source_of(mongo.uri, table="c", batch_bytes=20_000).open_batches() as batches:
        read = list(batches)
    assert [row["_id"] for batch in read for row in batch.to_pylist()] == list(range(3000))
    assert max(batch.nbytes for batch in read) < 20_000


@pytest.mark.parametrize("how", ["left", "failed", "exhausted"])
def test_no_cursor_stays_open_on_any_way_out(mongo: MongoDatabase, how: str) -> None:
    """Whoever stops half-way, or fails, leaves no cursor on the server."""
    mongo.insert("c", ({"_id": number} for number in range(2000)))
    batches = source_of(mongo.uri, table="c", batch_bytes=4000).open_batches()
    if how == "failed":
        with pytest.raises(Fails), batches as stream:
            next(iter(stream))
            assert mongo.open_cursors() == 1
            raise Fails
    else:
        with batches as stream:
            for _batch in stream:
                if how == "left":
                    break
    assert mongo.open_cursors() == 0


def test_a_late_field_is_an_error_unless_all_was_looked_at(mongo: MongoDatabase) -> None:
    """A field that appears after the first batch is named with its document; every way out that is offered works."""
    mongo.insert("c", [{"_id": number, "a": number} for number in range(500)] + [{"_id": 500, "a": 1, "late": 2}])
    wanted: dict[str, Any] = {"table": "c", "batch_bytes": 4000}
    with pytest.raises(SourceError, match=r"the field 'late' appears only in the document with _id 500, .*schema=all"):
        read_table(source_of(mongo.uri, **wanted))
    wanted |= {"columns": ["a"]}
    assert read_table(source_of(mongo.uri, **wanted)).num_rows == 501
    wanted |= {"columns": ["a", "late"]}
    with pytest.raises(SourceError, match=r"'late' is read as string.*document 501 of the result holds int 2"):
        read_table(source_of(mongo.uri, **wanted))
    for options in ({"schema": "all"}, {"mode": "all"}):
        table = read_table(source_of(mongo.uri, **wanted, options=options))
        assert table.schema.types == [pa.int64(), pa.int64()]
        assert table["late"].to_pylist() == [*[None] * 500, 2]
    assert mongo.open_cursors() == 0


def test_documents_may_be_kept_whole(mongo: MongoDatabase) -> None:
    """With shape=document everything fits: two columns of text, and every type in the JSON."""
    key = ObjectId("65a000000000000000000001")
    mongo.insert("c", [{"_id": key, "a": 1}, {"_id": 2, "a": {"b": ["x", 2.0, Int64(3)]}, "c": None}])
    relaxed = read_rows(source_of(mongo.uri, table="c", options={"shape": "document"}))
    assert relaxed == [
        {"_id": "65a000000000000000000001", "document": '{"_id":{"$oid":"65a000000000000000000001"},"a":1}'},
        {"_id": "2", "document": '{"_id":2,"a":{"b":["x",2.0,3]},"c":null}'},
    ]
    canonical = read_rows(source_of(mongo.uri, table="c", options={"shape": "document", "json": "canonical"}))
    assert json.loads(canonical[1]["document"])["a"] == {
        "b": ["x", {"$numberDouble": "2.0"}, {"$numberLong": "3"}],
    }


def test_a_value_of_another_type(mongo: MongoDatabase) -> None:
    """By default an error that names field, _id and value; with warn a NULL that is counted; with text all is text."""
    mongo.insert("c", [{"_id": 1, "v": 5, "w": 1}, {"_id": 2, "v": "five", "w": 2}, {"_id": 3, "v": 6, "w": 3}])
    with pytest.raises(SourceError) as caught:
        read_table(source_of(mongo.uri, table="c"))
    assert "the field 'v' is read as int64 (long), but the document with _id 2 holds string five" in str(caught.value)

    losses = Losses()
    rows = read_rows(source_of(mongo.uri, table="c", on_type_loss="warn", losses=losses))
    assert [row["v"] for row in rows] == [5, None, 6]
    assert [str(loss) for loss in losses.told()] == ["column 'v': 1 value became NULL: string does not fit int64"]

    rows = read_rows(source_of(mongo.uri, table="c", on_type_loss="text"))
    assert rows == [{"_id": 1, "v": "5", "w": 1}, {"_id": 2, "v": "five", "w": 2}, {"_id": 3, "v": "6", "w": 3}]


def test_text_never_fails_however_late_a_value_is(mongo: MongoDatabase) -> None:
    """Everything is looked at first, so a type or field in the last document is known from the start."""
    mongo.insert("c", [*({"_id": n, "v": n} for n in range(500)), {"_id": 500, "v": [1, {"x": None}], "late": True}])
    rows = read_rows(source_of(mongo.uri, table="c", on_type_loss="text", batch_bytes=4000))
    assert rows[0] == {"_id": 0, "v": "0", "late": None}
    assert rows[500] == {"_id": 500, "v": '[1,{"x":null}]', "late": True}


def test_all_at_once_is_bounded(mongo: MongoDatabase) -> None:
    """mode=all holds eight batches at most, and closes the cursor before the first row."""
    mongo.insert("c", ({"_id": number, "text": "x" * 100} for number in range(1000)))
    with source_of(mongo.uri, table="c", batch_bytes=20_000, options={"mode": "all"}).open_batches() as batches:
        assert mongo.open_cursors() == 0
        assert sum(batch.num_rows for batch in batches) == 1000
    with pytest.raises(BudgetExceeded, match=r"c: the result is larger than 78.1 KiB, which mode=all .* mode=next"):
        read_table(source_of(mongo.uri, table="c", batch_bytes=10_000, options={"mode": "all"}))
    assert mongo.open_cursors() == 0


def test_describing_looks_at_the_first_documents(orders: MongoDatabase) -> None:
    """Columns with MongoDB's types and Arrow's, how many documents there are, and what is not promised."""
    found = described(source_of(orders.uri, table="orders"))
    assert [(column.name, column.source_type, column.arrow_type) for column in found.columns] == [
        ("_id", "int", "int64"),
        ("item", "string", "string"),
        ("quantity", "int", "int64"),
        ("at", "date", "timestamp[ms, tz=UTC]"),
    ]
    assert found.estimated_rows == 3
    assert found.estimated_bytes
    assert found.reading.startswith("find, raw replies of about 2.0 MiB")
    assert "may or may not" in found.consistency
    narrowed = described(source_of(orders.uri, table="orders", limit=2, options={"shape": "document"}))
    assert (narrowed.estimated_rows, [column.name for column in narrowed.columns]) == (None, ["_id", "document"])
    assert orders.open_cursors() == 0


def test_a_copy_to_csv(orders: MongoDatabase, tmp_path: Path) -> None:
    """From the front door: a file with a line for each document."""
    destination = tmp_path / "orders.csv"
    report = penstock.copy(orders.uri, destination, table="orders", columns=["_id", "item", "at"])
    assert destination.read_text().splitlines()[1] == '1,"apple",2026-01-01 00:00:00.000Z'
    assert report.rows == 3
