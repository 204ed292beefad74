"""Find and abort an upload that S3 has created without our learning its id.

That happens if the connection breaks after S3 has created an upload and before we have read its answer. Such an upload is
in the store's list under our key, was begun in the seconds in which we asked, and never has a part. It is aborted only if
exactly one upload in the list fits; if there are two, one may be somebody else's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any, final

from penstock.connectors.objects._s3_client import S3Client
from penstock.connectors.objects._s3_errors import status_of
from penstock.core._last_wait import last_wait
from penstock.core.cancel import CancelScope
from penstock.errors import Cancelled, SinkError

__all__ = ["LostCreations"]

_log = logging.getLogger("penstock.objects")

_SLACK_SECONDS = 2.0  # the store tells times in whole seconds


@final
class LostCreations:
    """Remembers that the answer to a creation was lost, and cleans up after it."""

    def __init__(self, client: S3Client, address: Mapping[str, str], *, where: str) -> None:
        self._client = client
        self._address = address
        self._where = where
        self._asked_at = 0.0
        self._answers_lost = 0
        self._is_cut = False

    @contextmanager
    def noted(self) -> Iterator[Callable[[SinkError], None]]:
        """Watch the creation of an upload during the block; give the function to call with every failed try."""
        self._asked_at = monotonic()
        try:
            yield self._failed
        except Cancelled:
            self._is_cut = True  # we gave up, but the store may yet do what it was asked
            raise

    def _failed(self, error: SinkError) -> None:
        if not status_of(error) and error.transient and "refused" not in str(error):
            self._answers_lost += 1

    def clean_up(self, *, except_for: str, error: BaseException | None, grace_seconds: float) -> None:
        """Abort what was created unnoticed. If that cannot be found out or done, say so on ``error`` or in the log."""
        if not self._answers_lost and not self._is_cut:
            return
        reason = "the store did not answer"
        with (
            last_wait(self._where, "looking for an upload whose creation was not answered", grace_seconds),
            CancelScope(shield=True, timeout=grace_seconds),
        ):
            try:
                reason = self._abort_ours(except_for)
            except SinkError as exc:
                reason = str(exc).removeprefix(f"{self._where}: ")
        if reason:
            note = f"{self._where}: {reason}, an unfinished upload may remain there"
            _log.warning(note) if error is None else error.add_note(note)

    def _abort_ours(self, except_for: str) -> str:
        """Abort what must be ours; return why something may remain, or ``""``."""
        uploads = [upload for upload in self._begun_since() if upload != except_for and self._is_empty(upload)]
        if not uploads:
            # A store that broke off has finished or failed; one that we left may yet do what it was asked.
            return "the store did not answer" if self._is_cut else ""
        if len(uploads) > self._answers_lost + self._is_cut:
            return "the store's answer was lost, and more than one upload there could be ours"
        for upload in uploads:
            self._client.call("abort_multipart_upload", {**self._address, "UploadId": upload})
        return ""

    def _begun_since(self) -> list[str]:
        key = self._address["Key"]
        answer = self._client.call("list_multipart_uploads", {"Bucket": self._address["Bucket"], "Prefix": key})
        began = _clock_of(answer) - timedelta(seconds=monotonic() - self._asked_at + _SLACK_SECONDS)
        uploads = [upload for upload in answer.get("Uploads", ()) if upload["Key"] == key]
        return [str(upload["UploadId"]) for upload in uploads if upload["Initiated"] >= began]

    def _is_empty(self, upload: str) -> bool:
        answer = self._client.call("list_parts", {**self._address, "UploadId": upload, "MaxParts": 1})
        return not answer.get("Parts")


def _clock_of(answer: Mapping[str, Any]) -> datetime:
    """Return the store's time, which is the one that its uploads carry."""
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return datetime.now(UTC) if told is None else parsedate_to_datetime(told)
