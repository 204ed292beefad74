"""An S3 client for writing: botocore's, with penstock's cancellation, retries and errors.

botocore knows where credentials may be (environment, profiles, SSO, roles, instance metadata), signs requests, and finds
the region of a bucket. A cancel could not interrupt its own retries, so they are switched off, and :func:`S3Client.call`
retries instead. Only fetching credentials from an instance or an identity provider cannot be interrupted; botocore limits
that.
"""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any, final

from penstock._extras import need
from penstock.connectors.objects._s3_errors import met_silence, retry_after, translating
from penstock.connectors.objects._s3_transport import Transport
from penstock.core.cancel import check_cancelled, sleep
from penstock.errors import SinkError

__all__ = ["Patience", "S3Client", "S3Settings", "session_of"]

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 120.0  # without a byte in either direction; completing a large upload is silent for long
_DEFAULT_REGION = "us-east-1"
_FIRST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 10.0


@dataclass(frozen=True)
class S3Settings:
    """How to reach an S3 store. What is None is taken from the ``AWS_*`` environment and the profile."""

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    no_sign_request: bool = False

    def endpoint_url(self) -> str | None:
        """Return the endpoint to use, where it is not Amazon's."""
        environment = os.environ.get
        return self.endpoint or environment("AWS_ENDPOINT_URL_S3") or environment("AWS_ENDPOINT_URL") or None

    def region_name(self, session: Any) -> str:
        """Return the region to begin with; botocore follows a bucket of Amazon's to another one."""
        named = self.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return str(named or session.get_config_variable("region") or _DEFAULT_REGION)


@dataclass(frozen=True)
class Patience:
    """How often to try a request, and for how long.

    Attributes:
        tries: how many tries in all.
        seconds: make no further try once so many seconds were spent waiting, between tries and in tries that the store did
            not answer. It is longer than one such timeout, as the store may answer the next try.
    """

    tries: int = 9
    seconds: float = _READ_SECONDS + 60.0


def session_of(settings: S3Settings) -> Any:
    """Make botocore's session, which knows where credentials are."""
    session = need("botocore.session", extra="s3", why="reach S3").Session(profile=settings.profile)
    session.register_component("data_loader", _loader())
    return session


@functools.cache
def _loader() -> Any:
    """Return what reads botocore's descriptions of services: 60 ms for S3's, so once."""
    return need("botocore.loaders", extra="s3", why="reach S3").create_loader(os.environ.get("AWS_DATA_PATH"))


@final
class S3Client:
    """A client whose calls a cancel interrupts. For use in several threads at once, as a context manager.

    Args:
        settings: how to reach the store.
        where: the object, as messages show it.
        connections: how many requests are made at once.
        patience: how failures that may pass are tried again.
    """

    def __init__(self, settings: S3Settings, *, where: str, connections: int, patience: Patience) -> None:
        self._where = where
        self._patience = patience
        with translating(where, SinkError):
            session = session_of(settings)
            self._transport = Transport(
                connections=connections,
                connect_seconds=_CONNECT_SECONDS,
                read_seconds=_READ_SECONDS,
                ca_bundle=session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or None,
            )
            self._client = _made(session, settings)
        self._client.meta.events.register("before-send.s3", self._transport.send)

    def __enter__(self) -> S3Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._transport.__exit__(kind, error, traceback)
        self._client.close()

    def call(
        self,
        operation: str,
        arguments: Mapping[str, object],
        *,
        patience: Patience | None = None,
        on_failure: Callable[[SinkError], None] = lambda _: None,
    ) -> Mapping[str, Any]:
        """Call an operation by botocore's name for it; try again while that may help.

        Blocks; a cancel interrupts it. A ``Body`` is a file object, and sent from its start each time.

        Args:
            operation: ``"upload_part"``.
            arguments: its arguments, under botocore's names.
            patience: instead of the client's own.
            on_failure: told of every try that fails, the last included.

        Raises:
            SinkError: it failed for good.
        """
        patience = patience or self._patience
        waited = 0.0
        for attempt in range(1, patience.tries + 1):
            check_cancelled()
            began = monotonic()
            try:
                return self._call_once(operation, arguments)
            except SinkError as exc:
                on_failure(exc)
                delay = _delay(attempt, exc)
                waited += delay + (monotonic() - began if met_silence(exc) else 0.0)
                if not exc.transient or attempt == patience.tries or waited > patience.seconds:
                    raise
            sleep(delay)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _call_once(self, operation: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        body: Any = arguments.get("Body")
        if body is not None:
            body.seek(0)
        with translating(self._where, SinkError):
            answer: Mapping[str, Any] = getattr(self._client, operation)(**arguments)
        return answer


def _made(session: Any, settings: S3Settings) -> Any:
    config = need("botocore.config", extra="s3", why="reach S3").Config
    unsigned = need("botocore", extra="s3", why="reach S3").UNSIGNED
    endpoint = settings.endpoint_url()
    options: dict[str, Any] = {
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        # TLS or the signature protects the bytes of a request; what else S3 offers, many other stores refuse.
        "request_checksum_calculation": os.environ.get("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
        "response_checksum_validation": "when_required",
    }
    if endpoint is not None:
        options["s3"] = {"addressing_style": "path"}
    if settings.no_sign_request:
        options["signature_version"] = unsigned
    region = settings.region_name(session)
    return session.create_client("s3", region_name=region, endpoint_url=endpoint, config=config(**options))


def _delay(attempt: int, error: SinkError) -> float:
    """Return the seconds to wait: as long as the store says, else longer each time, with a random part."""
    told = retry_after(error)
    if told is not None:
        return min(told, _LONGEST_DELAY_SECONDS)
    longest: float = min(_FIRST_DELAY_SECONDS * 2**attempt, _LONGEST_DELAY_SECONDS)
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret depends on it
