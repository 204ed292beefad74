"""PostgreSQL: every value exactly, nothing left running, every failure named."""

from __future__ import annotations

import datetime as dt
import io
import re
import socket
import threading
import traceback
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from penstock import formats
from penstock.core.cancel import CancelScope, fail_after
from penstock.errors import BrokenError, ConfigurationError, DeadlineExceeded, SourceError
from tests.connectors.parts import (
    SECRET,
    Cancellable,
    cancelled_at_once,
    open_descriptors,
    read_bytes,
    read_rows,
    read_table,
    source_of,
)
from tests.connectors.postgres_parts import environment, nothing_left, query, running
from tests.core.threads import wait_until
from tests.formats.streams import Collected, Table

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left"]

SLEEP = "SELECT pg_sleep(600)"
MANY = "SELECT i, md5(i::text) FROM (SELECT generate_series(1, 100000000) AS i) AS made_as_they_are_read"


# --- values ---


def test_every_type_has_its_form(postgres: PostgresDatabase) -> None:
    """Exactly, as the table in the module says: decimals, instants, bytes, arrays, special floats."""
    postgres.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    postgres.execute("CREATE DOMAIN cents AS numeric(12, 2)")
    postgres.execute("CREATE TYPE pair AS (a int, b text)")
    row = read_rows(
        query(
            postgres,
            """SELECT true b, 1::int2 i2, 2 i4, 9223372036854775807 i8, 0.1::float4 f4, 0.1::float8 f8,
                'NaN'::float8 nan, '-Infinity'::float8 inf, 1.10::numeric(10, 2) d, 1.1::cents c,
                12345678901234567890.123456789012345678901234567890 n, 'NaN'::numeric nn, 12345::numeric(5, -2) neg,
                '2024-02-29'::date AS day, '2024-01-02 03:04:05.000006'::timestamp ts,
                '2024-01-02 03:04:05+05:30'::timestamptz tz, '03:04:05.000006'::time tm, '03:04:05+02'::timetz ttz,
                '1 day 2 hours'::interval iv, '\\x00ff'::bytea x, ''::bytea e,
                '00000000-0000-0000-0000-000000000001'::uuid u, '{"a" :  1.0}'::json j, '{"a" :  1.0}'::jsonb jb,
                '{1,NULL}'::int[] a, '{"x","",NULL,"q\\"u"}'::text[] ta, '{sad,ok}'::mood[] ma, 'ok'::mood m,
                ROW(1, 'x')::pair p, '(1,2)'::point pt, '1.2.3.4'::inet ip, 5::money mo, 'x'::char(3) ch,
                '{"\\\\x00ff"}'::bytea[] xa, NULL::int[] na""",
        )
    )[0]
    assert row == {
        "b": True,
        "i2": 1,
        "i4": 2,
        "i8": 2**63 - 1,
        "f4": pytest.approx(0.1),
        "f8": 0.1,
        "nan": pytest.approx(float("nan"), nan_ok=True),
        "inf": float("-inf"),
        "d": Decimal("1.10"),
        "c": Decimal("1.10"),
        "n": "12345678901234567890.123456789012345678901234567890",
        "nn": "NaN",
        "neg": "12300",
        "day": dt.date(2024, 2, 29),
        "ts": dt.datetime(2024, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 - a timestamp without a zone has none
        "tz": dt.datetime(2024, 1, 1, 21, 34, 5, tzinfo=dt.UTC),
        "tm": dt.time(3, 4, 5, 6),
        "ttz": "03:04:05+02",
        "iv": "P1DT2H",
        "x": b"\0\xff",
        "e": b"",
        "u": "00000000-0000-0000-0000-000000000001",
        "j": '{"a" :  1.0}',
        "jb": '{"a": 1.0}',
        "a": "[1,null]",
        "ta": '["x","",null,"q\\"u"]',
        "ma": '["sad","ok"]',
        "m": "ok",
        "p": '{"a":1,"b":"x"}',
        "pt": "(1,2)",
        "ip": "1.2.3.4",
        "mo": "$5.00",
        "ch": "x  ",
        "xa": '["\\\\x00ff"]',
        "na": None,
    }


def test_an_empty_result_has_its_columns_and_types(postgres: PostgresDatabase) -> None:
    """No rows is not no schema."""
    table = read_table(query(postgres, "SELECT 1 AS a, ''::bytea AS b, '{}'::int[] AS c WHERE false"))
    assert table.schema == pa.schema([("a", pa.int32()), ("b", pa.binary()), ("c", pa.string())])
    assert table.num_rows == 0


def test_bytes_are_the_servers_own_csv(postgres: PostgresDatabase) -> None:
    """With a header; NULL is nothing and '' is quoted; only what CSV has no form for is rewritten."""
    text = 'SELECT 1 AS a, \'\' AS b, NULL AS c, \'x,"y"\' AS "odd, ""name", true AS t'
    assert read_bytes(query(postgres, text)) == b'a,b,c,"odd, ""name",t\n1,"",,"x,""y""",t\n'
    assert (
        read_bytes(query(postgres, "SELECT '\\xdeadbeef'::bytea x, ARRAY[1,2] y, 1 x"))
        == b'x,y,x\n3q2+7w==,"[1,2]",1\n'
    )


def test_long_bytes_are_one_line_of_base64(postgres: PostgresDatabase) -> None:
    """PostgreSQL breaks base64 into lines of 76; those breaks are taken out."""
    assert read_rows(query(postgres, "SELECT decode(repeat('ab', 1000), 'hex') AS x")) == [{"x": b"\xab" * 1000}]


@given(value=st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_text_comes_through(postgres: PostgresDatabase, value: str | None) -> None:
    """Quotes, commas, line ends, control characters, and NULL apart from ''; as batches and as bytes."""
    literal = "NULL" if value is None else "E'" + "".join(f"\\U{ord(character):08X}" for character in value) + "'"
    text = f"SELECT {literal}::text AS v, 1 AS one"
    expected = [{"v": value, "one": 1}]
    assert read_rows(query(postgres, text)) == expected
    csv = formats.format_by_name("csv")
    schema = pa.schema([("v", pa.string()), ("one", pa.int32())])
    with csv.decode(io.BytesIO(read_bytes(query(postgres, text))), schema) as batches:
        assert [row for batch in batches for row in batch.to_pylist()] == expected


def test_the_bytes_and_the_encoded_batches_say_the_same(postgres: PostgresDatabase) -> None:
    """Whichever way a copy goes, reading the CSV again gives the same rows."""
    text = "SELECT i, i / 7.0::float8 f, (i / 3.0)::numeric(20, 5) d, now() + i * interval '1 s' t, md5(i::text) s, i % 2 = 0 b FROM generate_series(1, 1000) i"
    direct = read_table(query(postgres, text))
    out = Collected()
    csv = formats.format_by_name("csv")
    csv.encode(Table(direct), out)
    with csv.decode(io.BytesIO(bytes(out)), direct.schema) as batches:
        assert pa.Table.from_batches(list(batches)).equals(direct.combine_chunks())


def test_settings_of_server_and_user_make_no_difference(postgres: PostgresDatabase) -> None:
    """Dates, intervals and floats are written one way, whatever the role has set."""
    name = postgres.name
    for setting in (
        "datestyle = 'German'",
        "timezone = 'Asia/Tokyo'",
        "intervalstyle = 'sql_standard'",
        "extra_float_digits = -5",
    ):
        postgres.execute(f'ALTER DATABASE "{name}" SET {setting}')
    text = "SELECT '2024-01-02'::date d, '2024-01-02 00:00+00'::timestamptz t, '1 day'::interval i, 0.1::float8 f"
    assert read_bytes(query(postgres, text)) == b"d,t,i,f\n2024-01-02,2024-01-02 00:00:00+00,P1D,0.1\n"


def test_columns_where_and_limit_narrow_a_table_or_query(postgres: PostgresDatabase) -> None:
    """A table may have its schema in front; a query may end in a semicolon or a comment."""
    postgres.execute('CREATE SCHEMA "Odd"')
    postgres.execute('CREATE TABLE "Odd"."T t" (a int, "B b" int)')
    postgres.execute('INSERT INTO "Odd"."T t" VALUES (1, 2), (3, 4), (5, 6)')
    narrow = {"columns": ["B b", "a"], "where": "a > 1", "limit": 1}
    assert read_rows(source_of(postgres.uri, table="Odd.T t", **narrow)) == [{"B b": 4, "a": 3}]
    assert read_rows(query(postgres, 'SELECT * FROM "Odd"."T t"; ', **narrow)) == [{"B b": 4, "a": 3}]
    assert read_rows(query(postgres, "SELECT 1 AS a -- the one\n", limit=5)) == [{"a": 1}]


def test_rows_are_counted(postgres: PostgresDatabase) -> None:
    """As bytes and as batches; None before."""
    for read in (read_bytes, read_table):
        source = query(postgres, "SELECT E'two\\nlines' FROM generate_series(1, 12345)")
        assert source.rows_read is None
        read(source)
        assert source.rows_read == 12345


def test_the_connection_can_come_from_the_environment(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PG* variables, a password file, and a service file, as with every program on libpq."""
    whole = {
        "PGHOST": postgres.host,
        "PGPORT": str(postgres.port),
        "PGUSER": postgres.user,
        "PGDATABASE": postgres.name,
    }
    for name, value in whole.items():
        monkeypatch.setenv(name, value)
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"{postgres.host}:*:*:{postgres.user}:{postgres.password}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    assert read_rows(source_of("postgresql://", query="SELECT current_database() d")) == [{"d": postgres.name}]
    for name in whole:
        monkeypatch.delenv(name)
    service = tmp_path / "services"
    service.write_text(
        f"[mine]\nhost={postgres.host}\nport={postgres.port}\nuser={postgres.user}\ndbname={postgres.name}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    assert read_rows(source_of("postgres:///?service=mine", query="SELECT 1 o")) == [{"o": 1}]


def test_the_session_has_a_name(postgres: PostgresDatabase) -> None:
    """Whoever looks at the server's activity sees who it is; the address may say otherwise."""
    text = "SELECT current_setting('application_name') AS n, current_setting('transaction_read_only') AS r"
    assert read_rows(query(postgres, text)) == [{"n": "penstock", "r": "on"}]
    assert read_rows(source_of(postgres.uri_with(application_name="mine"), query=text))[0]["n"] == "mine"
    driver = postgres.uri.replace("postgresql://", "postgresql+psycopg://")
    assert read_rows(source_of(driver, query=text))[0]["n"] == "penstock"


# --- failures ---


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"table": "evnts"}, "relation \"evnts\" does not exist (did you mean 'events'?)"),
        ({"table": "public.zzzzzzzz"}, 'relation "public.zzzzzzzz" does not exist (there are Odd.things, events)'),
        ({"query": "SELECT * FROM evnts"}, "did you mean 'events'?"),
        ({"table": "events", "columns": ["nope"]}, "events: no column 'nope' (there are id)"),
        ({"table": "events", "columns": ["id", "ids"]}, "no column 'ids' (did you mean 'id'?)"),
        ({"query": "SELECT 1 AS one", "columns": ["on"]}, "no column 'on' (did you mean 'one'?)"),
        ({"table": "events", "columns": ["id"], "where": "nope = 1"}, 'column "nope" does not exist'),
        ({"query": "SELEC 1"}, 'syntax error at or near "SELEC" (is it one SELECT?)'),
        ({"query": "SELECT 1; SELECT 2"}, "cannot insert multiple commands into a prepared statement"),
        ({"query": "DELETE FROM events"}, "the query returns no columns (use a SELECT)"),
        ({"query": "INSERT INTO events VALUES (1) RETURNING id"}, "read-only transaction (sources are only read)"),
        ({"query": "SELECT $1::int"}, "there is no parameter $1"),
        ({"query": "SELECT 1 / (i - 5) FROM generate_series(1, 10) i"}, "division by zero"),
        (
            {"query": "SELECT 'NaN'::numeric(10, 2) AS n"},
            "row 1: column 'n': NaN does not fit decimal128(10, 2) (choose warn or text for on_type_loss, or make it",
        ),
        (
            {"query": "SELECT 'infinity'::timestamp AS t"},
            "row 1: column 't': infinity does not fit timestamp[us]",
        ),
    ],
)
def test_what_the_server_refuses_is_said_clearly(
    postgres: PostgresDatabase, request_: dict[str, object], said: str
) -> None:
    """One line: where, what, what to do; the password in none of it."""
    postgres.execute("CREATE TABLE events (id int)")
    postgres.execute('CREATE SCHEMA "Odd" CREATE TABLE things (id int)')
    with pytest.raises(SourceError) as caught:
        read_table(source_of(postgres.uri, **request_))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"postgresql://postgres:***@127.0.0.1:{postgres.port}/{postgres.name}")
    assert "\n" not in str(caught.value)
    assert postgres.password not in "".join(traceback.format_exception(caught.value))


def test_permission_is_said_as_such(postgres: PostgresDatabase) -> None:
    """The hint is what its owner has to do."""
    postgres.execute("CREATE TABLE secrets (a int)")
    role = f"reader_{postgres.name}"
    postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
    try:
        uri = re.sub(r"//.*@", f"//{role}:{SECRET}@", postgres.uri)
        with pytest.raises(
            SourceError, match=r"permission denied for table secrets .this user may not read it: GRANT SELECT"
        ):
            read_table(source_of(uri, table="secrets"))
    finally:
        wait_until(lambda: postgres.sessions() == [])
        postgres.execute(f"DROP ROLE {role}")


def test_a_failure_half_way_is_an_error_after_what_came_before(postgres: PostgresDatabase) -> None:
    """Rows that were sent are not taken for all of them."""
    source = query(postgres, "SELECT 1 / (200000 - i) FROM generate_series(1, 300000) i")
    size = 0
    with pytest.raises(SourceError, match="division by zero"), source.open_bytes("csv") as chunks:
        for chunk in chunks:
            size += len(chunk)
    assert size > 100_000


def test_a_server_that_dies_half_way_is_an_error(postgres: PostgresDatabase) -> None:
    """The end of the connection is not the end of the data."""
    with pytest.raises(SourceError, match=r"terminating connection|connection was lost|server closed") as caught:
        with query(postgres, MANY).open_bytes("csv") as chunks:
            next(chunks)
            postgres.kill_sessions()
            for _ in chunks:
                pass
    assert caught.value.transient


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda uri: re.sub(r":[^:@]*@", f":{SECRET}@", uri),
            "wrong user or password (check user and password: in the address",
        ),
        (lambda uri: re.sub(r"//[^@]*@", f"//nobody:{SECRET}@", uri), "wrong user or password"),
        (lambda uri: re.sub(r"//[^@]*@", "//postgres@", uri), "the server wants a password (check user"),
        (lambda uri: re.sub(r"/[^/]*$", "/absent", uri), 'database "absent" does not exist'),
        (lambda uri: re.sub(r":\d+/", ":1/", uri), "connection refused (are host and port right"),
        (lambda uri: uri.replace("127.0.0.1", "nowhere.invalid"), "unknown host"),
        (lambda uri: re.sub(r"@.*", "@/x?host=/absent", uri), "no server at this socket"),
        (lambda uri: uri + "?sslmode=require", "TLS: the server does not offer it (?sslmode=disable goes"),
        (lambda uri: uri + "?service=absent", "no such service"),
    ],
)
def test_who_can_not_connect_is_told_why(postgres: PostgresDatabase, change: object, said: str) -> None:
    """Each of the usual mistakes, with what to check, and no password."""
    uri = change(postgres.uri)  # type: ignore[operator]
    with pytest.raises(SourceError) as caught:
        read_table(source_of(uri, query="SELECT 1"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert postgres.password not in shown


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql://bob:{SECRET}/x@db/shop",
        f"postgresql://bob:p%zz{SECRET}@db/shop",
        f"postgresql://bob:{SECRET}@db/shop?nonsense=1",
        f"postgresql://bob:{SECRET}@db:12x/shop",
        f"postgresql://bob:{SECRET}@db/shop?connect_timeout=soon",
    ],
)
def test_an_address_that_is_not_well_formed_is_refused(uri: str) -> None:
    """Without repeating what may be the password, which libpq's own message does."""
    with pytest.raises(ConfigurationError) as caught:
        source_of(uri, table="t")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_never_answers_is_given_up_on() -> None:
    """connect_timeout counts, in the address or PGCONNECT_TIMEOUT."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"postgresql://127.0.0.1:{listener.getsockname()[1]}/x?connect_timeout=0.2"
        with pytest.raises(SourceError, match="no answer in time"):
            read_table(source_of(uri, table="t"))


# --- nothing stays behind ---


@pytest.mark.parametrize("text", [SLEEP, MANY, "SELECT count(*) FROM generate_series(1, 10000000000)"])
def test_a_cancel_stops_the_query_on_the_server(postgres: PostgresDatabase, text: str) -> None:
    """The client is free at once, and by then the server has stopped."""
    call = Cancellable(lambda: read_bytes(query(postgres, text)))
    wait_until(lambda: any("COPY" in active for active in running(postgres)))
    assert call.cancel() < 0.5
    assert running(postgres) == []


def test_a_cancel_while_nobody_reads_stops_the_query(postgres: PostgresDatabase) -> None:
    """A slow sink: the server waits for us to take its data, and is told to stop all the same."""
    with CancelScope() as scope, query(postgres, MANY).open_bytes("csv") as chunks:
        next(chunks)
        scope.cancel()
        for _ in chunks:
            pass
    assert scope.cancelled_caught
    assert running(postgres) == []


def test_a_deadline_stops_the_query_on_the_server(postgres: PostgresDatabase) -> None:
    """As a cancel does."""
    with pytest.raises(DeadlineExceeded), fail_after(0.3):
        read_table(query(postgres, SLEEP))
    assert running(postgres) == []


def test_a_cancel_while_waiting_for_a_lock(postgres: PostgresDatabase) -> None:
    """Describing a table that somebody is altering waits; a cancel ends that too."""
    import psycopg

    postgres.execute("CREATE TABLE t (a int)")
    with psycopg.connect(postgres.dsn) as other:
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        call = Cancellable(lambda: read_table(source_of(postgres.uri, table="t")))
        wait_until(lambda: any("SELECT * FROM" in active for active in running(postgres)))
        assert call.cancel() < 0.5
        assert running(postgres) == []


def test_a_cancel_while_connecting() -> None:
    """A server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        call = Cancellable(
            lambda: read_table(source_of(f"postgresql://127.0.0.1:{listener.getsockname()[1]}/x", table="t"))
        )
        call.wait_still()
        assert call.cancel() < 0.5


def test_a_cancelled_scope_connects_to_nothing(postgres: PostgresDatabase) -> None:
    """Not a single statement is sent."""
    cancelled_at_once(lambda: read_table(query(postgres, "SELECT 1")))
    assert postgres.sessions() == []


@pytest.mark.parametrize("error", [KeyError("x"), BrokenError("the sink is gone"), KeyboardInterrupt()])
def test_an_error_in_the_block_stops_the_query(postgres: PostgresDatabase, error: BaseException) -> None:
    """It comes out as it is, an OSError too, and the server has stopped by then."""
    for opening in (lambda: query(postgres, MANY).open_bytes("csv"), lambda: query(postgres, MANY).open_batches()):
        with pytest.raises(type(error)) as caught, opening() as stream:
            next(iter(stream))
            raise error
        assert caught.value is error
        assert running(postgres) == []


def test_leaving_early_stops_the_query(postgres: PostgresDatabase) -> None:
    """Who wants the beginning of a hundred million rows gets it, and the server is free again."""
    with query(postgres, MANY).open_batches() as batches:
        assert next(iter(batches)).num_rows > 0
    assert running(postgres) == []


def test_descriptors_and_threads_are_gone(postgres: PostgresDatabase) -> None:
    """After success, failure, and leaving early."""
    before, threads = open_descriptors(), threading.active_count()
    read_table(query(postgres, "SELECT 1"))
    with pytest.raises(SourceError):
        read_table(query(postgres, "SELECT 1 / 0"))
    with query(postgres, MANY).open_bytes("csv") as chunks:
        next(chunks)
    assert open_descriptors() == before
    assert threading.active_count() == threads


def test_memory_does_not_grow_with_the_result(postgres: PostgresDatabase) -> None:
    """A hundred megabytes pass in chunks of a bounded size."""
    largest = total = 0
    with query(postgres, "SELECT repeat('x', 100) FROM generate_series(1, 1000000)").open_bytes("csv") as chunks:
        for chunk in chunks:
            total += len(chunk)
            largest = max(largest, len(chunk))
    assert total > 100_000_000
    assert largest < 256 << 10
