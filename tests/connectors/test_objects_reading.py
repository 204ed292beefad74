"""Reading objects: whole, by pattern, or jumping about in them."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import ConfigurationError, SourceError
from penstock.flow.contracts import Describable
from tests.connectors.parts import (
    Cancellable,
    data_stream,
    read_bytes,
    read_rows,
    read_table,
    sink_of,
    source_of,
)
from tests.connectors.stores import DATA, holding, use_only
from tests.core.threads import wait_until
from tests.servers.proxy import Proxy, Trouble
from tests.servers.s3 import S3Server


@pytest.fixture(autouse=True)
def environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point every client at the private store, and at nothing else."""
    use_only(s3_server.environment, monkeypatch)


def write(bucket: str, **objects: bytes) -> None:
    """Store objects; ``__`` in a name is a slash, and ``_`` a dot."""
    for name, data in objects.items():
        key = name.replace("__", "/").replace("_", ".")
        sink_of(f"s3://{bucket}/{key}").store(data_stream(data))


def test_an_object_is_read_whole(s3_server: S3Server, bucket: str) -> None:
    """As bytes, and as rows, decompressed by its name."""
    data = b"a,b\n" + b"1,x\n" * 2_000_000
    sink_of(f"s3://{bucket}/x.csv").store(data_stream(data))
    sink_of(f"s3://{bucket}/y.csv.gz").store(data_stream(gzip.compress(b"a\n1\n")))
    assert read_bytes(source_of(f"s3://{bucket}/x.csv")) == data
    assert read_rows(source_of(f"s3://{bucket}/y.csv.gz")) == [{"a": "1"}]


def test_what_is_not_there_is_said(s3_server: S3Server, bucket: str) -> None:
    """An object, and a bucket."""
    with pytest.raises(SourceError, match=f"^s3://{bucket}/x.csv: no such object .is the key right"):
        read_bytes(source_of(f"s3://{bucket}/x.csv"))
    with pytest.raises(SourceError, match=r"^s3://absent-bucket/x.csv: no such (bucket|object)"):
        read_bytes(source_of("s3://absent-bucket/x.csv"))


def test_leaving_early_reads_no_further(s3_server: S3Server, bucket: str) -> None:
    """Who wants the beginning gets it, and the rest is let go."""
    sink_of(f"s3://{bucket}/x.csv").store(data_stream(DATA))
    with source_of(f"s3://{bucket}/x.csv").open_bytes("csv") as chunks:
        assert DATA.startswith(next(chunks))


@pytest.mark.parametrize("operation", ["HeadObject", "GetObject"])
def test_a_cancel_ends_the_wait_for_an_object(s3_server: S3Server, bucket: str, operation: str) -> None:
    """The store does not answer, and nobody waits for it."""
    sink_of(f"s3://{bucket}/x.csv").store(data_stream(b"x"))
    held = holding(s3_server, operation)
    call = Cancellable(lambda: read_bytes(source_of(f"s3://{bucket}/x.csv")))
    wait_until(lambda: held() >= 1)
    assert call.cancel() < 0.5


def test_a_connection_that_breaks_is_no_end(s3_server: S3Server, bucket: str) -> None:
    """Cut in the middle of an object, reading goes on where it broke, over a new connection."""
    write(bucket, x_csv=DATA)
    with Proxy(s3_server.port, down=Trouble("cut", after_bytes=3 << 20)) as proxy:
        source = source_of(f"s3://{bucket}/x.csv", options={"endpoint": f"http://127.0.0.1:{proxy.port}"})
        assert read_bytes(source) == DATA
        assert proxy.troubled >= 1


# --- many ---


def test_objects_that_match_are_read_one_after_another(s3_server: S3Server, bucket: str) -> None:
    """In the order of their names, whatever their compression says; others, and those in other folders, are not."""
    write(bucket, t__b_csv=b"n\n2\n", t__a_csv=b"n\n1\n", t__a_txt=b"no", t__u__c_csv=b"n\n9\n", z_csv=b"n\n0\n")
    assert read_rows(source_of(f"s3://{bucket}/t/*.csv")) == [{"n": "1"}, {"n": "2"}]
    assert read_rows(source_of(f"s3://{bucket}/t/**.csv")) == [{"n": "1"}, {"n": "2"}, {"n": "9"}]
    write(bucket, n__a_ndjson=b'{"x":1}', n__b_ndjson=b'{"x":2}')
    assert read_bytes(source_of(f"s3://{bucket}/n/?.ndjson")) == b'{"x":1}\n{"x":2}\n'


def test_more_objects_than_a_page_has(s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing goes on where its page ends."""
    write(bucket, t__a_csv=b"n\n1\n", t__b_csv=b"n\n2\n", t__c_csv=b"n\n3\n")
    monkeypatch.setattr("penstock.connectors.objects._reading._PAGE_ITEMS", 2)
    assert [row["n"] for row in read_rows(source_of(f"s3://{bucket}/t/*", format="csv"))] == ["1", "2", "3"]


def test_a_pattern_that_matches_nothing_is_an_error(s3_server: S3Server, bucket: str) -> None:
    """So is one in a bucket that is not there."""
    with pytest.raises(SourceError, match=f"^s3://{bucket}/\\*.csv: nothing matches this pattern"):
        read_rows(source_of(f"s3://{bucket}/*.csv"))
    with pytest.raises(SourceError, match=r"no such bucket"):
        read_rows(source_of("s3://absent-bucket/*.csv"))


# --- jumping ---


def parquet_of(table: pa.Table, **options: object) -> bytes:
    """A Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return sink.getvalue().to_pybytes()


TABLE = pa.table({"n": pa.array(range(50_000)), "s": [f"text {number}" for number in range(50_000)]})


def test_parquet_is_read_by_ranges(s3_server: S3Server, bucket: str) -> None:
    """From its end, and only what is wanted of it."""
    write(bucket, t_parquet=parquet_of(TABLE, row_group_size=5000))
    assert read_table(source_of(f"s3://{bucket}/t.parquet")).equals(TABLE)


def test_an_object_that_is_replaced_while_it_is_read(s3_server: S3Server, bucket: str) -> None:
    """Its beginning and another one's end are no object: that is an error, and says so."""
    data = parquet_of(TABLE, row_group_size=2000, compression="none")
    write(bucket, t_parquet=data)
    source = source_of(f"s3://{bucket}/t.parquet", batch_bytes=16 << 10)
    with source.open_batches() as batches:
        rows = iter(batches)
        next(rows)
        sink_of(f"s3://{bucket}/t.parquet", if_exists="overwrite").store(data_stream(data[:-1] + b"x"))
        with pytest.raises(SourceError, match=r"the object was replaced while it was read .run it again"):
            for _ in rows:
                pass


def test_a_cancel_ends_a_jump(s3_server: S3Server, bucket: str) -> None:
    """The store answers no range, and nobody waits for it."""
    write(bucket, t_parquet=parquet_of(TABLE))
    held = holding(s3_server, "GetObject")
    call = Cancellable(lambda: read_table(source_of(f"s3://{bucket}/t.parquet")))
    wait_until(lambda: held() >= 1)
    assert call.cancel() < 0.5


# --- what else there is to say ---


def test_a_source_describes_itself(s3_server: S3Server, bucket: str) -> None:
    """How many bytes, which columns; for a pattern, how many objects."""
    write(bucket, t__a_csv=b"n,s\n1,x\n", t__b_csv=b"n,s\n2,y\n")
    one, many = source_of(f"s3://{bucket}/t/a.csv"), source_of(f"s3://{bucket}/t/*.csv")
    assert isinstance(one, Describable)
    assert isinstance(many, Describable)
    assert one.describe("csv").estimated_bytes == 8
    assert [column.name for column in one.describe(None).columns] == ["n", "s"]
    assert "2 of them" in many.describe(None).reading


def test_options_reach_the_store(s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint and a region given with the request, instead of by the environment."""
    write(bucket, x_csv=b"n\n1\n")
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    options = {"endpoint": s3_server.endpoint, "region": "us-east-1"}
    assert read_rows(source_of(f"s3://{bucket}/x.csv", options=options)) == [{"n": "1"}]


@pytest.mark.parametrize(
    ("uri", "options", "said"),
    [
        ("s3://bucket/x.csv", {"regoin": "x"}, "unknown option 'regoin'.*did you mean.*region"),
        ("gs://bucket/x.csv", {"region": "x"}, "unknown option 'region'"),
        ("s3://bucket/x.csv", {"no_sign_request": "perhaps"}, "no_sign_request is true or false, not 'perhaps'"),
        ("az://bucket", {}, "write az://container/key"),
        ("gs://key:secret@bucket/x.csv", {}, r"gs://key:\*\*\*@bucket/x.csv: write gs://bucket/key; credentials"),
    ],
)
def test_what_makes_no_sense_is_refused(uri: str, options: dict[str, object], said: str) -> None:
    """Before anything is connected to."""
    with pytest.raises(ConfigurationError, match=said):
        read_rows(source_of(uri, options=options))
