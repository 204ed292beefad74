"""S3 and stores that speak its protocol, through obstore.

``s3://bucket/key``. Credentials, region and endpoint come from the ``AWS_*`` environment; a plain-http
``AWS_ENDPOINT_URL`` is used as given, path-style.

An object appears whole or not at all. What fits into one part is one PUT; larger streams are a multipart upload that
is completed after the stream has ended by itself, and aborted when anything fails or is cancelled. Two moments of an
upload can not be undone, only waited for: while the store answers to "create" (nobody knows the upload's id yet) and
to "complete". A cancel gives these ``GRACE_SECONDS``; if the store does not answer by then, an unfinished
upload may remain there, and the error says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, cast, final

from penstock._extras import need
from penstock.connectors._loop_thread import LoopThread
from penstock.connectors._requests import IfExists, SinkRequest, SourceRequest
from penstock.connectors._s3_errors import error_code, translating
from penstock.connectors._s3_upload import GRACE_SECONDS, Upload
from penstock.connectors._stored import StoredSource
from penstock.errors import AlreadyExists, ConfigurationError, SinkError, SourceError
from penstock.flow.contracts import Receipt

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["GRACE_SECONDS", "S3Sink", "sink", "source"]

_PIECE_BYTES = 1 << 20
_DEFAULT_PART_BYTES = 16 << 20
_SMALLEST_PART_BYTES = 5 << 20
_DEFAULT_CONCURRENCY = 4
_DEFAULT_REGION = "us-east-1"
_CONNECT_TIMEOUT = timedelta(seconds=10)
_REQUEST_TIMEOUT = timedelta(minutes=5)  # one part over a slow line; obstore's 30 s are too short for 32 MiB
_PATIENT = {"max_retries": 8, "retry_timeout": timedelta(minutes=2)}
_IMPATIENT = {"max_retries": 1, "retry_timeout": timedelta(seconds=5)}  # for looking: a typo should fail at once


def source(request: SourceRequest) -> StoredSource:
    """Make a source that reads an object."""
    bucket, key = _bucket_and_key(request.uri, request.shown)
    return StoredSource(request, key, lambda: _reading(bucket, key, request.shown))


def sink(request: SinkRequest) -> S3Sink:
    """Make a sink that writes an object."""
    request.refuse_method()
    bucket, key = _bucket_and_key(request.uri, request.shown)
    return S3Sink(
        bucket,
        key,
        media_type=_COMPRESSED_MEDIA_TYPES.get(request.compression, request.media_type),
        if_exists=request.if_exists,
        part_bytes=request.part_size or _DEFAULT_PART_BYTES,
        concurrency=request.concurrency or _DEFAULT_CONCURRENCY,
    )


# Not Content-Encoding: with that, browsers and some clients would decompress a .gz behind the reader's back.
_COMPRESSED_MEDIA_TYPES: dict[str | None, str] = {"gzip": "application/gzip", "zstd": "application/zstd"}


def _bucket_and_key(uri: str, shown: str) -> tuple[str, str]:
    """Take the address apart. The key is what follows the bucket, character for character: it is no path of a URI."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    if "@" in bucket:
        raise ConfigurationError(f"{shown}: write s3://bucket/key; credentials come from the AWS_* environment")
    if not bucket or not key or key.endswith("/"):
        raise ConfigurationError(f"{shown}: write s3://bucket/key")
    if {"", ".", ".."} & set(key.split("/")):
        raise ConfigurationError(f"{shown}: a key with an empty, . or .. as a part is not supported")
    _obstore()  # now rather than half-way: MissingExtra says how to install it
    return bucket, key


def _store(bucket: str, retry: dict[str, Any]) -> Any:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION
    return need("obstore.store", extra="s3", why="reach S3").S3Store(
        bucket,
        region=region,
        client_options={
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
            "connect_timeout": _CONNECT_TIMEOUT,
            "timeout": _REQUEST_TIMEOUT,
        },
        retry_config=retry,
        **({} if endpoint is None else {"endpoint": endpoint, "virtual_hosted_style_request": False}),
    )


def _obstore() -> Any:
    return need("obstore", extra="s3", why="reach S3")


# --- reading ----------------------------------------------------------------------------------------------------


@contextmanager
def _reading(bucket: str, key: str, where: str) -> Iterator[ByteReader]:
    with LoopThread("penstock s3") as loop:
        with translating(where, SourceError):
            quick, store = _store(bucket, _IMPATIENT), _store(bucket, _PATIENT)
            loop.call(lambda: _obstore().head_async(quick, key))
            got = loop.call(lambda: _obstore().get_async(store, key))
            chunks = got.stream(min_chunk_size=_PIECE_BYTES).__aiter__()
        yield cast(BinaryIO, _Object(loop, chunks, got.meta["size"], where))


class _Object:
    """A reader of the chunks of an object, which ends only after all of its bytes."""

    def __init__(self, loop: LoopThread, chunks: Any, size_bytes: int, where: str) -> None:
        self._loop = loop
        self._chunks = chunks
        self._missing_bytes = size_bytes
        self._where = where
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        parts = []
        while size:
            if not self._rest and not self._fill():
                break
            part = self._rest if size < 0 else self._rest[:size]
            self._rest = self._rest[len(part) :]
            size -= len(part) if size > 0 else 0
            parts.append(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        with translating(self._where, SourceError):
            chunk = self._loop.call(lambda: anext(self._chunks, None))
        if chunk is None and self._missing_bytes:
            raise SourceError(f"the object stops {self._missing_bytes} bytes before its end", where=self._where)
        self._rest = memoryview(b"" if chunk is None else bytes(chunk))
        self._missing_bytes -= len(self._rest)
        return chunk is not None


# --- writing ----------------------------------------------------------------------------------------------------


@final
class S3Sink:
    """Writes one object. Use through :func:`penstock.connectors.open_sink`."""

    def __init__(
        self, bucket: str, key: str, *, media_type: str, if_exists: IfExists, part_bytes: int, concurrency: int
    ) -> None:
        self.display_name = f"s3://{bucket}/{key}"
        if part_bytes < _SMALLEST_PART_BYTES:
            raise ConfigurationError(f"{self.display_name}: parts must have at least 5 MiB, not {part_bytes} bytes")
        self._bucket = bucket
        self._key = key
        self._if_exists = if_exists
        self._part_bytes = part_bytes
        self._concurrency = concurrency
        self._attributes = {"Content-Type": media_type}

    def check(self) -> bool:
        """Look whether bucket and object are there; False when the copy is to be skipped.

        Blocks for some seconds at most when the store does not answer; a cancel interrupts it.

        Raises:
            AlreadyExists: the object is there and ``if_exists`` is ``"fail"``.
            SinkError: no such bucket, wrong credentials, no such host.
        """
        with LoopThread("penstock s3") as loop:
            store = self._opened_store(_IMPATIENT)
            self._check_bucket(loop, store)
            if self._if_exists == "overwrite" or not self._exists(loop, store):
                return True
        if self._if_exists == "skip":
            return False
        raise self._already_exists()

    def store(self, stream: ByteReader) -> Receipt:
        """Upload ``stream`` to its end, then make the object appear.

        Blocks while all parts in flight are on their way; a cancel interrupts that.

        Raises:
            AlreadyExists: an object appeared there meanwhile. Of an upload in parts this is looked at just before
                the end, as obstore can not make completing conditional.
            SinkError: the store failed, after retries.
        """
        first_part = stream.read(self._part_bytes)
        with LoopThread("penstock s3") as loop:
            store = self._opened_store(_PATIENT)
            if len(first_part) < self._part_bytes:
                return self._put(loop, store, first_part)
            upload = Upload(loop, self._opened_writer(store), where=self.display_name)
            with upload:
                upload.begin(first_part)
                del first_part  # its memory is for the parts in flight
                while piece := stream.read(_PIECE_BYTES):
                    upload.write(piece)
                if self._if_exists != "overwrite" and self._exists(loop, store):
                    raise self._already_exists()
                upload.complete()
        parts = -(-upload.bytes_written // self._part_bytes)
        return self._receipt(upload.bytes_written, parts=parts)

    def _opened_store(self, retry: dict[str, Any]) -> Any:
        with translating(self.display_name, SinkError):
            return _store(self._bucket, retry)

    def _opened_writer(self, store: Any) -> Any:
        return _obstore().open_writer_async(
            store,
            self._key,
            buffer_size=self._part_bytes,
            max_concurrency=self._concurrency,
            attributes=self._attributes,
        )

    def _check_bucket(self, loop: LoopThread, store: Any) -> None:
        try:
            with translating(self.display_name, SinkError):
                loop.call(lambda: _obstore().list_with_delimiter_async(store, self._key))
        except SinkError as exc:
            if error_code(exc.__cause__ or exc) != "AccessDenied":
                raise
            # Who may write need not be allowed to list; the bucket is there.

    def _exists(self, loop: LoopThread, store: Any) -> bool:
        try:
            with translating(self.display_name, SinkError):
                loop.call(lambda: _obstore().head_async(store, self._key))
        except SinkError as exc:
            if error_code(exc.__cause__ or exc) in {"403", "404"}:
                return False  # 403 is how S3 says "not there" to who may not list
            raise
        return True

    def _put(self, loop: LoopThread, store: Any, data: bytes) -> Receipt:
        mode = "overwrite" if self._if_exists == "overwrite" else "create"
        try:
            with translating(self.display_name, SinkError):
                result = loop.call(
                    lambda: _obstore().put_async(
                        store, self._key, data, mode=mode, attributes=self._attributes, use_multipart=False
                    )
                )
        except SinkError as exc:
            if isinstance(exc.__cause__, _obstore().exceptions.AlreadyExistsError):
                raise self._already_exists() from exc
            raise
        return self._receipt(len(data), parts=1, etag=result["e_tag"])

    def _receipt(self, bytes_stored: int, **details: object) -> Receipt:
        return Receipt(location=self.display_name, bytes_stored=bytes_stored, details=details)

    def _already_exists(self) -> AlreadyExists:
        return AlreadyExists(
            "the object exists already", where=self.display_name, hint="if_exists may be overwrite or skip"
        )
