"""Turn errors of botocore and urllib3 into ours."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from penstock._extras import need
from penstock.connectors.objects._errors import meaning_of
from penstock.errors import ConfigurationError, ConnectorError, PenstockError, SinkError

__all__ = ["code_of", "is_condition_failed", "met_silence", "retry_after", "status_of", "translating"]

_ENDPOINT = "is AWS_ENDPOINT_URL right?"
_LOG_IN = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_TRANSIENT_CODES = frozenset(
    ["InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling"]
)


@contextmanager
def translating(where: str, error: type[ConnectorError]) -> Iterator[None]:
    """The one seam between botocore, urllib3 and our errors. Ours pass: those of a body that is read while sending."""
    foreign = need("botocore.exceptions", extra="s3", why="reach S3")
    wire = need("urllib3.exceptions", extra="s3", why="reach S3").HTTPError
    try:
        yield
    except PenstockError:
        raise
    except foreign.ClientError as exc:
        raise _answered(exc, where, error) from exc
    except foreign.ProfileNotFound as exc:
        raise ConfigurationError(f"{where}: {exc}") from exc
    except (foreign.NoCredentialsError, foreign.PartialCredentialsError) as exc:
        raise error("no credentials found", where=where, hint=_LOG_IN) from exc
    except (foreign.BotoCoreError, wire, OSError, ValueError) as exc:
        raise _unanswered(exc, where, error) from exc


def code_of(error: BaseException) -> str:
    """Return S3's name for the error below one of ours (``"NoSuchBucket"``), or its status, or ``""``."""
    return str(_answer(error).get("Error", {}).get("Code", ""))


def status_of(error: BaseException) -> int:
    """Return the HTTP status of the answer below one of our errors; 0 when there was no answer."""
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def retry_after(error: BaseException) -> float | None:
    """Return how many seconds the store asks to be left alone; None when it says nothing about it."""
    told = _answer(error).get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after")
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, float(told))
    return None


def met_silence(error: BaseException) -> bool:
    """Whether the store said nothing, or took nothing, for as long as it may."""
    timeouts = (TimeoutError, need("urllib3.exceptions", extra="s3", why="reach S3").TimeoutError)
    return any(isinstance(cause, timeouts) for cause in _causes(error))


def _answer(error: BaseException) -> Any:
    answer = getattr(error.__cause__ if isinstance(error, ConnectorError) else error, "response", None)
    return answer if isinstance(answer, dict) else {}


def _answered(exc: Any, where: str, error: type[ConnectorError]) -> ConnectorError:
    code, status = code_of(exc), status_of(exc)
    message = exc.response.get("Error", {}).get("Message", "")
    known = meaning_of(code, message)
    if known is not None:
        return error(known.message, where=where, hint=known.hint, transient=known.transient)
    transient = (status >= 500 and status != 501) or status == 429 or code in _TRANSIENT_CODES
    return error(f"{code}: {message}" if message else code, where=where, transient=transient)


def _unanswered(exc: BaseException, where: str, error: type[ConnectorError]) -> ConnectorError:
    for cause in _causes(exc):
        if isinstance(cause, socket.gaierror):
            return error("unknown host", where=where, hint=_ENDPOINT)
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = "AWS_CA_BUNDLE may name another authority"
            return error(
                f"the server's certificate is not trusted here: {cause.verify_message}", where=where, hint=hint
            )
        if isinstance(cause, ConnectionRefusedError):
            return error("connection refused", where=where, hint=_ENDPOINT, transient=True)
        if isinstance(cause, TimeoutError):
            return error("no answer in time", where=where, transient=True)
        if isinstance(cause, ssl.SSLError):
            reason = str(getattr(cause, "reason", None) or cause).lower().replace("_", " ")
            return error(f"TLS: {reason}", where=where, hint=_ENDPOINT)
        if isinstance(cause, ConnectionError):
            return error("the store closed the connection", where=where, transient=True)
    wire = need("urllib3.exceptions", extra="s3", why="reach S3")
    if isinstance(exc, wire.TimeoutError):
        return error("no answer in time", where=where, transient=True)
    if isinstance(exc, wire.ProtocolError):
        return error("the store closed the connection", where=where, transient=True)
    return error(str(exc).partition("\n")[0], where=where)


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield ``exc`` and what is below it; urllib3 hands on what went wrong as an argument."""
    seen: list[BaseException | None] = [exc]
    for error in seen:
        if error is not None:
            yield error
            below = (error.__cause__, error.__context__, *error.args)
            seen.extend(inner for inner in below if isinstance(inner, BaseException) and inner not in seen)


def is_condition_failed(error: SinkError) -> bool:
    """Whether the store refused because something is there already, or is being written at this moment."""
    return status_of(error) == 412 or code_of(error) in {"PreconditionFailed", "ConditionalRequestConflict"}
