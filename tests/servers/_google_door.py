"""A door for clients of Google Cloud Storage to an S3 store: WSGI middleware, in front of Swift's S3 interface.

Google's XML interface is S3's in another dialect: the same requests, listings, uploads in parts and errors, under
other headers. The door translates those, and signs for the client, who has shown a bearer token (any; there is no Google
to ask). What it does not know it refuses, so that nothing a client asked for is dropped in silence:

    Authorization: Bearer ...          a signature of S3's, over everything but the body
    x-goog-if-generation-match: 0      If-None-Match: *     on a whole object; Google has no conditions on uploads in parts
    x-goog-storage-class: STANDARD     x-amz-storage-class: STANDARD

Google's own meaning of the rest (generations, its error codes where they differ, its limits) is not here: what passes
through this door has met a real object store, but not Google's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from tests.servers._sigv4 import signed

__all__ = ["GoogleDoor"]

Environment = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Environment, StartResponse], Iterable[bytes]]

_TOKEN = "Bearer "
_GOOGLE = "HTTP_X_GOOG_"


class GoogleDoor:
    """Lets requests with a bearer token through as signed ones; all others as they are."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environment: Environment, start: StartResponse) -> Iterable[bytes]:
        """Pass one request on, or refuse it."""
        if not environment.get("HTTP_AUTHORIZATION", "").startswith(_TOKEN):
            return self.application(environment, start)
        unknown = _translate(environment)
        if unknown:
            body = f"<Error><Code>NotImplemented</Code><Message>{', '.join(unknown)}</Message></Error>".encode()
            start("501 Not Implemented", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]
        _sign(environment)
        return self.application(environment, start)


def _translate(environment: Environment) -> list[str]:
    """Put S3's headers in the place of Google's; return what there is no word for."""
    unknown = []
    for name in [name for name in environment if name.startswith(_GOOGLE)]:
        value = environment.pop(name)
        if name == "HTTP_X_GOOG_STORAGE_CLASS":
            environment["HTTP_X_AMZ_STORAGE_CLASS"] = value
        elif name == "HTTP_X_GOOG_IF_GENERATION_MATCH" and value == "0" and not environment.get("QUERY_STRING"):
            environment["HTTP_IF_NONE_MATCH"] = "*"
        else:
            unknown.append(f"{name}: {value}")
    return unknown


def _sign(environment: Environment) -> None:
    path = environment["PATH_INFO"].encode("latin-1").decode()
    query = dict(parse_qsl(environment.get("QUERY_STRING", ""), keep_blank_values=True))
    amazon = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environment.items()
        if name.startswith("HTTP_X_AMZ_")
    }
    target, headers = signed(
        environment["REQUEST_METHOD"],
        environment["HTTP_HOST"],
        path,
        query,
        None,
        access_key="test:tester",
        secret_key="testing",
        region="us-east-1",
        more_headers=amazon,
    )
    environment["RAW_PATH_INFO"], _, environment["QUERY_STRING"] = target.partition("?")
    environment.pop("headers_raw", None)  # eventlet's, from which the signature would be checked
    for name, value in headers.items():
        environment[f"HTTP_{name.replace('-', '_').upper()}"] = value
