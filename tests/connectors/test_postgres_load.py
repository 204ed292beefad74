"""Loading into PostgreSQL: exact values, all or nothing, and nothing left running."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from penstock.connectors.postgres import _sink as _postgres_sink
from penstock.connectors.postgres._types import LOAD_TABLE
from penstock.core.cancel import CancelScope, fail_after
from penstock.core.channel import channel
from penstock.core.pipe import pipe
from penstock.errors import AlreadyExists, ConfigurationError, DeadlineExceeded, SinkError
from tests.connectors.parts import SECRET, Cancellable, Fails, cancelled_at_once, read_rows, source_of
from tests.connectors.postgres_parts import environment, load, nothing_left, running, table_sink
from tests.core.threads import PATIENCE, start, wait_until
from tests.formats.streams import Table

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left"]

ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int32()), "name": ["one", None, ""]})
NAIVE = dt.datetime(2024, 2, 29, 3, 4, 5, 6)  # noqa: DTZ001 - a timestamp without a zone has none
AWARE = dt.datetime(2024, 2, 29, 3, 4, 5, 6, tzinfo=dt.UTC)
UNION = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
UUID = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")

# Arrow's type, a value, the type of the column that is created, what the server then says the value is.
GOLDEN: list[tuple[pa.DataType, Any, str, str]] = [
    (pa.bool_(), True, "boolean", "true"),
    (pa.int8(), -128, "smallint", "-128"),
    (pa.uint8(), 255, "smallint", "255"),
    (pa.int16(), -32768, "smallint", "-32768"),
    (pa.uint16(), 65535, "integer", "65535"),
    (pa.int32(), -(2**31), "integer", "-2147483648"),
    (pa.uint32(), 2**32 - 1, "bigint", "4294967295"),
    (pa.int64(), -(2**63), "bigint", "-9223372036854775808"),
    (pa.uint64(), 2**64 - 1, "numeric(20,0)", "18446744073709551615"),
    (pa.float16(), 1.5, "real", "1.5"),
    (pa.float32(), 16777216.0, "real", "1.6777216e+07"),
    (pa.float64(), 0.1, "double precision", "0.1"),
    (pa.float64(), 5e-324, "double precision", "5e-324"),
    (pa.float64(), -0.0, "double precision", "-0"),
    (pa.float64(), math.nan, "double precision", "NaN"),
    (pa.float64(), -math.inf, "double precision", "-Infinity"),
    (pa.decimal32(5, 2), Decimal("1.10"), "numeric(5,2)", "1.10"),
    (pa.decimal128(38, 20), Decimal("0.00000000000000000001"), "numeric(38,20)", "0.00000000000000000001"),
    (pa.decimal128(5, -2), Decimal(12300), "numeric", "12300"),
    (pa.decimal256(76, 0), Decimal(10) ** 75, "numeric(76,0)", "1" + "0" * 75),
    (pa.date32(), dt.date.min, "date", "0001-01-01"),
    (pa.date64(), dt.date.max, "date", "9999-12-31"),
    (pa.timestamp("s"), NAIVE.replace(microsecond=0), "timestamp without time zone", "2024-02-29 03:04:05"),
    (pa.timestamp("us"), NAIVE, "timestamp without time zone", "2024-02-29 03:04:05.000006"),
    (pa.timestamp("ns"), NAIVE, "timestamp without time zone", "2024-02-29 03:04:05.000006"),
    (pa.timestamp("us", "UTC"), AWARE, "timestamp with time zone", "2024-02-29 03:04:05.000006+00"),
    (
        pa.timestamp("ms", "Asia/Kathmandu"),
        AWARE.replace(microsecond=0),
        "timestamp with time zone",
        "2024-02-29 03:04:05+00",
    ),
    (pa.time32("ms"), dt.time(3, 4, 5, 6000), "time without time zone", "03:04:05.006"),
    (pa.time64("ns"), dt.time.max, "time without time zone", "23:59:59.999999"),
    (pa.duration("us"), dt.timedelta(days=-1, microseconds=7), "interval", "-23:59:59.999993"),
    (pa.duration("ns"), dt.timedelta(days=400), "interval", "9600:00:00"),
    (
        pa.month_day_nano_interval(),
        pa.MonthDayNano([-14, 3, -3_500_000_000]),
        "interval",
        "-1 years -2 mons +3 days -00:00:03.5",
    ),
    (pa.string(), "NULL", "text", "NULL"),
    (pa.large_string(), "\\N", "text", "\\N"),
    (pa.string_view(), "", "text", ""),
    (pa.dictionary(pa.int8(), pa.string()), "once", "text", "once"),
    (pa.binary(), b"\0\xff\\x", "bytea", "\\x00ff5c78"),
    (pa.binary(2), b"\0\1", "bytea", "\\x0001"),
    (pa.large_binary(), b"", "bytea", "\\x"),
    (pa.binary_view(), b"view", "bytea", "\\x76696577"),
    (pa.uuid(), UUID, "uuid", str(UUID)),
    (pa.json_(), '{"a" :  1.0}', "json", '{"a" :  1.0}'),
    (pa.list_(pa.int32()), [1, None, 3], "integer[]", "{1,NULL,3}"),
    (pa.list_(pa.int64()), [], "bigint[]", "{}"),
    (
        pa.large_list(pa.string()),
        ['a"b', "", None, "NULL", "\\", "{,}", "é\n"],
        "text[]",
        '{"a\\"b","",NULL,"NULL","\\\\","{,}","é\n"}',
    ),
    (pa.list_(pa.float64(), 2), [math.nan, -math.inf], "double precision[]", "{NaN,-Infinity}"),
    (pa.list_view(pa.bool_()), [True, None], "boolean[]", "{t,NULL}"),
    (pa.list_(pa.decimal128(4, 2)), [Decimal("1.10")], "numeric(4,2)[]", "{1.10}"),
    (pa.list_(pa.binary()), [b"\0\xff", b""], "bytea[]", '{"\\\\x00ff","\\\\x"}'),
    (pa.list_(pa.timestamp("us", "UTC")), [AWARE], "timestamp with time zone[]", '{"2024-02-29 03:04:05.000006+00"}'),
    (pa.list_(pa.uuid()), [UUID], "uuid[]", "{" + str(UUID) + "}"),
    (pa.list_(pa.duration("s")), [dt.timedelta(seconds=1)], "interval[]", "{00:00:01}"),
    (
        pa.list_(pa.month_day_nano_interval()),
        [pa.MonthDayNano([1, 2, 3])],
        "jsonb",
        '["1 mons 2 days 0.000000003 secs"]',
    ),
    (pa.list_(pa.list_(pa.int32())), [[1], [2, 3], None], "jsonb", "[[1], [2, 3], null]"),
    (pa.struct({"a": pa.int32(), "b": pa.string()}), {"a": 1, "b": None}, "jsonb", '{"a": 1, "b": null}'),
    (pa.struct({"d": pa.decimal128(38, 2)}), {"d": Decimal("1.10")}, "jsonb", '{"d": 1.10}'),
    (pa.map_(pa.string(), pa.int32()), [("k", 1)], "jsonb", '{"k": 1}'),
    (pa.null(), None, "text", ""),
]


@pytest.fixture
def golden(postgres: PostgresDatabase) -> list[str]:
    """A table with each value above, NULL, and the value again; loaded as a slice, which has an offset."""
    postgres.execute(f"ALTER DATABASE \"{postgres.name}\" SET timezone TO 'UTC'")
    arrays = [_array(kind, [value, None, value]) for kind, value, _type, _text in GOLDEN]
    names = [f"c{index}" for index in range(len(GOLDEN))]
    data = pa.table(
        [
            pa.concat_arrays([_array(kind, [None, None]), array])
            for (kind, *_), array in zip(GOLDEN, arrays, strict=True)
        ],
        names=names,
    )
    load(postgres, data.slice(2), "golden")
    return names


def _array(kind: pa.DataType, values: list[Any]) -> pa.Array:
    if isinstance(kind, pa.UuidType):
        return pa.ExtensionArray.from_storage(
            kind, pa.array([value and value.bytes for value in values], pa.binary(16))
        )
    if isinstance(kind, pa.JsonType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, pa.string()))
    if pa.types.is_list(kind) and isinstance(kind.value_type, pa.UuidType):
        storage = pa.array([value and [item.bytes for item in value] for value in values], pa.list_(pa.binary(16)))
        return storage.cast(kind)
    return pa.array(values, kind)


def test_every_type_is_created_and_exact(postgres: PostgresDatabase, golden: list[str]) -> None:
    """The server has the very value, in the type that the table of types says, and NULL where NULL was."""
    types = postgres.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = 'golden'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert types == [(name, created) for name, (_kind, _value, created, _text) in zip(golden, GOLDEN, strict=True)]
    texts = ", ".join(f"coalesce({name}::text, '')" for name in golden)
    nulls = ", ".join(f"{name} IS NULL" for name in golden)
    assert [list(row) for row in postgres.execute(f"SELECT {texts} FROM golden WHERE c0")] == [
        [text for *_rest, text in GOLDEN]
    ] * 2
    assert postgres.execute(f"SELECT DISTINCT {nulls} FROM golden WHERE c0 IS NULL") == [(True,) * len(GOLDEN)]


def test_every_type_is_as_exact_in_a_list(postgres: PostgresDatabase) -> None:
    """Each item of an array is what it would be in a column of its own."""
    postgres.execute(f"ALTER DATABASE \"{postgres.name}\" SET timezone TO 'UTC'")
    plain = [
        (kind, value, text)
        for kind, value, _created, text in GOLDEN
        if not pa.types.is_nested(kind)
        and not isinstance(kind, pa.BaseExtensionType)
        and not pa.types.is_interval(kind)
    ]
    lists = [pa.array([[value, None], [value]], pa.list_(kind)) for kind, value, _text in plain]
    load(postgres, pa.table(lists, names=[f"c{index}" for index in range(len(lists))]))
    items = ", ".join(f"coalesce(c{index}[1]::text, ''), c{index}[2] IS NULL" for index in range(len(lists)))
    expected = tuple(cell for _kind, _value, text in plain for cell in (text, True))
    assert postgres.execute(f"SELECT DISTINCT {items} FROM t") == [expected]


def test_the_table_of_types_has_what_is_created() -> None:
    """Each column type above stands in it."""
    told = " ".join(created for _arrow, created in LOAD_TABLE)
    for _kind, _value, created, _text in GOLDEN:
        assert created.partition("(")[0].partition(" ")[0].removesuffix("[]") in told


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            pa.array([1], pa.timestamp("ns")),
            "column 'odd': Casting from timestamp[ns] to timestamp[us] would lose data: 1; PostgreSQL keeps microseconds",
        ),
        (pa.array([[1]], pa.list_(pa.time64("ns"))), "PostgreSQL keeps microseconds"),
        (pa.array([pa.MonthDayNano([0, 0, 1])]), "an interval with nanoseconds"),
        (pa.array([{"a": math.nan}]), "NaN or infinity inside a list or struct"),
        (pa.array([[[math.inf]]]), "NaN or infinity inside a list or struct"),
        (pa.array(["a\0b"], pa.string()), "(PostgreSQL's text holds no NUL character)"),
    ],
)
def test_what_would_be_bent_is_refused(postgres: PostgresDatabase, column: pa.Array, said: str) -> None:
    """Nothing is rounded or becomes null without a word; the table does not appear."""
    with pytest.raises(SinkError) as caught:
        load(postgres, pa.table({"fine": [1], "odd": column}))
    assert said in str(caught.value)
    assert tables(postgres) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pa.table({"u": UNION}), "column 'u': PostgreSQL has no type for sparse_union"),
        (
            pa.table({"u": pa.StructArray.from_arrays([UNION], ["inside"])}),
            "column 'u': PostgreSQL has no type for struct",
        ),
        (pa.table({"n" * 64: [1]}), "is longer than the 63 bytes"),
    ],
)
def test_what_has_no_column_is_refused(postgres: PostgresDatabase, data: pa.Table, said: str) -> None:
    """A type that PostgreSQL has not, and a name it would cut off."""
    with pytest.raises((ConfigurationError, SinkError)) as caught:
        load(postgres, data)
    assert said in str(caught.value)


# --- what is there already ---


def tables(database: PostgresDatabase) -> list[str]:
    """Names of all tables."""
    return [name for (name,) in database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]


def content(database: PostgresDatabase, table: str = "t") -> list[tuple[Any, ...]]:
    """Rows of a table, in order."""
    return database.execute(f"SELECT * FROM {table} ORDER BY 1")


def test_a_receipt_says_what_was_loaded(postgres: PostgresDatabase) -> None:
    """Where, how many rows, how many bytes; never the password."""
    receipt = load(postgres, ROWS, "public.t")
    assert receipt.location == f"postgresql://postgres:***@127.0.0.1:{postgres.port}/{postgres.name} public.t"
    assert receipt.details == {"rows": 3, "table": "public.t"}
    assert receipt.bytes_stored == ROWS.nbytes
    assert content(postgres) == [(1, "one"), (2, None), (3, "")]


def test_fail_is_the_default(postgres: PostgresDatabase) -> None:
    """Said before anything is read; and once more if the table appeared meanwhile."""
    sink = table_sink(postgres)
    assert sink.check()
    load(postgres, ROWS)
    with pytest.raises(AlreadyExists, match=r"the table is there already .choose overwrite, append or skip"):
        sink.load(Table(ROWS))
    with pytest.raises(AlreadyExists):
        table_sink(postgres).check()
    assert len(content(postgres)) == 3


def test_skip_leaves_it_alone(postgres: PostgresDatabase) -> None:
    """``check`` says not to copy; a table that is not there is made."""
    assert table_sink(postgres, if_exists="skip").check()
    load(postgres, ROWS, if_exists="skip")
    assert not table_sink(postgres, if_exists="skip").check()


def test_append_matches_columns_by_name(postgres: PostgresDatabase) -> None:
    """In any order; columns that the data lacks have their default, generated ones are generated."""
    postgres.execute(
        "CREATE TABLE t (name text, id int PRIMARY KEY, at int DEFAULT 7, twice int GENERATED ALWAYS AS (id * 2) STORED)"
    )
    load(postgres, ROWS, if_exists="append")
    load(postgres, pa.table({"id": [4]}), if_exists="append")
    assert postgres.execute("SELECT id, name, at, twice FROM t ORDER BY id") == [
        (1, "one", 7, 2),
        (2, None, 7, 4),
        (3, "", 7, 6),
        (4, None, 7, 8),
    ]


def test_append_makes_a_table_that_is_not_there(postgres: PostgresDatabase) -> None:
    """The first of many appends."""
    for _ in range(2):
        load(postgres, ROWS, if_exists="append")
    assert len(content(postgres)) == 6


@pytest.mark.parametrize(
    ("create", "data", "said"),
    [
        ("t (id int, nam text)", ROWS, "the table has no column 'name' (did you mean 'nam'?)"),
        ("t (id int, x int GENERATED ALWAYS AS (id) STORED)", pa.table({"x": [1]}), "the table has no column 'x'"),
        (
            "t (b bytea)",
            pa.table({"b": ["3q2+7w=="]}),
            "column 'b' is bytea, and the data has text, which may be bytes in",
        ),
        ("t (b text)", pa.table({"b": [b"x"]}), "column 'b' is not bytea, and the data has bytes"),
        ("t (id int, name text NOT NULL)", ROWS, 'null value in column "name"'),
        ("t (id int CHECK (id < 3), name text)", ROWS, 'violates check constraint "t_id_check"'),
        ("t (id int PRIMARY KEY, name text)", pa.table({"id": [1, 1]}), "Key (id)=(1) already exists"),
        (
            "t (id int, name int)",
            ROWS,
            'invalid input syntax for type integer: "one": COPY t, line 2, column name: "one"',
        ),
        ("t (id smallint)", pa.table({"id": [99999]}), 'value "99999" is out of range for type smallint'),
        ("t (id int, name varchar(2))", ROWS, "value too long for type character varying(2)"),
    ],
)
def test_what_does_not_fit_the_table_is_said(
    postgres: PostgresDatabase, create: str, data: pa.Table, said: str
) -> None:
    """Which column, which value; and the table is as it was."""
    postgres.execute(f"CREATE TABLE {create}")
    with pytest.raises(SinkError) as caught:
        load(postgres, data, if_exists="append")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert content(postgres) == []


def test_lists_go_into_arrays_and_into_json(postgres: PostgresDatabase) -> None:
    """As the table has it."""
    postgres.execute("CREATE TABLE t (a int[], j json, b jsonb)")
    lists = pa.array([[1, None], None])
    load(postgres, pa.table({"a": lists, "j": lists, "b": lists}), if_exists="append")
    assert postgres.execute("SELECT a::text, j::text, b::text FROM t") == [
        ("{1,NULL}", "[1,null]", "[1, null]"),
        (None, None, None),
    ]


def test_overwrite_replaces_rows_and_keeps_the_rest(postgres: PostgresDatabase) -> None:
    """Types, keys, indexes, defaults, comments, and views on it; the columns in another order, too."""
    postgres.execute("CREATE TABLE t (name varchar(9), id int PRIMARY KEY)")
    postgres.execute("CREATE VIEW v AS SELECT * FROM t")
    postgres.execute("COMMENT ON TABLE t IS 'mine'")
    postgres.execute("INSERT INTO t VALUES ('old', 1), ('older', 9)")
    load(postgres, ROWS, if_exists="overwrite")
    assert content(postgres, "v") == [("", 3), ("one", 1), (None, 2)]
    assert postgres.execute(
        "SELECT obj_description('t'::regclass), count(*) FROM pg_index WHERE indrelid = 't'::regclass"
    ) == [("mine", 1)]


def test_overwrite_with_other_columns_makes_another_table(postgres: PostgresDatabase) -> None:
    """Under the same name, in the same schema; nothing of ours has another name afterwards."""
    postgres.execute("CREATE SCHEMA s CREATE TABLE t (something int)")
    load(postgres, ROWS, "s.t", if_exists="overwrite")
    assert content(postgres, "s.t") == [(1, "one"), (2, None), (3, "")]
    assert postgres.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 's'::regnamespace AND relkind = 'r'"
    ) == [("t",)]


def test_overwrite_with_other_columns_does_not_pull_the_rug_from_a_view(postgres: PostgresDatabase) -> None:
    """What depends on the old table makes it an error, and nothing happens."""
    postgres.execute("CREATE TABLE t AS SELECT 1 AS something")
    postgres.execute("CREATE VIEW v AS SELECT * FROM t")
    with pytest.raises(
        SinkError, match=r"cannot drop table t because other objects depend on it: view v depends .*columns differ"
    ):
        load(postgres, ROWS, if_exists="overwrite")
    assert content(postgres, "v") == [(1,)]
    assert tables(postgres) == ["t"]


def test_readers_see_the_old_rows_until_all_new_ones_are_there(postgres: PostgresDatabase) -> None:
    """Neither do they wait while it is being overwritten, nor see half of it."""
    load(postgres, ROWS)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from ROWS.slice(0, 1).to_batches()
        assert len(content(postgres)) == 3
        yield from ROWS.slice(1, 1).to_batches()
        assert len(content(postgres)) == 3

    load(postgres, Batches(ROWS.schema, batches()), if_exists="overwrite")
    assert content(postgres) == [(1, "one"), (2, None)]


@pytest.mark.parametrize(
    ("create", "said"),
    [
        ("VIEW t AS SELECT 1 AS id", "it is a view"),
        ("MATERIALIZED VIEW t AS SELECT 1 AS id", "it is a materialized view"),
        ("SEQUENCE t", "it is a sequence"),
    ],
)
def test_what_is_no_table_is_not_overwritten(postgres: PostgresDatabase, create: str, said: str) -> None:
    """Said by ``check`` already."""
    postgres.execute(f"CREATE {create}")
    with pytest.raises(SinkError, match=said):
        table_sink(postgres, if_exists="overwrite").check()


def test_a_view_with_a_trigger_can_be_appended_to(postgres: PostgresDatabase) -> None:
    """Rows that a trigger swallows are not counted as loaded; its notices disturb nobody."""
    postgres.execute("CREATE TABLE t (id int, name text)")
    postgres.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE NOTICE 'seen %', NEW.id; IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END $$"
    )
    postgres.execute("CREATE TRIGGER keep BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION keep()")
    assert load(postgres, ROWS, if_exists="append").details["rows"] == 2
    assert content(postgres) == [(1, "one"), (3, "")]


@pytest.mark.parametrize("name", ['odd "name"', "Ünï", "it's", "back\\slash", "select"])
def test_names_are_what_they_are(postgres: PostgresDatabase, name: str) -> None:
    """Of tables and columns, whatever characters they have."""
    for _ in range(2):
        load(postgres, pa.table({name: [1]}), name, if_exists="overwrite")
    assert read_rows(source_of(postgres.uri, table=name)) == [{name: 1}]


def test_partitions_are_loaded_through_their_table(postgres: PostgresDatabase) -> None:
    """Appended to, and overwritten."""
    postgres.execute("CREATE TABLE t (id int, name text) PARTITION BY RANGE (id)")
    postgres.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (2)")
    postgres.execute("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (2) TO (9)")
    for _ in range(2):
        load(postgres, ROWS, if_exists="overwrite")
    assert content(postgres, "t2") == [(2, None), (3, "")]


# --- failures: the database is as before ---


class Batches:
    """Batches of a schema, from an iterator."""

    def __init__(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        self.schema = schema
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._batches


def endless(schema: pa.Schema = ROWS.schema) -> Batches:
    """Batches without end."""
    batch = pa.Table.from_batches(ROWS.to_batches() * 1000, schema).combine_chunks().to_batches()[0]
    return Batches(schema, iter(lambda: batch, None))


@pytest.mark.parametrize("error", [Fails("the source died"), KeyboardInterrupt(), OSError("disk")])
@pytest.mark.parametrize("if_exists", ["fail", "overwrite", "append"])
def test_a_failing_source_leaves_what_was_there(
    postgres: PostgresDatabase, error: BaseException, if_exists: str
) -> None:
    """Its own exception comes out, as it is; no row of it is there, no session, no lock."""
    if if_exists != "fail":
        postgres.execute("CREATE TABLE t AS SELECT 7 AS id, 'kept' AS name")

    def batches() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches() * 100
        raise error

    with pytest.raises(type(error)) as caught:
        load(postgres, Batches(ROWS.schema, batches()), if_exists=if_exists)
    assert caught.value is error
    wait_until(lambda: postgres.sessions() == [])
    assert (content(postgres) == [(7, "kept")]) if if_exists != "fail" else (tables(postgres) == [])


def test_a_row_the_server_refuses_stops_the_source_at_once(postgres: PostgresDatabase) -> None:
    """An endless source comes to an end, and is not read to it."""
    postgres.execute("CREATE TABLE t (id int CHECK (id < 3), name text)")
    with pytest.raises(SinkError, match="violates check constraint"):
        load(postgres, endless(), if_exists="append")
    assert content(postgres) == []


def test_much_is_loaded_in_portions_and_is_one_load(postgres: PostgresDatabase) -> None:
    """Several COPYs, one transaction: nobody sees a part of it."""
    wide = pa.table({"id": pa.array(range(50), pa.int64()), "name": ["x" * (1 << 20)] * 50})

    def batches() -> Iterator[pa.RecordBatch]:
        yield from wide.to_batches(max_chunksize=10)
        assert tables(postgres) == []
        yield from ROWS.cast(wide.schema).to_batches()

    assert load(postgres, Batches(wide.schema, batches())).details["rows"] == 53
    assert postgres.execute("SELECT count(*), sum(length(name)), count(DISTINCT xmin::text) FROM t") == [
        (53, (50 << 20) + 3, 1)
    ]


def test_a_constraint_that_is_checked_at_the_end_counts(postgres: PostgresDatabase) -> None:
    """It fails the load, with the server's reason."""
    postgres.execute("CREATE TABLE parents (id int PRIMARY KEY)")
    postgres.execute("CREATE TABLE t (id int REFERENCES parents DEFERRABLE INITIALLY DEFERRED, name text)")
    with pytest.raises(SinkError, match=r"Key \(id\)=\(1\) is not present in table \"parents\""):
        load(postgres, ROWS, if_exists="append")
    assert content(postgres) == []


def test_a_server_that_dies_half_way_is_an_error(postgres: PostgresDatabase) -> None:
    """Said as such, and worth another try."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        postgres.kill_sessions()
        yield from endless()

    with pytest.raises(SinkError, match=r"terminating connection|connection was lost|server closed") as caught:
        load(postgres, Batches(ROWS.schema, batches()))
    assert caught.value.transient
    assert tables(postgres) == []


def test_a_cancel_while_rows_are_being_loaded(postgres: PostgresDatabase) -> None:
    """The client is free at once; the server has stopped, and nothing is there."""
    call = Cancellable(lambda: load(postgres, endless()))
    wait_until(lambda: any("COPY" in text for text in running(postgres)))
    assert call.cancel() < 0.5
    assert running(postgres) == []
    assert tables(postgres) == []


def test_a_cancel_is_noticed_though_the_server_takes_everything_at_once(postgres: PostgresDatabase) -> None:
    """No more of the source is read: not as much as fits into the buffers of the network."""
    taken = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(100):
            taken.append(number)
            if number == 2:
                scope.cancel()
            yield ROWS.to_batches()[0]

    with CancelScope() as scope:
        load(postgres, Batches(ROWS.schema, batches()))
    assert scope.cancelled_caught
    assert taken == [0, 1, 2]
    assert tables(postgres) == []


def test_a_cancel_while_the_source_is_silent(postgres: PostgresDatabase) -> None:
    """The server waits for more data, where none of its own cancels reach it."""
    send, receive = channel(0)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        yield receive.receive()  # type: ignore[misc]

    call = Cancellable(lambda: load(postgres, Batches(ROWS.schema, batches())))
    wait_until(lambda: any("COPY" in text for _state, text in postgres.sessions()))
    call.wait_still()
    assert call.cancel() < 0.5
    wait_until(lambda: postgres.sessions() == [])
    assert tables(postgres) == []
    send.close()
    receive.close()


@pytest.mark.parametrize("if_exists", ["overwrite", "append"])
def test_a_cancel_while_somebody_locks_the_table(postgres: PostgresDatabase, if_exists: str) -> None:
    """Waiting for a lock ends, too."""
    import psycopg

    load(postgres, ROWS)
    with psycopg.connect(postgres.dsn) as other:
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        call = Cancellable(lambda: table_sink(postgres, if_exists=if_exists).load(endless()))
        wait_until(lambda: any("t" in text for text in running(postgres)))
        call.wait_still()
        assert call.cancel() < 0.5
    assert len(content(postgres)) == 3


def test_a_deadline_ends_a_load(postgres: PostgresDatabase) -> None:
    """As a cancel does."""
    with pytest.raises(DeadlineExceeded), fail_after(0.3):
        load(postgres, endless())
    assert running(postgres) == []
    assert tables(postgres) == []


def test_a_cancelled_scope_touches_nothing(postgres: PostgresDatabase) -> None:
    """Not a single statement is sent."""
    cancelled_at_once(lambda: table_sink(postgres).load(Table(ROWS)))
    assert postgres.sessions() == []


@pytest.mark.parametrize(
    ("table", "said"),
    [("nowhere.t", "there is no schema 'nowhere' (CREATE SCHEMA"), ("pg_catalog.t", None)],
)
def test_a_place_that_is_none_is_said_before_reading(postgres: PostgresDatabase, table: str, said: str | None) -> None:
    """A schema that is not there; one that only a superuser may write is the server's to refuse."""
    if said is None:
        with pytest.raises(SinkError, match=r"system catalog|permission denied"):
            load(postgres, ROWS, table)
        return
    with pytest.raises(SinkError) as caught:
        table_sink(postgres, table).check()
    assert said in str(caught.value)


def test_who_may_not_write_is_told_before_reading(postgres: PostgresDatabase) -> None:
    """And what its administrator has to grant."""
    role = f"writer_{postgres.name}"
    postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
    postgres.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    postgres.execute("CREATE TABLE t (id int, name text)")
    other = replace(postgres, user=role, password=SECRET)
    try:
        with pytest.raises(SinkError, match=r"may not create a table in public .GRANT CREATE ON SCHEMA public"):
            table_sink(other, "new").check()
        with pytest.raises(SinkError, match=r"permission denied for table t .*GRANT INSERT"):
            load(other, ROWS, if_exists="append")
    finally:
        wait_until(lambda: postgres.sessions() == [])
        postgres.execute(f"DROP ROLE {role}")


def test_a_database_that_is_only_read_is_said_before_reading(postgres: PostgresDatabase) -> None:
    """As a standby is."""
    postgres.execute(f'ALTER DATABASE "{postgres.name}" SET default_transaction_read_only TO on')
    with pytest.raises(SinkError, match="nothing can be written here"):
        table_sink(postgres).check()


def test_no_password_is_shown(postgres: PostgresDatabase) -> None:
    """In no message, and in no representation."""
    wrong = replace(postgres, password=SECRET)
    with pytest.raises(SinkError, match="wrong user or password") as caught:
        table_sink(wrong).check()
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(vars(table_sink(wrong)))


def test_options_that_mean_nothing_are_refused(postgres: PostgresDatabase) -> None:
    """A table without a name, a name with too many dots, options, methods."""
    for options, said in [
        ({"table": "a.b.c"}, "is no name of a table"),
        ({"table": ""}, "say which table to load"),
        ({"options": {"speed": 9}}, "unknown option 'speed'"),
        ({"method": "PUT"}, "method is for http"),
    ]:
        with pytest.raises(ConfigurationError, match=said):
            table_sink(postgres, **{"table": "t", **options})  # type: ignore[arg-type]


@pytest.fixture
def commits_wait(postgres: PostgresDatabase) -> Iterator[None]:
    """A COMMIT in this database waits for a standby that is not there."""
    postgres.execute(f'ALTER DATABASE "{postgres.name}" SET synchronous_commit TO on')
    postgres.execute("ALTER SYSTEM SET synchronous_standby_names TO 'absent'")
    postgres.execute("SELECT pg_reload_conf()")
    yield
    postgres.execute("ALTER SYSTEM RESET synchronous_standby_names")
    postgres.execute("SELECT pg_reload_conf()")


@pytest.mark.usefixtures("commits_wait")
def test_a_connection_lost_while_committing_is_said_as_what_it_is(postgres: PostgresDatabase) -> None:
    """Nobody can know whether the rows are there; the message says so, and what to do."""
    loading = start(lambda: load(postgres, ROWS))
    wait_until(lambda: any("COMMIT" in text for text in running(postgres)))
    postgres.kill_sessions()
    with pytest.raises(SinkError, match=r"lost at COMMIT: the table may be loaded or not .look whether"):
        loading.result(PATIENCE)


@pytest.mark.usefixtures("commits_wait")
def test_a_commit_that_is_never_answered_is_given_up(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cancel interrupts it, but it has a limit of its own."""
    monkeypatch.setattr(_postgres_sink, "_COMMIT_SECONDS", 0.3)
    with pytest.raises(SinkError, match="did not answer for 0 s at COMMIT: the table may be loaded or not"):
        load(postgres, ROWS)
    assert running(postgres) == []


def test_a_slow_server_holds_up_the_source(postgres: PostgresDatabase) -> None:
    """Bounded: while the server waits for a lock, no more is taken than sockets and one slice hold."""
    import psycopg

    taken: list[int] = []
    wide = pa.table({"id": pa.array([1] * 64, pa.int32()), "name": ["x" * 65536] * 64})  # 4 MiB

    def batches() -> Iterator[pa.RecordBatch]:
        while True:
            taken.append(1)
            yield from wide.to_batches()

    postgres.execute("CREATE TABLE gate (id int)")
    postgres.execute("CREATE TABLE t (id int, name text)")
    postgres.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN LOCK TABLE gate; RETURN NEW; END $$"
    )
    postgres.execute("CREATE TRIGGER wait BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION wait()")
    with psycopg.connect(postgres.dsn) as other:
        other.execute("LOCK TABLE gate")
        call = Cancellable(lambda: load(postgres, Batches(wide.schema, batches()), if_exists="append"))
        wait_until(lambda: any("COPY" in text for text in running(postgres)))
        call.wait_still()
        assert len(taken) <= 6
        assert call.cancel() < 0.5
    assert content(postgres) == []


def test_a_pipe_that_breaks_is_not_the_end(postgres: PostgresDatabase) -> None:
    """A source that reads from a broken pipe: its error is the load's."""
    reader, writer = pipe()
    writer.abort(Fails("the peer is gone"))

    def batches() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        reader.read(1)

    with pytest.raises(Fails, match="the peer is gone"):
        load(postgres, Batches(ROWS.schema, batches()))
    reader.close()
    assert tables(postgres) == []
