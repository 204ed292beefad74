"""S3: an object appears whole, or nothing remains: no object, no open upload."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from time import monotonic

import pytest

from penstock.connectors.objects._s3_client import Patience
from penstock.errors import AlreadyExists, BrokenError, Cancelled, ConfigurationError, SinkError, SourceError
from penstock.flow.contracts import Removable
from tests.connectors.parts import (
    SECRET,
    Cancellable,
    EndlessStream,
    Fails,
    Filling,
    cancelled_at_once,
    data_stream,
    open_descriptors,
    read_bytes,
    read_table,
    reading,
    silent_stream,
    sink_of,
    source_of,
)
from tests.connectors.stores import DATA, PART, holding, left, sink_in, use_only
from tests.core.threads import wait_until
from tests.servers.s3 import S3Server


@pytest.fixture(autouse=True)
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point every client at the private store, and at nothing else."""
    wants_server = "s3_server" in request.fixturenames
    use_only(request.getfixturevalue("s3_server").environment if wants_server else {}, monkeypatch)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread of the connector outlives a test."""
    yield
    assert [thread.name for thread in threading.enumerate() if "penstock" in thread.name] == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a failing store after one more try."""
    monkeypatch.setattr("penstock.connectors.objects._s3_writing._PATIENT", Patience(tries=2))


def store_noting(bucket: str, data: bytes, notes: list[str]) -> None:
    """Store ``data``; add to ``notes`` what a cancel has to say."""
    try:
        sink_in(bucket).store(data_stream(data))
    except Cancelled as exc:
        notes.extend(getattr(exc, "__notes__", []))
        raise


# --- success ---


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, len(DATA)])
def test_an_object_of_any_size_arrives_whole(s3_server: S3Server, bucket: str, size: int) -> None:
    """Below, at and above the size of a part; the receipt says how."""
    sink = sink_in(bucket)
    assert sink.check() is True
    receipt = sink.store(data_stream(DATA[:size]))
    assert s3_server.read(bucket, "folder/x.csv") == DATA[:size]
    assert left(s3_server, bucket) == ({"folder/x.csv": size}, [])
    assert receipt.location == f"s3://{bucket}/folder/x.csv"
    assert receipt.bytes_stored == size
    assert receipt.details["parts"] == max(1, -(-size // PART))


def test_short_reads_make_no_difference(s3_server: S3Server, bucket: str) -> None:
    """What comes in pieces of any size is the same object."""
    sizes = iter([1, 700_000, 3_000_000, 17, 5 << 20])
    position, pieces = 0, []
    while position < len(DATA):
        size = next(sizes, 1_000_001)
        pieces.append(DATA[position : position + size])
        position += size
    sink_in(bucket).store(reading(Filling(*pieces)))
    assert s3_server.read(bucket, "folder/x.csv") == DATA


@pytest.mark.parametrize("key", ["a b/ü.csv", "a%20b.csv", "a?b.csv", "a#b+c&d.csv", "a@b:c'd~e.csv"])
def test_keys_may_hold_any_characters(s3_server: S3Server, bucket: str, key: str) -> None:
    """A key is taken character for character: nothing in it is decoded, or cut off as a query."""
    sink_of(f"s3://{bucket}/{key}").store(data_stream(b"x"))
    assert s3_server.objects(bucket) == {key: 1}
    assert read_table(source_of(f"s3://{bucket}/{key}")).column_names == ["x"]


@pytest.mark.parametrize("key", ["a//b.csv", "../b.csv", "./b.csv"])
def test_keys_that_obstore_would_change_are_refused(bucket: str, key: str) -> None:
    """Rather an error than an object under another name."""
    with pytest.raises(ConfigurationError, match=r"empty, . or .. as a part"):
        sink_of(f"s3://{bucket}/{key}")


def test_only_so_many_parts_are_held(s3_server: S3Server, bucket: str) -> None:
    """While no part gets through, reading stops after the parts that may be in flight."""
    held = holding(s3_server, "UploadPart", times=100)
    stream = EndlessStream()
    call = Cancellable(lambda: sink_in(bucket).store(reading(stream)))
    wait_until(lambda: held() >= 2)
    call.wait_still()
    assert stream.given <= 4 * PART
    call.cancel()


# --- looking before ---


def test_what_exists_is_found_before(s3_server: S3Server, bucket: str) -> None:
    """The three answers of if_exists."""
    sink_in(bucket).store(data_stream(b"old"))
    with pytest.raises(AlreadyExists, match=f"^s3://{bucket}/folder/x.csv: the object exists already"):
        sink_in(bucket).check()
    assert sink_in(bucket, if_exists="skip").check() is False
    assert sink_in(bucket, if_exists="overwrite").check() is True
    sink_in(bucket, if_exists="overwrite").store(data_stream(b"new"))
    assert s3_server.read(bucket, "folder/x.csv") == b"new"


@pytest.mark.parametrize("size", [10, 2 * PART])
@pytest.mark.parametrize("if_exists", ["fail", "skip"])
def test_an_object_that_appears_meanwhile_is_not_replaced(
    s3_server: S3Server, bucket: str, size: int, if_exists: str
) -> None:
    """Small objects by a conditional PUT, uploads by looking again before the end."""
    sink = sink_in(bucket, if_exists=if_exists)
    assert sink.check() is True
    sink_in(bucket).store(data_stream(b"somebody else's"))
    with pytest.raises(AlreadyExists):
        sink.store(data_stream(DATA[:size]))
    assert s3_server.read(bucket, "folder/x.csv") == b"somebody else's"
    assert s3_server.uploads(bucket) == []


def test_what_was_stored_can_be_removed(s3_server: S3Server, bucket: str) -> None:
    """As one of several parts of a copy that has failed as a whole; twice is as good as once."""
    sink = sink_in(bucket)
    sink.store(data_stream(b"x"))
    assert isinstance(sink, Removable)
    sink.remove()
    sink.remove()
    assert s3_server.objects(bucket) == {}


def test_a_bucket_that_does_not_exist_is_found_before(s3_server: S3Server) -> None:
    """One line: where, what, what to do."""
    with pytest.raises(SinkError) as caught:
        sink_in("absent-bucket").check()
    assert str(caught.value) == "s3://absent-bucket/folder/x.csv: no such bucket (create it first; is its name right?)"
    assert caught.value.__cause__ is not None


def test_wrong_credentials_are_found_before(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which variable to check is said, what is in it is not."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with pytest.raises(SinkError, match=r"the secret key is wrong .check AWS_SECRET_ACCESS_KEY") as caught:
        sink_in(bucket).check()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_store_that_is_not_there_is_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection and an unknown host, in seconds, not minutes."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    for endpoint, said in (("http://127.0.0.1:1", "connection refused"), ("http://nowhere.invalid", "unknown host")):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        began = monotonic()
        with pytest.raises(SinkError, match=f"{said} .is AWS_ENDPOINT_URL right") as caught:
            sink_in("bucket").check()
        assert monotonic() - began < 5
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("number", ["301", "401", "403", "404", "412", "429", "503"])
def test_a_number_in_a_key_is_no_status(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    """What is wrong is the endpoint, whatever the key, or the port, looks like."""
    use_only({"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}, monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SourceError, match="connection refused"):
        read_bytes(source_of(f"s3://bucket/{number}/{number}.csv"))


def test_who_may_not_list_may_still_write(s3_server: S3Server, bucket: str) -> None:
    """S3 answers 403 to who may not list, where it would say 404 to others; that is no reason to refuse."""
    s3_server.refuse("GetBucket", status=403, code="AccessDenied")
    s3_server.refuse("HeadObject", status=403, code="AccessDenied")
    assert sink_in(bucket).check() is True


# --- failing ---


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (0, Fails("at once")),
        (100, Fails("half-way")),
        (PART, BrokenError("the encoder is gone")),
        (2 * PART + 5, OSError("of another")),
        (2 * PART + 5, KeyboardInterrupt()),
    ],
)
def test_a_failing_stream_leaves_nothing(s3_server: S3Server, bucket: str, sent: int, error: BaseException) -> None:
    """Its own exception comes out; no object, no upload, no descriptor remains."""
    with pytest.raises(type(error)) as caught:
        sink_in(bucket).store(reading(Filling(DATA[:sent] or error, error)))
    assert caught.value is error
    assert getattr(caught.value, "__notes__", []) == []
    assert left(s3_server, bucket) == ({}, [])


def test_a_failing_stream_leaves_the_old_object(s3_server: S3Server, bucket: str) -> None:
    """Overwriting is not begun before the new content is complete."""
    sink_in(bucket).store(data_stream(b"old"))
    with pytest.raises(Fails):
        sink_in(bucket, if_exists="overwrite").store(reading(Filling(DATA, Fails())))
    assert s3_server.read(bucket, "folder/x.csv") == b"old"
    assert s3_server.uploads(bucket) == []


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
@pytest.mark.parametrize(
    ("status", "code", "said"), [(403, "AccessDenied", "access denied"), (503, "SlowDown", "the store is overloaded")]
)
def test_a_store_that_refuses_leaves_nothing(
    s3_server: S3Server, bucket: str, impatient: None, operation: str, status: int, code: str, said: str
) -> None:
    """Wherever in the upload it refuses, whatever it got is gone again."""
    s3_server.refuse(operation, times=100, status=status, code=code)
    with pytest.raises(SinkError, match=f"^s3://{bucket}/folder/x.csv: {said}") as caught:
        sink_in(bucket).store(data_stream(DATA))
    assert caught.value.transient is (status == 503)
    s3_server.heal()
    assert left(s3_server, bucket) == ({}, [])


def test_a_refusal_that_passes_is_got_over(s3_server: S3Server, bucket: str) -> None:
    """503 once or twice is the daily bread of object stores."""
    for operation in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"):
        s3_server.refuse(operation, times=1)
    sink_in(bucket).store(data_stream(DATA))
    assert s3_server.read(bucket, "folder/x.csv") == DATA


def test_an_abort_that_fails_is_said(s3_server: S3Server, bucket: str, impatient: None) -> None:
    """What may remain is in the notes of the error that was the reason."""
    s3_server.refuse("AbortMultipartUpload", times=100, status=403, code="AccessDenied")
    with pytest.raises(Fails) as caught:
        sink_in(bucket).store(reading(Filling(DATA, Fails())))
    assert "an unfinished upload may remain there" in "".join(caught.value.__notes__)


# --- cancelling ---


def test_a_cancel_while_waiting_for_data_leaves_nothing(s3_server: S3Server, bucket: str) -> None:
    """Before the first byte."""
    with silent_stream() as stream:
        call = Cancellable(lambda: sink_in(bucket).store(stream))
        call.running.wait_parked()
        assert call.cancel() < 0.5
    assert left(s3_server, bucket) == ({}, [])


def test_a_cancel_while_parts_are_on_their_way_leaves_nothing(s3_server: S3Server, bucket: str) -> None:
    """The store answers to no part, but to the abort."""
    held = holding(s3_server, "UploadPart", times=100)
    call = Cancellable(lambda: sink_in(bucket).store(reading(EndlessStream())))
    wait_until(lambda: held() >= 2)
    assert call.cancel() < 1.0
    s3_server.heal()
    assert left(s3_server, bucket) == ({}, [])


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "CompleteMultipartUpload"])
def test_a_cancel_at_an_unsure_moment_waits_for_the_answer(s3_server: S3Server, bucket: str, operation: str) -> None:
    """While the store creates or completes, nobody knows what there will be to abort; its answer is waited for."""
    held = holding(s3_server, operation)
    call = Cancellable(lambda: sink_in(bucket).store(data_stream(DATA)))
    wait_until(lambda: held() >= 1)
    call.scope.cancel()
    s3_server.heal()
    call.running.join()
    objects, uploads = left(s3_server, bucket)
    assert uploads == []
    assert objects == ({} if operation == "CreateMultipartUpload" else {"folder/x.csv": len(DATA)})
    assert call.scope.cancelled_caught == (operation == "CreateMultipartUpload")


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "CompleteMultipartUpload"])
def test_a_store_that_never_answers_is_given_up_on(
    s3_server: S3Server, bucket: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the grace the cancel goes through. What was created unseen may remain, and is said; the rest is aborted."""
    if operation == "CreateMultipartUpload":
        monkeypatch.setattr("penstock.connectors.objects._s3_upload.GRACE_SECONDS", 0.2)
    held = holding(s3_server, operation)
    notes: list[str] = []
    call = Cancellable(lambda: store_noting(bucket, DATA, notes))
    wait_until(lambda: held() >= 1)
    assert call.cancel() < 4.0
    if operation == "CreateMultipartUpload":
        assert notes == [f"s3://{bucket}/folder/x.csv: the store did not answer, an unfinished upload may remain there"]
    else:
        assert notes == []
        s3_server.heal()
        assert left(s3_server, bucket) == ({}, [])


def test_a_cancel_while_a_small_object_is_stored_waits_for_the_answer(s3_server: S3Server, bucket: str) -> None:
    """The store has all of it and would keep it, whether anybody listens or not; so what is there is also told."""
    held = holding(s3_server, "PutObject", is_whole=True)
    call = Cancellable(lambda: sink_in(bucket).store(data_stream(b"x")))
    wait_until(lambda: held() >= 1)
    call.scope.cancel()
    s3_server.heal()
    call.running.join()
    assert not call.scope.cancelled_caught
    assert left(s3_server, bucket) == ({"folder/x.csv": 1}, [])


def test_a_store_that_never_answers_to_a_small_object(s3_server: S3Server, bucket: str) -> None:
    """After a second the cancel goes through, and says that nobody knows."""
    held = holding(s3_server, "PutObject", is_whole=True)
    notes: list[str] = []
    call = Cancellable(lambda: store_noting(bucket, b"x", notes))
    wait_until(lambda: held() >= 1)
    assert call.cancel() < 2.0
    assert notes == [f"s3://{bucket}/folder/x.csv: the store did not answer, the object may be there, and whole"]


def test_a_cancel_of_check(s3_server: S3Server, bucket: str) -> None:
    """Looking is interrupted as well."""
    held = holding(s3_server, "GetBucket")
    call = Cancellable(lambda: sink_in(bucket).check())
    wait_until(lambda: held() >= 1)
    assert call.cancel() < 0.5


def test_a_cancelled_scope_stores_nothing(s3_server: S3Server, bucket: str) -> None:
    """Not even the one PUT of a small object."""
    cancelled_at_once(lambda: sink_in(bucket).store(data_stream(b"x")))
    assert left(s3_server, bucket) == ({}, [])


def test_descriptors_are_closed(s3_server: S3Server, bucket: str) -> None:
    """The event loop's own; connections to the store are pooled by obstore until its client is dropped."""
    sink_in(bucket).store(data_stream(DATA))
    before = {entry for entry in open_descriptors() if "socket" not in entry}
    with pytest.raises(Fails):
        sink_in(bucket, if_exists="overwrite").store(reading(Filling(DATA, Fails())))
    assert {entry for entry in open_descriptors() if "socket" not in entry} == before


def test_it_works_under_a_running_event_loop(s3_server: S3Server, bucket: str) -> None:
    """A notebook has one in the thread that calls."""
    import asyncio

    async def main() -> None:
        sink = sink_in(bucket)
        assert sink.check() is True
        sink.store(data_stream(b"x"))

    asyncio.run(main())
    assert s3_server.objects(bucket) == {"folder/x.csv": 1}
