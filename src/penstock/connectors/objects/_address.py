"""Parse addresses of objects, and the options of object stores. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.connectors.objects._s3_client import S3Settings
from penstock.errors import ConfigurationError

__all__ = ["ObjectAddress", "Scheme", "address_of", "flag", "is_pattern"]

Scheme = Literal["s3", "gs", "az"]

_EXAMPLES = {"s3": "s3://bucket/key", "gs": "gs://bucket/key", "az": "az://container/key"}
_CREDENTIALS = {"s3": "AWS_*", "gs": "GOOGLE_*", "az": "AZURE_STORAGE_*"}
_READING = {
    "s3": frozenset({"endpoint", "no_sign_request", "profile", "region"}),
    "gs": frozenset({"endpoint", "no_sign_request"}),
    "az": frozenset({"account", "endpoint", "no_sign_request"}),
}
_WRITING = {
    "s3": _READING["s3"] | {"sse", "sse_kms_key_id", "storage_class"},
    "gs": _READING["gs"] | {"storage_class"},
    "az": _READING["az"] | {"storage_class"},
}
_GLOB = frozenset("*?[")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class ObjectAddress:
    """One object, or, of a source, a pattern that matches some.

    Attributes:
        scheme: which kind of store.
        bucket: a bucket, or what Azure calls a container.
        key: what follows it, character for character: it is no path of a URI.
        where: the address as messages show it.
        options: what was asked for of the store, each a known one.
    """

    scheme: Scheme
    bucket: str
    key: str
    where: str
    options: Mapping[str, object]

    def text(self, option: str) -> str | None:
        """Return an option as text; None when it was not given."""
        value = self.options.get(option)
        return None if value is None else str(value)

    def s3_settings(self) -> S3Settings:
        """Return how to reach the store, where it speaks S3."""
        return S3Settings(
            endpoint=self.text("endpoint"),
            region=self.text("region"),
            profile=self.text("profile"),
            no_sign_request=flag(self, "no_sign_request"),
        )


def address_of(request: SourceRequest | SinkRequest) -> ObjectAddress:
    """Take the address of ``request`` apart.

    Raises:
        ConfigurationError: it names no object, or there is no such option.
    """
    shown = request.shown
    scheme = cast(Scheme, request.uri.partition("://")[0].lower())
    request.check_options((_READING if isinstance(request, SourceRequest) else _WRITING)[scheme])
    bucket, _, key = request.uri.partition("://")[2].partition("/")
    if "@" in bucket:
        message = f"write {_EXAMPLES[scheme]}; credentials come from the {_CREDENTIALS[scheme]} environment"
        raise ConfigurationError(f"{shown}: {message}")
    if not bucket or not key or key.endswith("/"):
        raise ConfigurationError(f"{shown}: write {_EXAMPLES[scheme]}")
    if {"", ".", ".."} & set(key.split("/")):
        raise ConfigurationError(f"{shown}: a key with an empty, . or .. as a part is not supported")
    return ObjectAddress(scheme, bucket, key, shown, request.options)


def flag(address: ObjectAddress, option: str) -> bool:
    """Return an option that is on or off, as the command line spells it; off when it was not given.

    Raises:
        ConfigurationError: it is neither.
    """
    value = address.options.get(option, False)
    known = value if isinstance(value, bool) else _WORDS.get(str(value).lower())
    if known is None:
        raise ConfigurationError(f"{address.where}: the option {option} is true or false, not {value!r}")
    return known


def is_pattern(key: str) -> bool:
    """Whether ``key`` is meant to match several objects, as a shell would read it."""
    return bool(_GLOB & set(key))
