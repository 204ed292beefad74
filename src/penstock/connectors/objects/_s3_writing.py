"""Write objects to S3, and to stores that speak its protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from penstock.connectors._grace import with_grace
from penstock.connectors.objects._part_body import PIECE_BYTES, MemoryBody, PartBody
from penstock.connectors.objects._part_plan import PartPlan
from penstock.connectors.objects._s3_client import Patience, S3Client, S3Settings
from penstock.connectors.objects._s3_errors import code_of, is_condition_failed, status_of
from penstock.connectors.objects._s3_upload import MultipartUpload
from penstock.connectors.objects._writing import PUT_GRACE_SECONDS, Stored, already_exists, may_be_there
from penstock.core.cancel import check_cancelled
from penstock.errors import SinkError
from penstock.flow.contracts import ByteReader

__all__ = ["S3Writing"]

_PATIENT = Patience()
_IMPATIENT = Patience(tries=2, seconds=5.0)  # for looking: a typo should fail at once


@final
@dataclass(frozen=True)
class S3Writing:
    """How to write one object, as :class:`penstock.connectors.objects._writing.Writing` asks for it.

    Attributes:
        address: ``Bucket`` and ``Key``.
        attributes: what the object is created with, under botocore's names.
        settings: how to reach the store.
        plan: how large the parts of an upload are.
        concurrency: how many are sent at once.
        where: the object, as messages show it.
    """

    address: Mapping[str, str]
    attributes: Mapping[str, str]
    settings: S3Settings
    plan: PartPlan
    concurrency: int
    where: str

    @contextmanager
    def looking(self) -> Iterator[_OpenS3]:
        """Connect for a check, which fails soon."""
        with S3Client(self.settings, where=self.where, connections=1, patience=_IMPATIENT) as client:
            yield _OpenS3(self, client)

    @contextmanager
    def storing(self) -> Iterator[_OpenS3]:
        """Connect for an upload, which is patient."""
        with S3Client(self.settings, where=self.where, connections=self.concurrency + 1, patience=_PATIENT) as client:
            yield _OpenS3(self, client)


@final
class _OpenS3:
    def __init__(self, writing: S3Writing, client: S3Client) -> None:
        self._writing = writing
        self._client = client

    def is_there(self) -> bool:
        """List the first key that begins with ours, which is ours if the object exists. Detects a missing bucket too."""
        bucket, key = self._writing.address["Bucket"], self._writing.address["Key"]
        try:
            answer = self._client.call("list_objects_v2", {"Bucket": bucket, "Prefix": key, "MaxKeys": 1})
        except SinkError as exc:
            if code_of(exc) not in {"AccessDenied", "403"}:
                raise
            return self.is_still_there()  # who may write need not be allowed to list
        return any(entry["Key"] == key for entry in answer.get("Contents", ()))

    def is_still_there(self) -> bool:
        """Whether the object exists, by a request for it alone."""
        try:
            self._client.call("head_object", self._writing.address)
        except SinkError as exc:
            if status_of(exc) in {403, 404}:
                return False  # 403 is how S3 says "not there" to who may not list
            raise
        return True

    def put(self, body: PartBody, *, only_if_absent: bool) -> Stored:
        """Store an object that is one part, with one request."""
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        writing = self._writing
        unanswered: list[SinkError] = []

        def is_sent() -> bool:
            return bool(unanswered) or body.tell() == body.size

        check_cancelled()
        try:
            with may_be_there(writing.where, is_sent), with_grace(PUT_GRACE_SECONDS, only_if=is_sent):
                answer = self._client.call(
                    "put_object",
                    {**writing.address, **writing.attributes, **condition, "ContentLength": body.size, "Body": body},
                    on_failure=lambda exc: unanswered.append(exc) if not status_of(exc) else None,
                )
        except SinkError as exc:
            if not is_condition_failed(exc):
                raise
            digest = _md5(body)
            if unanswered and self._entity_tag() == digest:
                return Stored(body.size, 1, digest)  # an earlier try has stored it, and its answer was lost
            raise already_exists(writing.where) from exc
        return Stored(body.size, 1, str(answer.get("ETag", "")).strip('"'))

    def remove(self) -> None:
        """Delete the object; S3 does not mind if there is none."""
        self._client.call("delete_object", self._writing.address)

    def _entity_tag(self) -> str:
        return str(self._client.call("head_object", self._writing.address)["ETag"]).strip('"')

    def upload(self, first: MemoryBody, stream: ByteReader, *, only_if_absent: bool) -> Stored:
        """Store an object in parts: ``first``, then what ``stream`` has."""
        writing = self._writing
        upload = MultipartUpload(
            self._client,
            writing.address,
            writing.attributes,
            plan=writing.plan,
            concurrency=writing.concurrency,
            where=writing.where,
        )
        with upload:
            upload.begin()
            upload.send(first, stream)
            if only_if_absent and self.is_still_there():  # there are stores that complete whatever the condition says
                raise already_exists(writing.where)
            etag = upload.complete(only_if_absent=only_if_absent)
        return Stored(upload.bytes_sent, upload.parts, etag)


def _md5(body: PartBody) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    body.seek(0)
    while piece := body.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()
