"""From obstore's errors to ours. They carry the whole exchange; ours say what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from penstock._extras import need
from penstock.errors import ConnectorError

__all__ = ["error_code", "translating"]

_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)
_STATUS = re.compile(r"status code: (\d{3})")


@contextmanager
def translating(where: str, error: type[ConnectorError]) -> Iterator[None]:
    """The one seam between obstore and our errors."""
    foreign = need("obstore.exceptions", extra="s3", why="reach S3").BaseError
    try:
        yield
    except (foreign, OSError, ValueError) as exc:  # missing objects are FileNotFoundError; a writer's errors, OSError
        raise _translated(exc, where, error) from exc


def error_code(exc: BaseException) -> str:
    """Return what S3 called it (``"NoSuchBucket"``), else the HTTP status (``"403"``), else ``""``."""
    found = _CODE.search(str(exc)) or _STATUS.search(str(exc))
    return found[1] if found else ""


def _translated(exc: Exception, where: str, error: type[ConnectorError]) -> ConnectorError:
    text = str(exc)
    code = error_code(exc)
    for sign, message, hint, transient in _MEANINGS:
        if sign == code or (not code and sign in text) or (not sign.isalnum() and sign in text):
            return error(message, where=where, hint=hint, transient=transient)
    said = _MESSAGE.search(text)
    first_line = said[1] if said else text.partition("\n")[0]
    status = _STATUS.search(text)
    return error(first_line, where=where, transient=status is not None and status[1].startswith("5"))


_NO_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_REGION = "set AWS_REGION to the bucket's region"
_ENDPOINT = "is AWS_ENDPOINT_URL right?"

# What to look for (a code, a status, or words), what to say, what to do, whether trying again may help.
_MEANINGS = (
    ("169.254.169.254", "no credentials found", _NO_CREDENTIALS, False),
    ("NoSuchBucket", "no such bucket", "create it first; is its name right?", False),
    ("NoSuchKey", "no such object", "is the key right?", False),
    ("404", "no such object", "is the key right?", False),
    ("SignatureDoesNotMatch", "the secret key is wrong", "check AWS_SECRET_ACCESS_KEY", False),
    ("InvalidAccessKeyId", "unknown access key", "check AWS_ACCESS_KEY_ID", False),
    ("ExpiredToken", "the credentials have expired", "log in again", False),
    ("InvalidToken", "the session token is wrong", "check AWS_SESSION_TOKEN", False),
    ("AccessDenied", "access denied", "these credentials may not do this", False),
    ("403", "access denied", "these credentials may not do this", False),
    ("401", "not logged in", _NO_CREDENTIALS, False),
    ("InvalidBucketName", "not a valid bucket name", "3 to 63 lower-case letters, digits, - and .", False),
    ("PermanentRedirect", "the bucket is in another region", _REGION, False),
    ("AuthorizationHeaderMalformed", "the bucket is in another region", _REGION, False),
    ("301", "the bucket is in another region", _REGION, False),
    ("SlowDown", "the store is overloaded", "try again later", True),
    ("QuotaExceeded", "the quota is used up", "", False),
    ("ConnectionRefused", "connection refused", _ENDPOINT, True),
    ("dns error", "unknown host", _ENDPOINT, False),
    ("invalid peer certificate", "the server's certificate is not trusted here", "", False),
    ("BadScheme", "not an http or https endpoint", _ENDPOINT, False),
    ("TimedOut", "no answer in time", "", True),
    ("operation timed out", "no answer in time", "", True),
)
