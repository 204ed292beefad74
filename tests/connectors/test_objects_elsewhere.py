"""The same promises at other stores: MinIO, Azure's emulator, and, for reading, Google's. The optional tier."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from penstock.connectors import objects
from penstock.connectors.objects._part_plan import StoreLimits
from penstock.errors import AlreadyExists, ConfigurationError, SinkError, SourceError
from penstock.flow.contracts import Sink
from tests.connectors.parts import (
    SECRET,
    Cancellable,
    EndlessStream,
    Fails,
    Filling,
    data_stream,
    read_bytes,
    read_rows,
    reading,
    sink_of,
    source_of,
)
from tests.core.threads import wait_until
from tests.servers.object_stores import Azurite, FakeGcs
from tests.servers.s3 import S3Server

PART = 5 << 20
DATA = os.urandom(1 << 20) * 13


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """No cloud is configured but the one a test names."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "STORAGE_"))]:
        monkeypatch.delenv(name)

    def use(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return use


def sink_in(root: str, **options: object) -> Sink:
    return sink_of(f"{root}/folder/x.csv", **{"part_size": PART, "concurrency": 2, **options})


# --- MinIO ---


@pytest.fixture
def minio_bucket(minio_server: S3Server, environment: Callable[[dict[str, str]], None]) -> Iterator[str]:
    """A fresh bucket there."""
    environment(minio_server.environment)
    return minio_server.create_bucket()


@pytest.mark.parametrize("size", [0, 1, PART, len(DATA)])
def test_minio_an_object_arrives_whole(minio_server: S3Server, minio_bucket: str, size: int) -> None:
    """Written and read back through another server's idea of S3."""
    sink = sink_in(f"s3://{minio_bucket}")
    assert sink.check() is True
    receipt = sink.store(data_stream(DATA[:size]))
    assert receipt.details["parts"] == max(1, -(-size // PART))
    assert read_bytes(source_of(f"s3://{minio_bucket}/folder/x.csv")) == DATA[:size]
    assert minio_server.uploads(minio_bucket) == []


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_minio_completes_only_what_is_not_there(minio_server: S3Server, minio_bucket: str, size: int) -> None:
    """It knows the condition on completing, too."""
    sink_in(f"s3://{minio_bucket}").store(data_stream(b"somebody else's"))
    with pytest.raises(AlreadyExists):
        sink_in(f"s3://{minio_bucket}").store(data_stream(DATA[:size]))
    assert minio_server.read(minio_bucket, "folder/x.csv") == b"somebody else's"


def test_minio_a_cancel_leaves_nothing(minio_server: S3Server, minio_bucket: str) -> None:
    """The upload is gone when the call has returned; MinIO lists it only to who names its key."""
    sink = sink_in(f"s3://{minio_bucket}")
    stream = EndlessStream()
    call = Cancellable(lambda: sink.store(reading(stream)))
    wait_until(lambda: stream.given > 3 * PART)
    assert call.cancel() < 2.0
    assert minio_server.objects(minio_bucket) == {}
    assert minio_server.uploads(minio_bucket, key="folder/x.csv") == []


def test_minio_says_what_is_wrong(minio_bucket: str, environment: Callable[[dict[str, str]], None]) -> None:
    """A missing bucket, a wrong key."""
    with pytest.raises(SinkError, match="no such bucket"):
        sink_in("s3://absent-bucket").check()
    with pytest.raises(SinkError, match=r"no such storage class .check the option storage_class"):
        sink_in(f"s3://{minio_bucket}", options={"storage_class": "NONSENSE"}).store(data_stream(b"x"))
    sink_in(f"s3://{minio_bucket}", options={"storage_class": "REDUCED_REDUNDANCY"}).store(data_stream(DATA))
    environment({"AWS_SECRET_ACCESS_KEY": SECRET})
    with pytest.raises(SinkError, match="the secret key is wrong") as caught:
        sink_in(f"s3://{minio_bucket}").check()
    assert SECRET not in repr(caught.value.__cause__)


# --- Azure ---


@pytest.fixture
def container(azurite: Azurite, environment: Callable[[dict[str, str]], None]) -> str:
    """A fresh container there."""
    environment(azurite.environment)
    return azurite.create_container()


@pytest.mark.parametrize("size", [0, 1, PART, len(DATA)])
def test_azure_an_object_arrives_whole(azurite: Azurite, container: str, size: int) -> None:
    """Below, at and above the size of a part."""
    sink = sink_in(f"az://{container}")
    assert sink.check() is True
    receipt = sink.store(data_stream(DATA[:size]))
    assert receipt.bytes_stored == size
    assert azurite.objects(container) == {"folder/x.csv": size}
    assert azurite.read(container, "folder/x.csv") == DATA[:size]
    assert read_bytes(source_of(f"az://{container}/folder/x.csv")) == DATA[:size]


def test_azure_what_exists_is_found_before(container: str) -> None:
    """The three answers of if_exists, and the same again when it appears meanwhile."""
    root = f"az://{container}"
    sink_in(root).store(data_stream(b"old"))
    with pytest.raises(AlreadyExists, match="the object exists already"):
        sink_in(root).check()
    assert sink_in(root, if_exists="skip").check() is False
    for size in (10, 2 * PART):
        with pytest.raises(AlreadyExists):
            sink_in(root).store(data_stream(DATA[:size]))
    sink_in(root, if_exists="overwrite").store(data_stream(b"new"))
    assert read_bytes(source_of(f"{root}/folder/x.csv")) == b"new"


@pytest.mark.parametrize("sent", [0, 100, PART, 2 * PART + 5])
def test_azure_a_failing_stream_leaves_nothing_to_see(azurite: Azurite, container: str, sent: int) -> None:
    """No object. Azure has no abort: blocks that nobody committed are invisible, and dropped after a week."""
    with pytest.raises(Fails):
        sink_in(f"az://{container}").store(reading(Filling(DATA[:sent] or Fails(), Fails())))
    assert azurite.objects(container) == {}


def test_azure_the_number_of_parts_ends(azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts are all alike there, so what is beyond the last one is an error that says how to have larger ones."""
    two = StoreLimits(parts=2, smallest_part_bytes=1, largest_part_bytes=PART, grows=False)
    monkeypatch.setitem(objects._LIMITS, "az", two)
    with pytest.raises(SinkError, match=r"larger than 2 parts of 5.0 MiB, 10.0 MiB .give larger parts"):
        sink_in(f"az://{container}").store(data_stream(DATA))
    assert azurite.objects(container) == {}
    assert sink_in(f"az://{container}").store(data_stream(DATA[: 2 * PART])).details["parts"] == 2


def test_azure_an_object_is_removed(azurite: Azurite, container: str) -> None:
    """Also if it is not there any more."""
    sink = sink_in(f"az://{container}")
    sink.store(data_stream(b"x"))
    sink.remove()  # type: ignore[attr-defined]  # an ObjectSink is more than a Sink
    assert azurite.objects(container) == {}
    sink.remove()  # type: ignore[attr-defined]


def test_azure_says_what_is_wrong(container: str, environment: Callable[[dict[str, str]], None]) -> None:
    """A missing container, a missing object, a wrong key, no account; no secret in any of it."""
    with pytest.raises(SinkError, match=r"no such container .create it first"):
        sink_in("az://absent-container").check()
    with pytest.raises(SourceError, match="no such object"):
        read_bytes(source_of(f"az://{container}/x.csv"))
    connection = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    key = connection.partition("AccountKey=")[2].partition(";")[0]
    environment({"AZURE_STORAGE_CONNECTION_STRING": connection.replace(key, "aHVudGVyMi12ZXJ5LXNlY3JldA==")})
    with pytest.raises(SinkError, match=r"access denied|the account key is wrong") as caught:
        sink_in(f"az://{container}").check()
    assert "aHVudGVyMi" not in f"{caught.value!r} {caught.value.__cause__!r}"
    signature = "SharedAccessSignature=sv=2022-11-02&ss=b&srt=sco&sp=rl&se=2099-01-01T00:00:00Z&sig=aHVudGVyMi12"
    environment({"AZURE_STORAGE_CONNECTION_STRING": connection.replace(f"AccountKey={key}", signature)})
    with pytest.raises(SourceError, match="access denied") as caught_reading:
        read_bytes(source_of(f"az://{container}/x.csv"))
    assert "aHVudGVyMi" not in f"{caught_reading.value!r} {caught_reading.value.__cause__!r}"
    environment({"AZURE_STORAGE_CONNECTION_STRING": ""})
    with pytest.raises(ConfigurationError, match="set AZURE_STORAGE_ACCOUNT_NAME"):
        sink_in(f"az://{container}").check()


def test_azure_patterns_and_jumping(container: str) -> None:
    """Listed, sorted, and read by ranges."""
    root = f"az://{container}"
    for name, rows in (("b", "2\n"), ("a", "1\n")):
        sink_of(f"{root}/t/{name}.csv").store(data_stream(f"n\n{rows}".encode()))
    assert read_rows(source_of(f"{root}/t/*.csv")) == [{"n": "1"}, {"n": "2"}]


# --- Google ---


def test_google_objects_are_read(fake_gcs: FakeGcs, environment: Callable[[dict[str, str]], None]) -> None:
    """One, and those that match a pattern; uploads, which the emulator does not know, are in test_objects_google.py."""
    environment(fake_gcs.environment)
    bucket = fake_gcs.create_bucket()
    for name, data in (("t/b.csv", b"n\n2\n"), ("t/a.csv", b"n\n1\n"), ("t/a.txt", b"")):
        fake_gcs.write(bucket, name, data)
    assert read_bytes(source_of(f"gs://{bucket}/t/a.csv")) == b"n\n1\n"
    assert read_rows(source_of(f"gs://{bucket}/t/*.csv")) == [{"n": "1"}, {"n": "2"}]
    with pytest.raises(SourceError, match="no such object"):
        read_bytes(source_of(f"gs://{bucket}/t/c.csv"))
