"""Turn obstore's errors into ours, using the stores' error codes. Its own messages contain the whole HTTP exchange."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from penstock._extras import need
from penstock.errors import ConnectorError, PenstockError

__all__ = ["Meaning", "error_code", "meaning_of", "translating"]

_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)
_STATUS = re.compile(r"status code: (\d{3})|: (\d{3}) [A-Z]")


class Meaning(NamedTuple):
    """What an error of a store says to a person.

    Attributes:
        sign: its code, its status, or words of its text.
        message: what is wrong.
        hint: what to do.
        transient: whether trying again may help.
    """

    sign: str
    message: str
    hint: str = ""
    transient: bool = False


@contextmanager
def translating(where: str, error: type[ConnectorError]) -> Iterator[None]:
    """A block in which errors of obstore become ours."""
    foreign = need("obstore.exceptions", extra="s3", why="reach an object store").BaseError
    try:
        yield
    except PenstockError:
        raise  # ConfigurationError is a ValueError
    except (foreign, OSError, ValueError) as exc:  # missing objects are FileNotFoundError; a writer's errors, OSError
        raise _translated(exc, where, error) from exc


def error_code(exc: BaseException) -> str:
    """Return what the store called it (``"NoSuchBucket"``), else the HTTP status (``"403"``), else ``""``."""
    code = _CODE.search(str(exc))
    return code[1] if code else _status(str(exc))


def meaning_of(code: str, text: str, scheme: str = "s3") -> Meaning | None:
    """Return what ``code`` (may be ``""``) in ``text`` means at stores of ``scheme``; None when that is not known."""
    for known in (*_SPECIAL.get(scheme, ()), *_MEANINGS):
        sign = known.sign
        if sign == code or (_may_be_anywhere(sign, code) and sign in text):
            return known
    return None


def _may_be_anywhere(sign: str, code: str) -> bool:
    """Whether a sign counts wherever it is in the text. A status does not: ports and keys have such numbers, too."""
    return not sign.isalnum() or not (code or sign.isdigit())


def _status(text: str) -> str:
    found = _STATUS.search(text)
    return "" if found is None else found[1] or found[2]


def _translated(exc: Exception, where: str, error: type[ConnectorError]) -> ConnectorError:
    text = str(exc)
    known = meaning_of(error_code(exc), text, where.partition("://")[0])
    if known is not None:
        return error(known.message, where=where, hint=known.hint, transient=known.transient)
    said = _MESSAGE.search(text)
    first_line = said[1] if said else text.partition("\n")[0]
    return error(first_line, where=where, transient=_status(text).startswith("5"))


_NO_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_REGION = "set AWS_REGION to the bucket's region"
_ENDPOINT = "is AWS_ENDPOINT_URL right?"
_AUTHORITY = "AWS_CA_BUNDLE or SSL_CERT_FILE may name another authority"
_GOOGLE = "check GOOGLE_APPLICATION_CREDENTIALS and what its account may do"
_AZURE = "check AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"

_MEANINGS = (
    Meaning("169.254.169.254", "no credentials found", _NO_CREDENTIALS),
    Meaning("NoSuchBucket", "no such bucket", "create it first; is its name right?"),
    Meaning("NoSuchKey", "no such object", "is the key right?"),
    Meaning("404", "no such object", "is the key right?"),
    Meaning("SignatureDoesNotMatch", "the secret key is wrong", "check AWS_SECRET_ACCESS_KEY"),
    Meaning("InvalidAccessKeyId", "unknown access key", "check AWS_ACCESS_KEY_ID"),
    Meaning("ExpiredToken", "the credentials have expired", "log in again"),
    Meaning("InvalidToken", "the session token is wrong", "check AWS_SESSION_TOKEN"),
    Meaning("RequestTimeTooSkewed", "this machine's clock is wrong", "set it; requests are signed with the time"),
    Meaning("AccessDenied", "access denied", "these credentials may not do this"),
    Meaning("403", "access denied", "these credentials may not do this"),
    Meaning("401", "not logged in", _NO_CREDENTIALS),
    Meaning("InvalidBucketName", "not a valid bucket name", "3 to 63 lower-case letters, digits, - and ."),
    Meaning("PermanentRedirect", "the bucket is in another region", _REGION),
    Meaning("AuthorizationHeaderMalformed", "the bucket is in another region", _REGION),
    Meaning("301", "the bucket is in another region", _REGION),
    Meaning("412", "the object has changed meanwhile", "run it again"),
    Meaning("PreconditionFailed", "the object has changed meanwhile", "run it again"),
    Meaning("SlowDown", "the store is overloaded", "try again later", True),
    Meaning("503", "the store is overloaded", "try again later", True),
    Meaning("429", "the store is overloaded", "try again later", True),
    Meaning("QuotaExceeded", "the quota is used up"),
    Meaning("EntityTooLarge", "the object is too large for this store"),
    Meaning("InvalidStorageClass", "no such storage class", "check the option storage_class"),
    Meaning("ConnectionRefused", "connection refused", _ENDPOINT, True),
    Meaning("Connection refused", "connection refused", _ENDPOINT, True),
    Meaning("dns error", "unknown host", _ENDPOINT),
    Meaning("InvalidCertificate", "the server's certificate is not trusted here", _AUTHORITY),
    Meaning("invalid peer certificate", "the server's certificate is not trusted here", _AUTHORITY),
    Meaning("BadScheme", "not an http or https endpoint", _ENDPOINT),
    Meaning("TimedOut", "no answer in time", "", True),
    Meaning("operation timed out", "no answer in time", "", True),
)

# What the other clouds call it, and which of their variables to look at; asked first.
_SPECIAL = {
    "gs": (
        Meaning("401", "not logged in", _GOOGLE),
        Meaning("403", "access denied", _GOOGLE),
        Meaning("ConnectionRefused", "connection refused", "is the endpoint right?", True),
        Meaning("Connection refused", "connection refused", "is the endpoint right?", True),
        Meaning("dns error", "unknown host", "is the endpoint right?"),
        Meaning("169.254.169.254", "no credentials found", "set GOOGLE_APPLICATION_CREDENTIALS"),
        Meaning("metadata.google.internal", "no credentials found", "set GOOGLE_APPLICATION_CREDENTIALS"),
    ),
    "az": (
        Meaning("ContainerNotFound", "no such container", "create it first; is its name right?"),
        Meaning("BlobNotFound", "no such object", "is the key right?"),
        Meaning("AuthenticationFailed", "the account key is wrong", _AZURE),
        Meaning("AuthorizationFailure", "access denied", _AZURE),
        Meaning("AuthorizationPermissionMismatch", "access denied", _AZURE),
        Meaning("401", "not logged in", _AZURE),
        Meaning("403", "access denied", _AZURE),
        Meaning("ServerBusy", "the store is overloaded", "try again later", True),
        Meaning("ConnectionRefused", "connection refused", "is the endpoint right?", True),
        Meaning("Connection refused", "connection refused", "is the endpoint right?", True),
        Meaning("dns error", "unknown host", "is the account's name right?"),
        Meaning("169.254.169.254", "no credentials found", _AZURE),
    ),
}
