"""One multipart upload to S3, with parts that grow, which ends either completed or aborted.

Once its id is known, the upload can be aborted at any moment. While we wait for the id, the answer to "create", a cancel
waits for up to :data:`GRACE_SECONDS`. If the connection breaks instead of an answer, the upload is searched for in the
store's list of open uploads (:mod:`penstock.connectors.objects._s3_orphans`). For the answer to "complete" a cancel waits a
second, because it may just have succeeded; then the upload is aborted, and the result of that tells whether it had.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import final

from penstock.connectors._grace import with_grace
from penstock.connectors.objects._part_body import FileBody, MemoryBody, PartBody, read_part
from penstock.connectors.objects._part_plan import PartPlan
from penstock.connectors.objects._part_rooms import PartRooms
from penstock.connectors.objects._s3_client import Patience, S3Client
from penstock.connectors.objects._s3_errors import code_of, is_condition_failed, status_of
from penstock.connectors.objects._s3_orphans import LostCreations
from penstock.connectors.objects._writing import already_exists
from penstock.core._last_wait import last_wait, last_wait_after_cancel
from penstock.core.budget import Budget
from penstock.core.cancel import CancelScope, check_cancelled
from penstock.core.taskgroup import TaskGroup
from penstock.errors import SinkError
from penstock.flow.contracts import ByteReader
from penstock.flow.units import format_bytes

__all__ = ["GRACE_SECONDS", "MultipartUpload"]

GRACE_SECONDS = 5.0
"""How long a cancelled upload waits for the store where letting go could leave something behind."""

_COMPLETING_GRACE_SECONDS = 1.0
_ABORTS = 3  # S3: a part that was still arriving may be kept after the first


@final
class MultipartUpload:
    """An upload in parts. Leaving the ``with`` block without a successful :meth:`complete` aborts it.

    Args:
        client: sends the requests, from several threads at once.
        address: ``Bucket`` and ``Key``, as every request has them.
        attributes: what else the object is created with.
        plan: how large each part is.
        concurrency: how many are sent at once.
        where: the object, as messages show it.
    """

    def __init__(
        self,
        client: S3Client,
        address: Mapping[str, str],
        attributes: Mapping[str, str],
        *,
        plan: PartPlan,
        concurrency: int,
        where: str,
    ) -> None:
        self.bytes_sent = 0
        self._client = client
        self._address = address
        self._attributes = attributes
        self._plan = plan
        self._where = where
        self._id = ""
        self._etags: dict[int, str] = {}
        self._bodies: dict[int, PartBody] = {}
        self._budget = Budget(max(plan.memory_bytes, 2 * plan.part_bytes))
        self._most_parts = concurrency + 1
        self._least_weight = self._budget.limit_bytes // self._most_parts
        self._has_unanswered_parts = False
        self._is_completing = False
        self._is_complete = False
        self._lost = LostCreations(client, address, where=where)

    @property
    def parts(self) -> int:
        """How many parts have been sent."""
        return len(self._etags)

    def begin(self) -> None:
        """Create the upload. A cancel does not interrupt this before :data:`GRACE_SECONDS`."""
        with (
            self._lost.noted() as on_failure,
            last_wait_after_cancel(self._where, "creating the upload", GRACE_SECONDS),
            with_grace(GRACE_SECONDS),
        ):
            answer = self._client.call(
                "create_multipart_upload", {**self._address, **self._attributes}, on_failure=on_failure
            )
            self._id = answer["UploadId"]

    # --- parts ----------------------------------------------------------------------------------------------------

    def send(self, first: MemoryBody, stream: ByteReader) -> None:
        """Send ``first``, then ``stream`` to its end, several parts at once.

        Blocks while as many parts are in flight as may be; a cancel interrupts that. The first part that fails stops
        the others, and the reading.
        """
        error: BaseException | None = None
        rooms = PartRooms(self._most_parts, self._budget.limit_bytes, first)
        try:
            with TaskGroup() as group:
                for number, weight in self._filled(first, stream, rooms):
                    group.start_soon(self._send_part, number, weight, rooms, name="penstock s3 part")
        except BaseExceptionGroup as failed:
            error = failed.exceptions[0]
        finally:
            for number in list(self._bodies):
                self._bodies.pop(number).close()
            rooms.close()
        if error is not None:
            try:
                raise error
            finally:
                del error  # it refers to this frame, which would refer to it

    def _filled(self, first: MemoryBody, stream: ByteReader, rooms: PartRooms) -> Iterator[tuple[int, int]]:
        """Read one part after another; yield its number, and how many bytes of the budget it holds until it is sent."""
        number, weight = 1, self._weight(first.size)
        body: PartBody = first
        self._budget.acquire(weight)
        while body.size:
            self._bodies[number] = body
            self.bytes_sent += body.size
            yield number, weight
            number += 1
            size = self._plan.size_of(number, self.bytes_sent)
            if size is None:
                self._refuse_more(stream)
                return
            weight = self._weight(size)
            self._budget.acquire(weight)
            body = read_part(stream, size, self._new_body(size, rooms))
        body.close()

    def _weight(self, size: int) -> int:
        """Return how much of the budget a part takes: at least its share, and in a temporary file the largest share."""
        return min(max(size, self._least_weight), self._budget.limit_bytes // 2)

    def _new_body(self, size: int, rooms: PartRooms) -> PartBody:
        return FileBody(self._where) if size > self._plan.largest_in_memory else rooms.take(size)

    def _refuse_more(self, stream: ByteReader) -> None:
        if stream.read(1):
            limits = self._plan.limits
            raise SinkError(
                f"the object is larger than {limits.parts:,} parts, {format_bytes(self.bytes_sent)}",
                where=self._where,
                hint="split it, or give larger parts (part_size)",
            )

    def _send_part(self, number: int, weight: int, rooms: PartRooms) -> None:
        body = self._bodies[number]
        try:
            part = {"UploadId": self._id, "PartNumber": number, "ContentLength": body.size, "Body": body}
            answer = self._client.call("upload_part", {**self._address, **part}, on_failure=self._note_failure)
            self._etags[number] = answer["ETag"]
        except BaseException:
            self._has_unanswered_parts = True
            raise
        finally:
            rooms.give_back(self._bodies.pop(number))
            self._budget.release(weight)

    def _note_failure(self, _error: SinkError) -> None:
        self._has_unanswered_parts = True  # also when trying again goes well: the store may be at the first try still

    # --- the end --------------------------------------------------------------------------------------------------

    def complete(self, *, only_if_absent: bool) -> str:
        """Make the object appear; return its entity tag.

        A cancel does not interrupt this within the first second.

        Args:
            only_if_absent: have the store refuse when there is an object of that name by now.

        Raises:
            AlreadyExists: there is.
        """
        check_cancelled()
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        unanswered: list[SinkError] = []
        self._is_completing = True
        with with_grace(_COMPLETING_GRACE_SECONDS):
            try:
                etag = self._completed(condition, unanswered)
            except SinkError as exc:
                if unanswered and (found := self._own_object()):
                    etag = found  # an earlier try has completed it, and its answer was lost
                elif is_condition_failed(exc):
                    raise already_exists(self._where) from exc
                elif condition and status_of(exc) == 501:
                    etag = self._completed({}, unanswered)  # a store without the condition; the caller has looked
                else:
                    raise
            self._is_complete = True
        return etag

    def _completed(self, condition: Mapping[str, str], unanswered: list[SinkError]) -> str:
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())]
        answer = self._client.call(
            "complete_multipart_upload",
            {**self._address, **condition, "UploadId": self._id, "MultipartUpload": {"Parts": parts}},
            on_failure=lambda exc: unanswered.append(exc) if not status_of(exc) else None,
        )
        return str(answer.get("ETag", "")).strip('"')

    def _own_object(self) -> str:
        """Return the entity tag of the object there if it is the one this upload makes, else ``""``."""
        try:
            there = self._client.call("head_object", self._address)
        except SinkError:
            return ""
        etag = str(there["ETag"]).strip('"')
        is_ours = etag == _expected_etag(self._etags) and there["ContentLength"] == self.bytes_sent
        return etag if is_ours else ""

    def __enter__(self) -> MultipartUpload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._id and not self._is_complete:
            self._abort(error)
        self._lost.clean_up(except_for=self._id, error=error, grace_seconds=GRACE_SECONDS)

    def _abort(self, error: BaseException | None) -> None:
        failure = "the store did not answer"
        with (
            last_wait(self._where, "aborting the upload", GRACE_SECONDS),
            CancelScope(shield=True, timeout=GRACE_SECONDS),
        ):
            try:
                failure = "" if self._is_gone_after_abort() else "the store keeps it"
            except SinkError as exc:
                failure = str(exc).removeprefix(f"{self._where}: ")
                if code_of(exc) == "NoSuchUpload":
                    self._tell_if_completed(error)
                    return
        if failure and error is not None:
            error.add_note(f"{self._where}: {failure}, an unfinished upload may remain there; {self._how_to_abort()}")

    def _how_to_abort(self) -> str:
        words = ("--bucket", self._address["Bucket"], "--key", self._address["Key"], "--upload-id", self._id)
        return f"to remove it: aws s3api abort-multipart-upload {shlex.join(words)}"

    def _tell_if_completed(self, error: BaseException | None) -> None:
        """Add a note to ``error`` if the upload is gone because the store completed it before the cancel."""
        if self._is_completing and error is not None and self._own_object():
            error.add_note(f"{self._where}: the store had completed the object already; it is there, and whole")

    def _is_gone_after_abort(self) -> bool:
        patience = Patience(tries=20, seconds=GRACE_SECONDS)
        upload = {**self._address, "UploadId": self._id}
        for _ in range(_ABORTS):
            self._client.call("abort_multipart_upload", upload, patience=patience)
            if not self._has_unanswered_parts:
                return True  # it is only parts on their way that may outlive an abort
            try:
                self._client.call("list_parts", {**upload, "MaxParts": 1}, patience=patience)
            except SinkError as exc:
                if code_of(exc) in {"NoSuchUpload", "AccessDenied", "404"}:
                    return True  # who may abort need not be allowed to look
                raise
        return False


def _expected_etag(etags: Mapping[int, str]) -> str:
    """Return the entity tag that S3 gives to an object of these parts; ``""`` where it does not tell (encrypted)."""
    try:
        digests = [bytes.fromhex(etags[number].strip('"')) for number in sorted(etags)]
    except ValueError:
        return ""
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"
