"""S3 at its worst: answers that are lost, connections that break or stall, parts that outgrow memory, odd settings."""

from __future__ import annotations

import base64
import gc
import tempfile
import traceback
from pathlib import Path

import pytest

from penstock.connectors import objects
from penstock.connectors.objects import _part_plan
from penstock.connectors.objects._part_plan import StoreLimits
from penstock.connectors.objects._s3_client import Patience
from penstock.errors import AlreadyExists, ConfigurationError, SinkError, SourceError
from tests.connectors.parts import (
    SECRET,
    Cancellable,
    EndlessStream,
    Fails,
    Filling,
    data_stream,
    open_descriptors,
    read_bytes,
    reading,
    source_of,
)
from tests.connectors.proxies import tunnelling
from tests.connectors.stores import DATA, PART, holding, left, sink_in, use_only
from tests.connectors.tls import in_front_of, make_certificate
from tests.core.threads import wait_until
from tests.servers.proxy import Proxy, Trouble
from tests.servers.s3 import S3Server

KEY = "folder/x.csv"


@pytest.fixture(autouse=True)
def environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point every client at the private store, and at nothing else."""
    use_only(s3_server.environment, monkeypatch)


# --- silence ---


def test_a_store_that_stays_silent_is_asked_twice(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of a try that met silence counts; else nine of two minutes each would be waited for."""
    monkeypatch.setattr("penstock.connectors.objects._s3_client._READ_SECONDS", 1.0)
    monkeypatch.setattr("penstock.connectors.objects._s3_writing._PATIENT", Patience(seconds=1.5))
    held = holding(s3_server, "PutObject", times=100, is_whole=True)
    with pytest.raises(SinkError, match="no answer in time"):
        sink_in(bucket).store(data_stream(b"x"))
    assert held() == 2
    s3_server.heal()


# --- answers that are lost ---


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_an_answer_that_is_lost_is_got_over(s3_server: S3Server, bucket: str, operation: str) -> None:
    """The store did what it was asked, and we do not know; in the end there is the object, and no second upload."""
    s3_server.lose(operation)
    receipt = sink_in(bucket).store(data_stream(DATA))
    assert receipt.details["parts"] == 3
    assert s3_server.read(bucket, KEY) == DATA
    assert s3_server.uploads(bucket) == []


def test_a_small_object_whose_answer_is_lost(s3_server: S3Server, bucket: str) -> None:
    """Asked again, the store says that the object is there: it is our own."""
    s3_server.lose("PutObject")
    assert sink_in(bucket).store(data_stream(b"x")).bytes_stored == 1
    assert s3_server.read(bucket, KEY) == b"x"


def test_nobody_elses_upload_is_aborted(s3_server: S3Server, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    """Two uploads of our key begun in the same seconds: one may be somebody else's, so both stay, and ours succeeds."""
    other = s3_server.begin_upload(bucket, KEY)
    s3_server.lose("CreateMultipartUpload")
    sink_in(bucket).store(data_stream(DATA))
    assert s3_server.read(bucket, KEY) == DATA
    assert other in s3_server.upload_ids(bucket)
    assert "more than one upload there could be ours, an unfinished upload may remain there" in caplog.text


# --- connections that break or stall ---


def at(proxy: Proxy) -> dict[str, object]:
    """Options that lead to the store through ``proxy``."""
    return {"options": {"endpoint": f"http://127.0.0.1:{proxy.port}"}}


def test_connections_that_break_are_got_over(s3_server: S3Server, bucket: str) -> None:
    """Every connection is cut in the middle of its second part, and the parts are sent again."""
    with Proxy(s3_server.port, up=Trouble("cut", after_bytes=PART + (PART >> 1))) as proxy:
        sink_in(bucket, **at(proxy)).store(data_stream(DATA * 2))
        assert proxy.troubled >= 1
    assert s3_server.read(bucket, KEY) == DATA * 2
    assert s3_server.uploads(bucket) == []


def test_a_store_that_stalls_is_left(s3_server: S3Server, bucket: str) -> None:
    """It takes nothing more in the middle of a part; a cancel needs it for nothing, and the upload is aborted."""
    with Proxy(s3_server.port, up=Trouble("stall", after_bytes=PART >> 1)) as proxy:
        call = Cancellable(lambda: sink_in(bucket, **at(proxy)).store(reading(EndlessStream())))
        wait_until(lambda: proxy.troubled >= 2)
        assert call.cancel() < 2.0
    assert left(s3_server, bucket) == ({}, [])


def test_a_burst_of_refusals_is_got_over(s3_server: S3Server, bucket: str) -> None:
    """Several 503 in a row for every part, waited out with growing delays."""
    s3_server.refuse("UploadPart", times=6)
    sink_in(bucket).store(data_stream(DATA))
    assert s3_server.read(bucket, KEY) == DATA


# --- the last moment ---


def test_an_object_that_appears_while_ours_is_completed(s3_server: S3Server, bucket: str) -> None:
    """Later than any look could notice: the store itself refuses, where it knows the condition."""
    held = holding(s3_server, "CompleteMultipartUpload")
    call = Cancellable(lambda: sink_in(bucket).store(data_stream(DATA)))
    wait_until(lambda: held() >= 1)
    sink_in(bucket).store(data_stream(b"somebody else's"))
    s3_server.heal()
    with pytest.raises(AlreadyExists):
        call.running.result(30)
    assert s3_server.read(bucket, KEY) == b"somebody else's"
    assert s3_server.uploads(bucket) == []


def test_who_may_not_list_parts_may_still_abort(s3_server: S3Server, bucket: str) -> None:
    """Making sure that the upload is gone is refused, which is not taken for its being there."""
    s3_server.refuse("ListParts", times=10, status=403, code="AccessDenied")
    s3_server.refuse("UploadPart", times=1, status=403, code="AccessDenied")
    with pytest.raises(SinkError) as caught:
        sink_in(bucket).store(data_stream(DATA))
    assert getattr(caught.value, "__notes__", []) == []
    assert left(s3_server, bucket) == ({}, [])


def test_an_upload_without_parts_on_their_way_is_aborted_with_one_request(s3_server: S3Server, bucket: str) -> None:
    """Only a part that is still arriving could outlive that, so nothing is asked for afterwards."""
    asked = holding(s3_server, "ListParts")
    s3_server.refuse("CompleteMultipartUpload", times=1, status=403, code="AccessDenied")
    with pytest.raises(SinkError) as caught:
        sink_in(bucket).store(data_stream(DATA))
    assert getattr(caught.value, "__notes__", []) == []
    assert asked() == 0
    assert left(s3_server, bucket) == ({}, [])


def test_a_cancelled_upload_closes_its_connections_itself(s3_server: S3Server, bucket: str) -> None:
    """Not the garbage collector, which may come much later: the copy would wait for it."""
    before = open_descriptors()
    held = holding(s3_server, "UploadPart")
    gc.disable()
    try:
        call = Cancellable(lambda: sink_in(bucket).store(data_stream(DATA)))
        wait_until(lambda: held() >= 1)
        assert call.cancel() < 2.0
        assert open_descriptors() == before
    finally:
        gc.enable()
    s3_server.heal()


# --- parts that grow ---


@pytest.fixture
def growing_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts grow from the second on, and double from the third on."""
    monkeypatch.setattr(_part_plan, "_SAME_SIZE_PARTS", 1)
    monkeypatch.setattr(_part_plan, "_PARTS_BOUND_BY_MEMORY", 2)
    monkeypatch.setattr(_part_plan, "_FAST_GROWTH", 1)


def test_parts_that_outgrow_memory_go_by_way_of_a_file(s3_server: S3Server, bucket: str, growing_soon: None) -> None:
    """5, 5, 10 and 19 MiB: the object is whole, and no descriptor is left."""
    before = {entry for entry in open_descriptors() if "socket" not in entry}
    receipt = sink_in(bucket).store(data_stream(DATA * 3))
    assert receipt.details["parts"] == 4
    assert s3_server.read(bucket, KEY) == DATA * 3
    assert {entry for entry in open_descriptors() if "socket" not in entry} == before


def test_a_failure_leaves_no_temporary_file(s3_server: S3Server, bucket: str, growing_soon: None) -> None:
    """Neither the part that is being filled nor those on their way."""
    before = {entry for entry in open_descriptors() if "socket" not in entry}
    with pytest.raises(Fails):
        sink_in(bucket).store(reading(Filling(DATA * 3, Fails())))
    assert {entry for entry in open_descriptors() if "socket" not in entry} == before
    assert left(s3_server, bucket) == ({}, [])


def test_no_room_for_a_temporary_file(
    s3_server: S3Server, bucket: str, growing_soon: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Says what to do about it, and leaves nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(SinkError, match=r"temporary file: No such file .*TMPDIR says where, or raise max_memory"):
        sink_in(bucket).store(data_stream(DATA * 3))
    assert left(s3_server, bucket) == ({}, [])


def test_the_number_of_parts_ends(s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the last part there can be: an error that says how large the object may be, and nothing is left."""
    two = StoreLimits(parts=2, smallest_part_bytes=PART, largest_part_bytes=PART, grows=True)
    monkeypatch.setitem(objects._LIMITS, "s3", two)
    with pytest.raises(SinkError, match=r"larger than 2 parts, 10.0 MiB .split it, or give larger parts"):
        sink_in(bucket).store(data_stream(DATA))
    assert left(s3_server, bucket) == ({}, [])
    assert sink_in(bucket).store(data_stream(DATA[: 2 * PART])).details["parts"] == 2


# --- settings ---


def test_a_profile_has_the_credentials(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As option and as variable; one that is not there is an error."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    keys = f"aws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
    (tmp_path / "credentials").write_text(f"[work]\n{keys}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert sink_in(bucket, options={"profile": "work"}).check() is True
    with pytest.raises(ConfigurationError, match=r"profile .absent. could not be found|absent"):
        sink_in(bucket, options={"profile": "absent"}).check()
    with pytest.raises(SinkError, match=r"no credentials found .set AWS_ACCESS_KEY_ID"):
        sink_in(bucket).check()
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert sink_in(bucket).check() is True


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (400, "ExpiredToken", "the credentials have expired .log in again"),
        (400, "InvalidToken", "the session token is wrong .check AWS_SESSION_TOKEN"),
        (403, "InvalidAccessKeyId", "unknown access key .check AWS_ACCESS_KEY_ID"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong"),
        (301, "PermanentRedirect", "the bucket is in another region .set AWS_REGION"),
    ],
)
def test_what_the_store_says_in_plain_words(
    s3_server: S3Server, bucket: str, status: int, code: str, said: str
) -> None:
    """What is wrong, and what to do."""
    s3_server.refuse("GetBucket", times=10, status=status, code=code)
    with pytest.raises(SinkError, match=said):
        sink_in(bucket).check()


def test_tls_is_verified(s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A certificate that nobody vouches for is refused; with its authority named, objects go both ways."""
    certificate = make_certificate(tmp_path)
    with in_front_of(s3_server.port, certificate) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{port}")
        with pytest.raises(SinkError, match=r"the server's certificate is not trusted here.*AWS_CA_BUNDLE"):
            sink_in(bucket).check()
        with pytest.raises(SourceError, match=r"the server's certificate is not trusted here"):
            read_bytes(source_of(f"s3://{bucket}/{KEY}"))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        sink_in(bucket).store(data_stream(DATA))
        assert read_bytes(source_of(f"s3://{bucket}/{KEY}")) == DATA


def test_a_cancel_under_tls(s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Interrupts as well what waits inside the TLS layer."""
    certificate = make_certificate(tmp_path)
    with in_front_of(s3_server.port, certificate) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        held = holding(s3_server, "UploadPart", times=100)
        call = Cancellable(lambda: sink_in(bucket).store(reading(EndlessStream())))
        wait_until(lambda: held() >= 2)
        assert call.cancel() < 2.0
        s3_server.heal()
    assert left(s3_server, bucket) == ({}, [])


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test says which there is."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_proxy_is_used(
    s3_server: S3Server, bucket: str, no_proxy: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both ways, through a tunnel that learns its own password and nothing else."""
    certificate = make_certificate(tmp_path)
    with in_front_of(s3_server.port, certificate) as port, tunnelling(port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        monkeypatch.setenv("HTTPS_PROXY", f"http://anna:{SECRET}%40@127.0.0.1:{proxy.port}")
        sink_in(bucket).store(data_stream(b"x"))
        written = len(proxy.heads)
        assert read_bytes(source_of(f"s3://{bucket}/{KEY}")) == b"x"
        assert len(proxy.heads) > written >= 1
    password = base64.b64encode(f"anna:{SECRET}@".encode()).decode()
    assert all(f"proxy-authorization: basic {password}".lower() in head.lower() for head in proxy.heads)


def test_a_proxy_that_refuses_is_an_error(
    s3_server: S3Server, bucket: str, no_proxy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In our words, and without its password."""
    with tunnelling(s3_server.port, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:1")
        monkeypatch.setenv("HTTPS_PROXY", f"http://anna:{SECRET}@127.0.0.1:{proxy.port}")
        with pytest.raises(SinkError, match="407") as caught:
            sink_in(bucket).check()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
