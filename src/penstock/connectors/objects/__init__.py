"""The connector of object stores: S3 and stores that speak its protocol, Google Cloud Storage, Azure Blob Storage.

``s3://bucket/key``, ``gs://bucket/key``, ``az://container/key``. A key with wildcards (``2024/*.csv.gz``, ``**``) reads
every object that matches, in order. Credentials come from where each cloud's users keep them:

- S3: the ``AWS_*`` environment, ``~/.aws``, SSO and roles, as botocore finds them. A plain-http ``AWS_ENDPOINT_URL``
  is used as given, path-style. Options: ``endpoint``, ``region``, ``profile``, ``no_sign_request``; to write also
  ``sse``, ``sse_kms_key_id``, ``storage_class``.
- Google: ``GOOGLE_APPLICATION_CREDENTIALS``, ``GOOGLE_SERVICE_ACCOUNT``, gcloud's own, the machine's account;
  ``STORAGE_EMULATOR_HOST``. Options: ``endpoint``, ``no_sign_request``, to write ``storage_class``.
- Azure: ``AZURE_STORAGE_ACCOUNT_NAME``, ``..._ACCOUNT_KEY``, ``..._SAS_TOKEN``, ``..._CONNECTION_STRING``, service
  principals and managed identities. Options: ``account``, ``endpoint``, ``no_sign_request``, to write ``storage_class``.

An object appears whole or not at all. What fits into one part is one PUT; larger streams are an upload in parts that
is completed after the stream has ended by itself, and aborted when anything fails or is cancelled. See
:mod:`penstock.connectors.objects._s3_upload` for what happens at the moments at which nobody can know what the store has done.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast, final

from penstock._extras import need
from penstock.connectors._requests import IfExists, SinkRequest, SourceRequest
from penstock.connectors._stored import MultiStoredSource, StoredSource
from penstock.connectors._uri import scheme_of
from penstock.connectors.objects._address import ObjectAddress, Scheme, address_of, is_pattern
from penstock.connectors.objects._part_body import MemoryBody, read_part
from penstock.connectors.objects._part_plan import PartPlan, StoreLimits
from penstock.connectors.objects._reading import ObjectReading
from penstock.connectors.objects._s3_writing import S3Writing
from penstock.connectors.objects._stores import open_store
from penstock.connectors.objects._writing import ObstoreWriting, Writing, already_exists
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Receipt

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["ObjectSink", "part_plan", "sink", "source"]

_MIB = 1 << 20
_GIB = 1 << 30
_DEFAULT_PART_ROOM = 16 * _MIB
_ENOUGH_PART_BYTES = 8 * _MIB  # where later ones can be larger; more only takes more memory (docs/performance.md)
_DEFAULT_CONCURRENCY = 4

_LIMITS: dict[Scheme, StoreLimits] = {
    "s3": StoreLimits(parts=10_000, smallest_part_bytes=5 * _MIB, largest_part_bytes=5 * _GIB, grows=True),
    "gs": StoreLimits(parts=10_000, smallest_part_bytes=5 * _MIB, largest_part_bytes=5 * _GIB, grows=False),
    "az": StoreLimits(parts=50_000, smallest_part_bytes=1, largest_part_bytes=4000 * _MIB, grows=False),
}

# Not Content-Encoding: with that, browsers and some clients would decompress a .gz behind the reader's back.
_COMPRESSED_MEDIA_TYPES: dict[str | None, str] = {"gzip": "application/gzip", "zstd": "application/zstd"}


def source(request: SourceRequest) -> StoredSource | MultiStoredSource:
    """Make a source that reads an object, or those that match a pattern."""
    address = address_of(request)
    _check_installed()
    reading = ObjectReading(address, open_store)
    if is_pattern(address.key):
        return MultiStoredSource(request, address.key, reading.names, reading.opener_for)
    return StoredSource(request, address.key, reading.opener_for(address.where))


def sink(request: SinkRequest) -> ObjectSink:
    """Make a sink that writes an object."""
    request.refuse_method()
    address = address_of(request)
    _check_installed()
    concurrency = request.concurrency or _DEFAULT_CONCURRENCY
    room = request.part_room or request.part_size or _DEFAULT_PART_ROOM
    plan = part_plan(request.uri, room, concurrency, part_size=request.part_size)
    if plan.part_bytes < plan.limits.smallest_part_bytes:
        least = plan.limits.smallest_part_bytes // _MIB
        raise ConfigurationError(f"{address.where}: parts must have at least {least} MiB, not {plan.part_bytes} bytes")
    media_type = _COMPRESSED_MEDIA_TYPES.get((request.compression or "").partition(":")[0], request.media_type)
    make = _writing_s3 if address.scheme == "s3" else _writing_obstore
    return ObjectSink(make(address, media_type, plan, concurrency), plan, address.where, if_exists=request.if_exists)


def part_plan(uri: str, part_room: int, concurrency: int, *, part_size: int | None = None) -> PartPlan:
    """Return how large each part of an upload to ``uri`` would be. Pure.

    Args:
        uri: where to; its scheme counts.
        part_room: bytes of memory for each part.
        concurrency: how many are sent at once; with the one being filled, that many and one are in memory.
        part_size: bytes of the first parts; None: 8 MiB to S3, where parts grow, else all the room there is.
    """
    limits = _LIMITS[cast(Scheme, scheme_of(uri))]
    if part_size is None:
        part_size = min(part_room, _ENOUGH_PART_BYTES) if limits.grows else part_room
    return PartPlan(part_bytes=part_size, memory_bytes=part_room * (concurrency + 1), limits=limits)


def _check_installed() -> None:
    """Raise MissingExtra, which says how to install it, now rather than half-way."""
    need("obstore", extra="s3", why="reach an object store")
    need("botocore", extra="s3", why="reach S3")


def _writing_s3(address: ObjectAddress, media_type: str, plan: PartPlan, concurrency: int) -> Writing:
    names = {"sse": "ServerSideEncryption", "sse_kms_key_id": "SSEKMSKeyId", "storage_class": "StorageClass"}
    chosen = {name: text for option, name in names.items() if (text := address.text(option))}
    return S3Writing(
        address={"Bucket": address.bucket, "Key": address.key},
        attributes={"ContentType": media_type, **chosen},
        settings=address.s3_settings(),
        plan=plan,
        concurrency=concurrency,
        where=address.where,
    )


def _writing_obstore(address: ObjectAddress, media_type: str, plan: PartPlan, concurrency: int) -> Writing:
    attributes = {"Content-Type": media_type}
    if storage_class := address.text("storage_class"):
        attributes["Storage-Class"] = storage_class
    return ObstoreWriting(
        open_store=partial(open_store, address),
        key=address.key,
        attributes=attributes,
        plan=plan,
        concurrency=concurrency,
        where=address.where,
    )


@final
class ObjectSink:
    """Writes one object. Use through :func:`penstock.connectors.open_sink`.

    Attributes:
        display_name: where to, as messages show it.
        plan: how large the parts of an upload are.
    """

    def __init__(self, writing: Writing, plan: PartPlan, where: str, *, if_exists: IfExists) -> None:
        self.display_name = where
        self.plan = plan
        self._writing = writing
        self._if_exists = if_exists

    def check(self) -> bool:
        """Check whether the bucket and the object exist; return False if the copy is to be skipped.

        Blocks for some seconds at most if the store does not answer; a cancel interrupts it.

        Raises:
            AlreadyExists: the object exists and ``if_exists`` is ``"fail"``.
            SinkError: no such bucket, wrong credentials, no such host.
        """
        with self._writing.looking() as store:
            is_there = store.is_there()
        if not is_there or self._if_exists == "overwrite":
            return True
        if self._if_exists == "skip":
            return False
        raise already_exists(self.display_name)

    def parts_for(self, total_bytes: int) -> int | None:
        """Return how many parts an upload of ``total_bytes`` would have; None if no object can be that large."""
        return self.plan.parts_for(total_bytes)

    def largest_object_bytes(self) -> int:
        """Return the size in bytes of the largest object that parts of these sizes allow."""
        return self.plan.largest_object_bytes

    def store(self, stream: ByteReader) -> Receipt:
        """Upload ``stream`` to its end, then make the object appear.

        Blocks while as many parts as allowed are in flight; a cancel interrupts that.

        Raises:
            AlreadyExists: an object of that name has appeared meanwhile, and ``if_exists`` is not ``"overwrite"``. The
                request is conditional if the store supports that; else the check happens just before the end.
            SinkError: the store failed, after retries.
        """
        only_if_absent = self._if_exists != "overwrite"
        first = MemoryBody(self.plan.part_bytes)
        read_part(stream, self.plan.part_bytes, first)
        with self._writing.storing() as store:
            if first.size < self.plan.part_bytes:
                stored = store.put(first, only_if_absent=only_if_absent)
            else:
                stored = store.upload(first, stream, only_if_absent=only_if_absent)
        details = {"parts": stored.parts, **({"etag": stored.etag} if stored.etag else {})}
        return Receipt(location=self.display_name, bytes_stored=stored.size, details=details)

    def remove(self) -> None:
        """Remove the object. Does nothing if it is gone already.

        Raises:
            SinkError: it could not be removed.
        """
        with self._writing.storing() as store:
            store.remove()
