"""MySQL and MariaDB in partitions: every row in exactly one range, and a clear word where a table can not be divided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from penstock.connectors.mysql._connection import Column
from penstock.connectors.mysql._ranges import _scale_of
from penstock.connectors.mysql._types import WireType
from penstock.errors import ConfigurationError, SourceError
from tests.connectors.mysql_partitions import (
    ROWS,
    divisible,
    make_numbered,
    partitioned,
    ranges_of,
    read_each,
    values_in,
)
from tests.connectors.mysql_parts import make
from tests.connectors.parts import read_table

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDbDatabase


pytestmark = pytest.mark.usefixtures("mysql_alone")


# --- every row once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("by", [None, "id", "ID"])
def test_every_row_is_in_one_range(mariadb: MariaDbDatabase, most: int, by: str | None) -> None:
    """Ranges are of the same size, in order, and have the columns that were told; the name's case does not count."""
    make_numbered(mariadb)
    with partitioned(mariadb, most, by) as partitions:
        tables = read_each(partitions)
    assert [table.num_rows for table in tables] == [ROWS // most] * most
    assert values_in(tables) == list(range(1, ROWS + 1))
    assert all(table.schema == partitions.schema for table in tables)
    assert [partition.source.rows_read for partition in partitions.each] == [ROWS // most] * most


def test_conditions_and_columns(mariadb: MariaDbDatabase) -> None:
    """The user's own condition bounds the ranges too, and may end in a comment; the key need not be among the columns."""
    make_numbered(mariadb)
    with partitioned(mariadb, 2, where="id > 600 OR id < 0 -- and no more", columns=["word"]) as partitions:
        tables = read_each(partitions)
    assert ranges_of(partitions) == ["id < 801 or NULL", "id >= 801"]
    assert [(table.column_names, table.num_rows) for table in tables] == [(["word"], 200), (["word"], 200)]
    assert len(set(values_in(tables, "word"))) == 400


@pytest.mark.parametrize(
    ("rows", "expected"), [(0, ["all rows"]), (1, ["all rows"]), (2, ["id < 2 or NULL", "id >= 2"])]
)
def test_fewer_values_are_fewer_ranges(mariadb: MariaDbDatabase, rows: int, expected: list[str]) -> None:
    """None is empty because there was nothing to divide."""
    make_numbered(mariadb, rows)
    with partitioned(mariadb, 4) as partitions:
        assert values_in(read_each(partitions)) == list(range(1, rows + 1))
    assert ranges_of(partitions) == expected


@pytest.mark.parametrize("values", ["(NULL), (NULL)", "(7), (7)"])
def test_a_column_of_one_value_or_none_is_one_range(mariadb: MariaDbDatabase, values: str) -> None:
    """There is nothing to divide by."""
    make(mariadb, "CREATE TABLE t (a int)", f"INSERT INTO t VALUES {values}")
    with partitioned(mariadb, 4, "a") as partitions:
        (table,) = read_each(partitions)
    assert table.num_rows == 2


def test_a_range_of_the_key_is_all_that_is_read_for_it(mariadb: MariaDbDatabase) -> None:
    """The server looks at that range of the key, not at the whole table."""
    make_numbered(mariadb)
    with partitioned(mariadb, 4) as partitions:
        for partition in partitions.each:
            ((plan),) = mariadb.execute(f"EXPLAIN {partition.source._statement}")  # type: ignore[attr-defined]
            assert (plan[3], plan[5]) == ("range", "PRIMARY")


# --- what can be divided by ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("tinyint", "i - 51"),
        ("smallint unsigned", "i * 600"),
        ("mediumint", "i * -80000"),
        ("int(10) unsigned zerofill", "i * 42000000"),
        ("bigint", "(i - 50) * 180000000000000000"),
        ("bigint unsigned", "18446744073709551615 - CAST(i - 1 AS unsigned) * 180000000000000000"),
        ("date", "'2024-02-29' + INTERVAL i DAY"),
        ("datetime", "'1999-12-31 23:00:00' + INTERVAL i SECOND"),
        ("datetime(6)", "'1999-12-31 23:59:59.999950' + INTERVAL i MICROSECOND"),
        ("datetime(2)", "'9999-12-31 23:59:59.99' - INTERVAL i * 10000 MICROSECOND"),
        ("timestamp", "'1970-01-01 00:00:00' + INTERVAL i SECOND"),
        ("timestamp(3) NULL", "'2024-03-31 00:59:59.950' + INTERVAL i * 1000 MICROSECOND"),
    ],
)
@pytest.mark.parametrize("mode", ["", "TRADITIONAL,ANSI,NO_UNSIGNED_SUBTRACTION"])
def test_columns_of_every_type_that_has_an_order(
    mariadb: MariaDbDatabase, mariadb_modes: Any, kind: str, value: str, mode: str
) -> None:
    """Each value is in one range, whatever the server's mode and time zone; ranges are even where the values are."""
    mariadb_modes(mode)
    make(
        mariadb,
        f"CREATE TABLE t (n int, at {kind}, KEY (at))",
        f"INSERT INTO t SELECT i, {value} FROM (SELECT CAST(seq AS signed) AS i FROM seq_1_to_100) AS numbers",
        "INSERT INTO t VALUES (0, NULL)" if kind != "timestamp" else "INSERT INTO t SELECT 0, min(at) FROM t",
    )
    with partitioned(mariadb, 4, "at", columns=["n"]) as partitions:
        tables = read_each(partitions)
    assert sorted(values_in(tables, "n")) == list(range(101))
    assert [24 <= table.num_rows <= 26 for table in tables] == [True] * 4


@pytest.fixture
def mariadb_modes(mariadb: MariaDbDatabase, mariadb_server: Any) -> Iterator[Any]:
    """Sets the mode of sessions to come, and gives them another time zone."""
    before = mariadb.execute("SELECT @@GLOBAL.sql_mode, @@GLOBAL.time_zone")[0]

    def set_modes(mode: str) -> None:
        mariadb_server.maintenance.execute(f"SET GLOBAL sql_mode = '{mode}', time_zone = '-03:30'")

    yield set_modes
    mariadb_server.maintenance.execute(f"SET GLOBAL sql_mode = '{before[0]}', time_zone = '{before[1]}'")


@pytest.mark.parametrize("kind", ["date", "datetime", "datetime(3)"])
@pytest.mark.parametrize("null", ["NULL", "NOT NULL"])
def test_dates_that_do_not_exist_are_in_one_range(mariadb: MariaDbDatabase, kind: str, null: str) -> None:
    """Such as 0000-00-00, which is as NULL to some conditions. They do not decide where ranges begin but by their year."""
    days = ["0000-00-00", "0000-05-05", "2024-00-00", "2024-01-03", "2024-01-05", "2024-02-00", "2024-02-31"]
    values = ", ".join(f"({number}, '{day}')" for number, day in enumerate(days))
    make(mariadb, f"CREATE TABLE t (n int, at {kind} {null})", f"INSERT INTO t VALUES {values}")
    with partitioned(mariadb, 3, "at", columns=["n"]) as partitions:
        tables = read_each(partitions)
    assert values_in(tables, "n") == list(range(len(days)))
    assert len(tables) == 3
    assert tables[0].num_rows > 2


def test_a_zero_timestamp_is_in_one_range(mariadb: MariaDbDatabase) -> None:
    """The first, and it does not decide where ranges begin."""
    make(
        mariadb,
        "CREATE TABLE t (n int, at timestamp NOT NULL DEFAULT 0)",
        "INSERT INTO t VALUES (0, 0), (1, '2024-01-01'), (2, '2024-01-02')",
    )
    with partitioned(mariadb, 2, "at", columns=["n"]) as partitions:
        assert [table["n"].to_pylist() for table in read_each(partitions)] == [[0, 1], [2]]


@pytest.mark.parametrize("kind", ["PERSISTENT", "VIRTUAL"])
def test_generated_columns_and_names_to_be_quoted(mariadb: MariaDbDatabase, kind: str) -> None:
    """Also the table's, with the database in front."""
    make(
        mariadb,
        f"CREATE TABLE `the ``t` (a int, `the ``key` int AS (a * 10) {kind})",
        "INSERT INTO `the ``t` (a) SELECT seq FROM seq_1_to_100",
    )
    with partitioned(mariadb, 4, "the `key", table=f"{mariadb.name}.the `t") as partitions:
        tables = read_each(partitions)
    assert values_in(tables, "a") == list(range(1, 101))
    assert [table.num_rows for table in tables] == [25] * 4


@pytest.mark.parametrize("declared", ["PARTITION BY HASH (id) PARTITIONS 3", "WITH SYSTEM VERSIONING"])
def test_tables_of_several_parts(mariadb: MariaDbDatabase, declared: str) -> None:
    """Partitioned ones, and those that keep their history, which is not copied: as they are otherwise."""
    make(
        mariadb,
        f"CREATE TABLE t (id int PRIMARY KEY, n int) {declared}",
        "INSERT INTO t SELECT seq, 0 FROM seq_1_to_300",
        "UPDATE t SET n = 1",
        "DELETE FROM t WHERE id > 200",
    )
    with partitioned(mariadb, 4) as partitions:
        tables = read_each(partitions)
    assert sorted(values_in(tables)) == list(range(1, 201))
    assert [table.num_rows for table in tables] == [50] * 4


@given(st.data())
def test_values_are_counted_there_and_back(data: st.DataObject) -> None:
    """A bound is a value that the column can have: counting changes none, and keeps their order."""
    kind, digits, values = data.draw(
        st.sampled_from(
            [
                (WireType.LONGLONG, 0, st.integers(-(2**63), 2**64 - 1).map(str)),
                (WireType.DATE, 0, st.dates().map(str)),
                *(
                    (
                        kind,
                        digits,
                        st.datetimes().map(lambda at, digits=digits: _cut(at.isoformat(" ", "microseconds"), digits)),
                    )  # type: ignore[misc]
                    for kind in (WireType.DATETIME, WireType.TIMESTAMP)
                    for digits in (0, 1, 3, 6)
                ),
            ]
        )
    )
    scale = _scale_of(Column("at", kind, 63, 26, 0, digits))
    assert scale is not None
    one, other = data.draw(values), data.draw(values)
    assert scale.text(scale.number(one)) == one
    ordered: Any = int if kind == WireType.LONGLONG else str
    assert (scale.number(one) < scale.number(other)) == (ordered(one) < ordered(other))


def _cut(text: str, digits: int) -> str:
    return text[: len(text) - 6 + digits].removesuffix(".")


# --- what can not -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statements", "by", "complaint"),
    [
        (
            ["CREATE TABLE t (a int)"],
            None,
            "t: it has no primary key to divide it by: name a column of .* partition_by",
        ),
        (
            ["CREATE TABLE t (code varchar(10) PRIMARY KEY)"],
            None,
            r"t: its primary key begins with 'code', which is varchar\(10\): name a column of .* with partition_by",
        ),
        (
            ["CREATE TABLE t (a decimal(5,2))"],
            "a",
            r"takes a column of integers, dates or timestamps, and 'a' is decimal",
        ),
        (["CREATE TABLE t (a bit(9))"], "a", "takes a column of .*, and 'a' is bit"),
        (["CREATE TABLE t (a year)"], "a", "takes a column of .*, and 'a' is year"),
        (["CREATE TABLE t (a enum('1', '2'))"], "a", "takes a column of .*, and 'a' is enum"),
        (["CREATE TABLE t (a time)"], "a", "takes a column of .*, and 'a' is time"),
        (["CREATE TABLE u (a int)", "CREATE VIEW t AS SELECT * FROM u"], "a", "t: .* it is a view, and no lock covers"),
        (["CREATE SEQUENCE t"], "minimum_value", "t: .* it is a sequence, and no lock covers"),
        *(
            ([f"CREATE TABLE t (a int PRIMARY KEY) ENGINE {engine}"], by, f"t: .* engine {engine} has no snapshots")
            for engine in ("MyISAM", "Aria", "MEMORY")
            for by in (None, "a")
        ),
    ],
)
def test_what_can_not_be_divided(
    mariadb: MariaDbDatabase, statements: list[str], by: str | None, complaint: str
) -> None:
    """Is refused, with what to do instead, and before the table is locked."""
    make(mariadb, *statements)
    with pytest.raises(ConfigurationError, match=complaint), partitioned(mariadb, 2, by):
        pass


def test_a_column_that_is_not_there(mariadb: MariaDbDatabase) -> None:
    """There is one with a similar name."""
    make_numbered(mariadb)
    with pytest.raises(SourceError, match=r"t: no column 'wort' to divide by .*did you mean 'word'"):
        with partitioned(mariadb, 2, "wort"):
            pass


def test_a_table_that_is_not_there(mariadb: MariaDbDatabase) -> None:
    """As otherwise: there is one with a similar name."""
    make_numbered(mariadb, name="orders")
    with pytest.raises(SourceError, match="did you mean 'orders'"), partitioned(mariadb, 2, table="order"):
        pass


@pytest.mark.parametrize("by", [None, "id"])
def test_a_query_is_refused_without_connecting(by: str | None) -> None:
    """Nobody knows what would have to be locked."""
    source = divisible("mysql://nowhere.invalid/x", table=None, query="SELECT 1 AS id")
    with pytest.raises(ConfigurationError, match=r"a query of MySQL can not be read in partitions.* name one \(-t\)"):
        source.partitioned(2, by)


def test_a_limit_is_refused_without_connecting() -> None:
    """Which rows it leaves nobody could say."""
    source = divisible("mysql://nowhere.invalid/x", limit=5)
    with pytest.raises(ConfigurationError, match="limit can not be used with partitions"):
        source.partitioned(2, None)


@pytest.mark.parametrize(
    "where", ["id IN (SELECT a FROM other)", "id <= (SELECT max(id) / 2 FROM t AS same)", "id <= looked_up()"]
)
def test_a_condition_that_reads_a_table_is_refused(mariadb: MariaDbDatabase, where: str) -> None:
    """What it would find there nobody has locked; also where a function of the server's looks."""
    make_numbered(mariadb, 10)
    make(
        mariadb,
        "CREATE TABLE other (a int)",
        "INSERT INTO other VALUES (3)",
        "CREATE FUNCTION looked_up() RETURNS int READS SQL DATA RETURN (SELECT max(a) FROM other)",
    )
    with pytest.raises(ConfigurationError, match=r"t: .* with this condition \(where\), which looks something up"):
        with partitioned(mariadb, 2, where=where):
            pass


def test_a_condition_with_a_function_that_only_computes(mariadb: MariaDbDatabase) -> None:
    """Is as any other."""
    make_numbered(mariadb, 10)
    make(mariadb, "CREATE FUNCTION half(n int) RETURNS int DETERMINISTIC RETURN n / 2")
    with partitioned(mariadb, 2, where="id > half(10)") as partitions:
        assert values_in(read_each(partitions)) == [6, 7, 8, 9, 10]


def test_each_is_opened_in_any_order(mariadb: MariaDbDatabase) -> None:
    """All at once, the last first; and not all have to be."""
    make_numbered(mariadb)
    with partitioned(mariadb, 3) as partitions:
        opened = [partition.source.open_batches() for partition in reversed(partitions.each)]
        streams = [each.__enter__() for each in opened]
        assert sum(batch.num_rows for stream in streams for batch in stream) == ROWS
        for each in opened:
            each.__exit__(None, None, None)
    with partitioned(mariadb, 3) as partitions:
        assert read_table(partitions.each[1].source)["id"][0].as_py() == 334
