"""Writing to Google Cloud Storage: its XML interface, spoken to Swift through a door that translates the dialect."""

from __future__ import annotations

import os

import pytest

from penstock.errors import AlreadyExists, SinkError, SourceError
from penstock.flow.contracts import Sink
from tests.connectors.parts import (
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
from tests.servers.s3 import S3Server

PART = 5 << 20
DATA = os.urandom(1 << 20) * 11
KEY = "folder/a b+c%20ü.csv"


@pytest.fixture
def google(s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket, and no cloud configured but this one."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "STORAGE_"))]:
        monkeypatch.delenv(name)
    for name, value in s3_server.google_environment.items():
        monkeypatch.setenv(name, value)
    return bucket


def sink_in(bucket: str, **options: object) -> Sink:
    return sink_of(f"gs://{bucket}/{KEY}", **{"part_size": PART, "concurrency": 2, **options})


def nothing_in(server: S3Server, bucket: str) -> bool:
    server.heal()
    return server.objects(bucket) == {} and server.uploads(bucket) == []


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, len(DATA)])
def test_an_object_arrives_whole(s3_server: S3Server, google: str, size: int) -> None:
    """Below, at and above the size of a part; read back through the same interface."""
    before = s3_server.statistics().requests
    sink = sink_in(google)
    assert sink.check() is True
    receipt = sink.store(data_stream(DATA[:size]))
    assert receipt.bytes_stored == size
    assert s3_server.objects(google) == {KEY: size}
    assert read_bytes(source_of(f"gs://{google}/{KEY}")) == DATA[:size]
    assert s3_server.uploads(google) == []
    parts = s3_server.statistics().requests.get("UploadPart", 0) - before.get("UploadPart", 0)
    assert (parts, receipt.details["parts"]) == ((0, 1) if size < PART else (-(-size // PART), -(-size // PART)))


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_what_exists_is_not_replaced(s3_server: S3Server, google: str, size: int) -> None:
    """The three answers of if_exists; and the same again when it appears between looking and storing."""
    sink_in(google).store(data_stream(b"old"))
    with pytest.raises(AlreadyExists, match="the object exists already"):
        sink_in(google).check()
    assert sink_in(google, if_exists="skip").check() is False
    with pytest.raises(AlreadyExists):
        sink_in(google).store(data_stream(DATA[:size]))
    assert s3_server.read(google, KEY) == b"old"
    assert s3_server.uploads(google) == []
    overwriting = sink_in(google, if_exists="overwrite")
    assert overwriting.check() is True
    overwriting.store(data_stream(DATA[:size]))
    assert s3_server.read(google, KEY) == DATA[:size]


@pytest.mark.parametrize("sent", [0, 100, PART, 2 * PART + 5])
def test_a_failing_stream_leaves_nothing(s3_server: S3Server, google: str, sent: int) -> None:
    """Its own error arrives; no object, no upload."""
    error = Fails()
    with pytest.raises(Fails) as caught:
        sink_in(google).store(reading(Filling(DATA[:sent] or error, error)))
    assert caught.value is error
    assert nothing_in(s3_server, google)


def test_a_cancel_leaves_nothing(s3_server: S3Server, google: str) -> None:
    """The upload is gone when the call has returned."""
    stream = EndlessStream()
    call = Cancellable(lambda: sink_in(google).store(reading(stream)))
    wait_until(lambda: stream.given > 3 * PART)
    assert call.cancel() < 2.0
    assert nothing_in(s3_server, google)


def test_a_cancel_does_not_wait_for_a_store_that_is_silent(s3_server: S3Server, google: str) -> None:
    """Parts that are not answered: the upload is aborted all the same."""
    s3_server.hold("UploadPart", times=100)
    call = Cancellable(lambda: sink_in(google).store(reading(EndlessStream())))
    wait_until(lambda: s3_server.statistics().held.get("UploadPart", 0) > 0)
    assert call.cancel() < 2.0
    assert nothing_in(s3_server, google)


def test_a_cancel_while_a_small_object_is_stored_waits_for_the_answer(s3_server: S3Server, google: str) -> None:
    """The store has all of it and would keep it; so what is there is also told. After a second it is not waited for."""
    before = s3_server.statistics().held.get("PutObject", 0)
    s3_server.hold("PutObject")
    call = Cancellable(lambda: sink_in(google).store(data_stream(b"x")))
    wait_until(lambda: s3_server.statistics().held.get("PutObject", 0) > before)
    call.scope.cancel()
    s3_server.heal()
    call.running.join()
    assert not call.scope.cancelled_caught
    assert s3_server.objects(google) == {KEY: 1}
    s3_server.hold("PutObject")
    call = Cancellable(lambda: sink_in(google, if_exists="overwrite").store(data_stream(b"xy")))
    wait_until(lambda: s3_server.statistics().held.get("PutObject", 0) > before + 1)
    assert call.cancel() < 2.0
    s3_server.heal()


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_refusal_leaves_nothing(s3_server: S3Server, google: str, operation: str) -> None:
    """Whichever step is refused, it is an error of the sink that says so, and nothing stays."""
    s3_server.refuse(operation, times=1, status=403, code="AccessDenied")
    with pytest.raises(SinkError, match="access denied"):
        sink_in(google).store(data_stream(DATA))
    assert nothing_in(s3_server, google)


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_burst_of_503_is_outlasted(s3_server: S3Server, google: str, operation: str) -> None:
    """Each step is tried again."""
    before = s3_server.statistics().refused.get(operation, 0)
    data = DATA[:100] if operation == "PutObject" else DATA
    s3_server.refuse(operation, times=2)
    sink_in(google).store(data_stream(data))
    assert s3_server.statistics().refused[operation] - before == 2
    assert s3_server.read(google, KEY) == data


def test_what_is_wrong_is_said(google: str) -> None:
    """A missing bucket, a missing object, a storage class that this store does not have."""
    with pytest.raises(SinkError, match=r"no such bucket .create it first"):
        sink_in("absent-bucket").check()
    with pytest.raises(SourceError, match="no such object"):
        read_bytes(source_of(f"gs://{google}/x.csv"))
    sink_in(google, options={"storage_class": "STANDARD"}).store(data_stream(b"x"))
    with pytest.raises(SinkError, match="storage class"):
        sink_in(google, options={"storage_class": "COLDLINE"}, if_exists="overwrite").store(data_stream(DATA))


def test_an_object_is_removed(s3_server: S3Server, google: str) -> None:
    """Also if it is not there any more."""
    sink = sink_in(google)
    sink.store(data_stream(b"x"))
    sink.remove()  # type: ignore[attr-defined]  # an ObjectSink is more than a Sink
    assert s3_server.objects(google) == {}
    sink.remove()  # type: ignore[attr-defined]


def test_patterns_are_listed_and_read(google: str) -> None:
    """What was written there, sorted."""
    for name, rows in (("b", "2\n"), ("a", "1\n")):
        sink_of(f"gs://{google}/t/{name}.csv").store(data_stream(f"n\n{rows}".encode()))
    assert read_rows(source_of(f"gs://{google}/t/*.csv")) == [{"n": "1"}, {"n": "2"}]


def test_who_shows_no_token_is_refused(google: str, s3_server: S3Server) -> None:
    """The door lets nobody through unasked."""
    options = {"no_sign_request": "true", "endpoint": s3_server.endpoint}
    with pytest.raises(SinkError, match="access denied"):
        sink_in(google, options=options).store(data_stream(b"x"))
    assert nothing_in(s3_server, google)
