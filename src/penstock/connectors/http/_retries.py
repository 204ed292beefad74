"""Retry requests after failures that may pass, with growing delays."""

from __future__ import annotations

import http.client
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar, final

from penstock.connectors.http._answers import refusal
from penstock.connectors.http._client import Answer, Client
from penstock.core.cancel import sleep
from penstock.errors import ConnectorError, SourceError
from penstock.flow.units import format_seconds

__all__ = ["TryAgain", "check_status", "lost_connections_again", "retry_after_seconds", "with_retries"]

_log = logging.getLogger("penstock.http")

_BUSY = frozenset({429, 502, 503, 504})  # not 500, which is mostly a bug that will be there again
_FIRST_WAIT_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 30.0
_A_YEAR_SECONDS = 365 * 86_400.0  # servers write anything; what is longer is not to be counted with
_LONGEST_WISH_SECONDS = 120.0  # a server that wants to be left alone for longer is down, and people should be told

T = TypeVar("T")


@final
class TryAgain(Exception):
    """An attempt failed, and another one may do better.

    Args:
        error: what to raise when there is no attempt left.
        after_seconds: how long the server wants us to wait; None where it did not say.
        at_once: whether to try again without waiting; that is not counted, but done only once.
    """

    def __init__(self, error: ConnectorError, *, after_seconds: float | None = None, at_once: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.after_seconds = after_seconds
        self.at_once = at_once


def with_retries(most: int, attempt: Callable[[], T]) -> T:
    """Return what ``attempt`` returns; where it raises :class:`TryAgain`, wait and call it again, ``most`` times.

    Waits as long as the server said (``Retry-After``), else 0.25 s, doubled each time up to 30 s and shortened by up
    to half at random, so that many clients do not come back at the same moment. A cancel ends the wait at once.

    Raises:
        ConnectorError: the last attempt failed, or the server wants us to wait for more than two minutes.
    """
    failed = 0
    may_be_at_once = most > 0
    while True:
        try:
            return attempt()
        except TryAgain as exc:
            again = exc
        if again.at_once and may_be_at_once:
            may_be_at_once = False
            continue
        failed += 1
        if failed > most or (again.after_seconds or 0.0) > _LONGEST_WISH_SECONDS:
            raise _given_up(again, failed)
        seconds = _own_wait(failed) if again.after_seconds is None else again.after_seconds
        _log.warning("%s; trying again in %s", again.error, format_seconds(seconds))
        sleep(seconds)


def _given_up(again: TryAgain, failed: int) -> ConnectorError:
    error = again.error
    said = error.args[0] if failed == 1 else f"{failed} times in a row: {error.args[0]}"
    if (again.after_seconds or 0.0) > _LONGEST_WISH_SECONDS:
        said = f"{said}, and wants to be asked again in {format_seconds(again.after_seconds or 0.0)}"
    error.args = (said,)
    return error


def _own_wait(failed: int) -> float:
    longest = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2.0 ** min(failed - 1, 30))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - nobody gains from guessing it


def lost_connections_again(client: Client, call: Callable[[], T]) -> T:
    """Return what ``call`` returns; where ``client`` lost its connection in it, raise :class:`TryAgain`.

    Not where there never was a connection: an address that nobody listens at should be told at once. What a server
    answers is for others to judge: nothing in ``call`` raises for that.
    """
    try:
        return call()
    except ConnectorError as exc:
        if exc.transient and client.has_connected:
            raise TryAgain(exc, at_once=client.was_kept) from exc
        raise


def check_status(answer: Answer) -> None:
    """Return if the server gave what was asked for.

    Raises:
        TryAgain: it is too busy now, or stands before one that is.
        SourceError: it refuses.
    """
    if answer.status in _BUSY:
        raise TryAgain(refusal(answer, SourceError), after_seconds=retry_after_seconds(answer))
    if answer.status != http.client.OK:
        raise refusal(answer, SourceError)


def retry_after_seconds(answer: Answer) -> float | None:
    """Return how long the server wants us to wait; None where it does not say, or not so that we understand it."""
    said = (answer.header("Retry-After") or "").strip()
    if said.isdecimal():
        return min(float(said), _A_YEAR_SECONDS)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    if until.tzinfo is None:  # "-0000": UTC, says RFC 5322
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
