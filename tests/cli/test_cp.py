"""`penstock cp` end to end: what goes in comes out, whole, and one line says so."""

from __future__ import annotations

import gzip
import json

import pytest
import zstandard

from tests.cli.conftest import Penstock
from tests.servers.http import Ending, HttpServer
from tests.servers.postgres import PostgresDatabase
from tests.servers.s3 import S3Server

SUMMARY = "300,000 rows"


def test_a_table_to_standard_output_as_csv(shop: Penstock) -> None:
    """Data on standard output, one line on standard error."""
    result = shop("cp", "sqlite:///shop.db", "-", "-t", "orders")
    lines = result.stdout.splitlines()
    assert result.code == 0
    assert lines[0] == b"id,name,price"
    assert lines[1] == b'1,"item 1",0.25'
    assert lines[-1] == b'300000,"item 300000",75000'
    assert len(lines) == 300_001
    assert result.line.startswith(f"penstock: {SUMMARY}, ")
    assert result.line.endswith("nothing left behind")


def test_a_query_to_standard_output_as_ndjson(shop: Penstock) -> None:
    """Each row is a JSON object on a line of its own."""
    result = shop("cp", "sqlite:///shop.db", "-", "-q", "select id, name from orders", "--format", "ndjson")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.code == 0
    assert rows[0] == {"id": 1, "name": "item 1"}
    assert [row["id"] for row in rows] == list(range(1, 300_001))


@pytest.mark.parametrize(
    ("name", "decompress"),
    [
        ("orders.csv", bytes),
        ("orders.csv.gz", gzip.decompress),
        ("orders.csv.zst", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    ],
)
def test_a_table_to_a_file_named_by_its_suffix(shop: Penstock, name: str, decompress: object) -> None:
    """Format and compression are told by the name; no other file is left."""
    assert shop("cp", "sqlite:///shop.db", name, "-t", "orders").code == 0
    data = (shop.folder / name).read_bytes()
    assert callable(decompress)
    assert decompress(data).count(b"\n") == 300_001
    assert shop.files() == {name}


def test_a_file_to_another_format(penstock: Penstock) -> None:
    """CSV in, NDJSON out; CSV has no types, so what it holds is text."""
    (penstock.folder / "in.csv").write_text('id,name\n1,"a ""quoted"" one"\n2,\n')
    assert penstock("cp", "in.csv", "out.ndjson").code == 0
    rows = [json.loads(line) for line in (penstock.folder / "out.ndjson").read_text().splitlines()]
    assert rows == [{"id": "1", "name": 'a "quoted" one'}, {"id": "2", "name": None}]


def test_standard_input_to_standard_output(penstock: Penstock) -> None:
    """`-` on both sides, compressed on the way."""
    result = penstock(
        "cp", "-", "-", "--source-format", "csv", "--compression", "gzip", "--quiet", stdin=b"a,b\n1,2\n" * 1000
    )
    assert result.code == 0
    assert gzip.decompress(result.stdout) == b"a,b\n1,2\n" * 1000
    assert result.stderr == ""


def test_columns_where_and_limit(shop: Penstock) -> None:
    """Part of a table, in the order asked for."""
    flags = ["--columns", "price,id", "--where", "id > 10", "--limit", "2", "--quiet"]
    assert shop("cp", "sqlite:///shop.db", "-", "-t", "orders", *flags).stdout == b"price,id\n2.75,11\n3,12\n"


def test_a_query_from_a_file(shop: Penstock) -> None:
    """-f reads the query from a file."""
    (shop.folder / "two.sql").write_text("select 1 as one, 2 as two;\n")
    assert shop("cp", "sqlite:///shop.db", "-", "-f", "two.sql", "--quiet").stdout == b"one,two\n1,2\n"


def test_an_existing_file_is_left_alone_unless_told_otherwise(shop: Penstock) -> None:
    """Fail by default, skip if asked to, overwrite if asked to."""
    target = shop.folder / "orders.csv"
    target.write_text("mine")
    copy = ["cp", "sqlite:///shop.db", "orders.csv", "-t", "orders"]
    failed = shop(*copy)
    assert failed.code == 4
    assert "orders.csv" in failed.line
    assert "overwrite" in failed.line
    skipped = shop(*copy, "--if-exists", "skip")
    assert skipped.code == 0
    assert skipped.line == "penstock: skipped: orders.csv exists already"
    assert target.read_text() == "mine"
    assert shop(*copy, "--if-exists", "overwrite").code == 0
    assert target.read_bytes().count(b"\n") == 300_001


def test_a_summary_is_json(shop: Penstock) -> None:
    """--summary has the report for programs."""
    assert shop("cp", "sqlite:///shop.db", "out.csv", "-t", "orders", "--summary", "s.json", "--quiet").code == 0
    summary = json.loads((shop.folder / "s.json").read_text())
    assert (summary["status"], summary["exit_code"], summary["rows"]) == ("ok", 0, 300_000)
    assert summary["bytes"] == (shop.folder / "out.csv").stat().st_size
    assert [stage["name"] for stage in summary["stages"]] == ["source", "encoder", "sink"]
    assert summary["leaks"] == []


def test_progress_as_json_is_json_to_the_last_line(shop: Penstock) -> None:
    """A program that reads standard error finds objects only, the last one saying how it went."""
    done = shop("cp", "sqlite:///shop.db", "-", "-t", "orders", "--progress", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert events[-1]["event"] == "done"
    assert events[-1]["rows"] == 300_000
    failed = shop("cp", "sqlite:///shop.db", "-", "-t", "nothing", "--progress", "json")
    [event] = [json.loads(line) for line in failed.stderr.splitlines()]
    assert event["event"] == "failed"
    assert event["error"]["type"] == "SourceError"


def test_memory_stays_flat(shop: Penstock) -> None:
    """Ten times the rows need no more than a twentieth more memory."""
    counting = "with recursive n(i) as (select 1 union all select i + 1 from n limit {}) select i, hex(i) from n"

    def peak(rows: int) -> int:
        target = ["out.csv", "--if-exists", "overwrite", "--summary", "summary.json"]
        assert shop("cp", "sqlite:///shop.db", *target, "-q", counting.format(rows)).code == 0
        summary = json.loads((shop.folder / "summary.json").read_text())
        assert summary["rows"] == rows
        return int(summary["peak_memory_bytes"])

    assert peak(3_000_000) <= 1.05 * peak(300_000)


# -- with servers --------------------------------------------------------------------------------------------------


def test_a_table_to_an_http_endpoint(shop: Penstock, http_server: HttpServer) -> None:
    """One chunked POST, complete."""
    result = shop("cp", "sqlite:///shop.db", f"{http_server.url}/in", "-t", "orders", "--format", "ndjson")
    assert result.code == 0
    [request] = http_server.finished(1)
    assert (request.method, request.ending) == ("POST", Ending.COMPLETE)
    assert request.body.count(b"\n") == 300_000
    assert request.headers["transfer-encoding"] == "chunked"
    assert result.line.endswith(f"-> {http_server.url}/in")


def test_a_table_to_an_object_store(shop: Penstock, s3_server: S3Server, bucket: str) -> None:
    """In parts, compressed, with no upload left open."""
    result = shop("cp", "sqlite:///shop.db", f"s3://{bucket}/orders.csv.zst", "-t", "orders", **s3_server.environment)
    assert result.code == 0, result.stderr
    data = s3_server.read(bucket, "orders.csv.zst")
    assert zstandard.ZstdDecompressor().decompressobj().decompress(data).count(b"\n") == 300_001
    assert s3_server.uploads(bucket) == []
    assert result.line.endswith(f"-> s3://{bucket}/orders.csv.zst")


def test_a_postgres_table_to_a_file(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """COPY's own CSV passes through, and the server's count of rows is reported."""
    postgres.execute("create table orders as select i as id, 'item ' || i as name from generate_series(1, 1000) i")
    result = penstock("cp", postgres.uri, "orders.csv", "-t", "orders")
    assert result.code == 0, result.stderr
    assert (penstock.folder / "orders.csv").read_text().splitlines()[:2] == ["id,name", "1,item 1"]
    assert result.line.startswith("penstock: 1,000 rows, ")
    assert postgres.sessions() == []


def test_a_postgres_query_from_the_environment(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """What the address does not say comes from PG* variables, so that no password is on the command line."""
    variables = {
        "PGHOST": postgres.host,
        "PGPORT": str(postgres.port),
        "PGUSER": postgres.user,
        "PGPASSWORD": postgres.password,
        "PGDATABASE": postgres.name,
    }
    result = penstock("cp", "postgresql://", "-", "-q", "select 1 as one", "--format", "ndjson", **variables)
    assert result.code == 0, result.stderr
    assert json.loads(result.stdout) == {"one": 1}


def test_a_limit_of_no_rows_gives_the_columns(shop: Penstock) -> None:
    """Of a table and of a file, as LIMIT 0 does in SQL."""
    result = shop("cp", "sqlite:///shop.db", "-", "-t", "orders", "--columns", "id,name", "--limit", "0", "--quiet")
    assert (result.code, result.stdout) == (0, b"id,name\n")
    (shop.folder / "in.csv").write_text("a\n1\n")
    assert shop("cp", "in.csv", "-", "--limit", "0", "--quiet").stdout == b"a\n"
