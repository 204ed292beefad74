"""The protocol by which an ``ObjectSink`` writes to any store, and its implementation for GCS and Azure.

Those two are written to through obstore, whose parts are all of one size. So an object ends at the store's number of
parts times that size, which :func:`penstock.connectors.objects.part_plan` tells beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, final

from penstock._extras import need
from penstock.connectors._loop_thread import LoopThread
from penstock.connectors.objects._errors import error_code, translating
from penstock.connectors.objects._part_body import PIECE_BYTES, MemoryBody, PartBody
from penstock.connectors.objects._part_plan import PartPlan
from penstock.connectors.objects._upload import Upload
from penstock.core.cancel import check_cancelled
from penstock.errors import AlreadyExists, Cancelled, SinkError
from penstock.flow.contracts import ByteReader
from penstock.flow.units import format_bytes

__all__ = ["PUT_GRACE_SECONDS", "ObstoreWriting", "OpenStore", "Stored", "Writing", "already_exists", "may_be_there"]

PUT_GRACE_SECONDS = 1.0
"""How long a cancel waits for the answer to a whole object that has been sent: without it, nobody knows what is there."""


@dataclass(frozen=True)
class Stored:
    """What a store has taken.

    Attributes:
        size: bytes of the object.
        parts: in how many parts they came.
        etag: what the store calls this content; ``""`` where it does not say.
    """

    size: int
    parts: int
    etag: str


class OpenStore(Protocol):
    """A connection to the store of one object. Every method blocks, and a cancel interrupts it."""

    def is_there(self) -> bool:
        """Whether the object exists; raises if it could not be written at all."""
        ...

    def put(self, body: PartBody, *, only_if_absent: bool) -> Stored:
        """Store an object that is one part, with one request.

        A cancel does not interrupt this within :data:`PUT_GRACE_SECONDS` once all has been sent. If there is no answer by
        then, a note says so.

        Raises:
            AlreadyExists: it is there, and that was not wanted.
        """
        ...

    def upload(self, first: MemoryBody, stream: ByteReader, *, only_if_absent: bool) -> Stored:
        """Store an object in parts: ``first``, then what ``stream`` has to its end. Aborted when anything fails.

        Raises:
            AlreadyExists: it is there by now, and that was not wanted.
        """
        ...

    def remove(self) -> None:
        """Delete the object. Does nothing if it is gone already."""
        ...


class Writing(Protocol):
    """How to write one object."""

    def looking(self) -> AbstractContextManager[OpenStore]:
        """Connect for a look, which fails soon."""
        ...

    def storing(self) -> AbstractContextManager[OpenStore]:
        """Connect for an upload, which is patient."""
        ...


def already_exists(where: str) -> AlreadyExists:
    """Make the error for an object that is there."""
    return AlreadyExists("the object exists already", where=where, hint="if_exists may be overwrite or skip")


@contextmanager
def may_be_there(where: str, is_sent: Callable[[], bool]) -> Iterator[None]:
    """If a cancel of the block leaves open whether the store has the object, say so in a note on it."""
    try:
        yield
    except Cancelled as cancelled:
        if is_sent():
            cancelled.add_note(f"{where}: the store did not answer, the object may be there, and whole")
        raise


@final
@dataclass(frozen=True)
class ObstoreWriting:
    """How to write one object through obstore.

    Attributes:
        open_store: makes obstore's store; ``True`` for one that is patient with failures.
        key: the object.
        attributes: what it is created with, under obstore's names.
        plan: how large the parts of an upload are.
        concurrency: how many are sent at once.
        where: the object, as messages show it.
    """

    open_store: Callable[[bool], Any]
    key: str
    attributes: Mapping[str, str]
    plan: PartPlan
    concurrency: int
    where: str

    @contextmanager
    def looking(self) -> Iterator[_OpenObstore]:
        """Connect for a look, which fails soon."""
        with LoopThread("penstock objects") as loop:
            yield _OpenObstore(self, loop, self._opened(is_patient=False))

    @contextmanager
    def storing(self) -> Iterator[_OpenObstore]:
        """Connect for an upload, which is patient."""
        with LoopThread("penstock objects") as loop:
            yield _OpenObstore(self, loop, self._opened(is_patient=True))

    def _opened(self, *, is_patient: bool) -> Any:
        with translating(self.where, SinkError):
            return self.open_store(is_patient)


@final
class _OpenObstore:
    def __init__(self, writing: ObstoreWriting, loop: LoopThread, store: Any) -> None:
        self._writing = writing
        self._loop = loop
        self._store = store
        self._obstore = need("obstore", extra="s3", why="reach an object store")

    def is_there(self) -> bool:
        try:
            with translating(self._writing.where, SinkError):
                self._loop.call(lambda: self._obstore.list_with_delimiter_async(self._store, self._writing.key))
        except SinkError as exc:
            if error_code(exc.__cause__ or exc) not in {"AccessDenied", "AuthorizationPermissionMismatch", "403"}:
                raise _of_container(exc) from exc.__cause__
            # Who may write need not be allowed to list; the bucket is there.
        return self._is_still_there()

    def _is_still_there(self) -> bool:
        try:
            with translating(self._writing.where, SinkError):
                self._loop.call(lambda: self._obstore.head_async(self._store, self._writing.key))
        except SinkError as exc:
            if isinstance(exc.__cause__, FileNotFoundError) or error_code(exc.__cause__ or exc) in {"403", "404"}:
                return False  # 403 is what some say to who may not list
            raise
        return True

    def put(self, body: PartBody, *, only_if_absent: bool) -> Stored:
        data = body.read()
        check_cancelled()
        try:
            with may_be_there(self._writing.where, lambda: True), translating(self._writing.where, SinkError):
                result = self._loop.call(
                    lambda: self._obstore.put_async(
                        self._store,
                        self._writing.key,
                        data,
                        mode="create" if only_if_absent else "overwrite",
                        attributes=self._writing.attributes,
                        use_multipart=False,
                    ),
                    grace_seconds=PUT_GRACE_SECONDS,
                )
        except SinkError as exc:
            if isinstance(exc.__cause__, self._obstore.exceptions.AlreadyExistsError):
                raise already_exists(self._writing.where) from exc
            raise
        return Stored(len(data), 1, (result["e_tag"] or "").strip('"'))

    def upload(self, first: MemoryBody, stream: ByteReader, *, only_if_absent: bool) -> Stored:
        plan = self._writing.plan
        upload = Upload(self._loop, self._opened_writer(), where=self._writing.where)
        with upload:
            upload.begin(first.read())
            first.close()  # its memory is for the parts in flight
            room = plan.limits.parts * plan.part_bytes
            while piece := stream.read(PIECE_BYTES):
                if upload.bytes_written + len(piece) > room:
                    raise self._too_large(room)
                upload.write(piece)
            if only_if_absent and self._is_still_there():  # obstore cannot make completing conditional
                raise already_exists(self._writing.where)
            upload.complete()
        return Stored(upload.bytes_written, -(-upload.bytes_written // plan.part_bytes), "")

    def remove(self) -> None:
        try:
            with translating(self._writing.where, SinkError):
                self._loop.call(lambda: self._obstore.delete_async(self._store, self._writing.key))
        except SinkError as exc:
            if not isinstance(exc.__cause__, FileNotFoundError):
                raise

    def _opened_writer(self) -> Any:
        return self._obstore.open_writer_async(
            self._store,
            self._writing.key,
            buffer_size=self._writing.plan.part_bytes,
            max_concurrency=self._writing.concurrency,
            attributes=self._writing.attributes,
        )

    def _too_large(self, room: int) -> SinkError:
        plan = self._writing.plan
        return SinkError(
            f"the object is larger than {plan.limits.parts:,} parts of {format_bytes(plan.part_bytes)}, "
            f"{format_bytes(room)}",
            where=self._writing.where,
            hint="give larger parts (part_size), and the memory for them (max_memory), or split the object",
        )


def _of_container(error: SinkError) -> SinkError:
    """Turn the 404 of a listing into an error that says that the bucket, not the object, was not found."""
    if "no such object" not in str(error):
        return error
    hint = "create it first; is its name right?"
    return SinkError("no such bucket", where=error.where, hint=hint)
