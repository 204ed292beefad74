"""The body of a response as a stream, with any ``Content-Encoding`` removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from penstock.connectors._located import located
from penstock.connectors.http._answers import check_whole
from penstock.errors import SourceError

if TYPE_CHECKING:
    from penstock.connectors.http._client import Answer
    from penstock.flow.contracts import ByteReader, Formats

__all__ = ["ENCODINGS", "USER_AGENT", "opened_body", "reading_headers"]

USER_AGENT = "penstock"
ENCODINGS = ("identity", "gzip", "zstd")


def reading_headers(accept_encoding: str) -> dict[str, str]:
    """Return what every GET says of us."""
    return {"Accept-Encoding": accept_encoding, "User-Agent": USER_AGENT}


@contextmanager
def opened_body(answer: Answer, formats: Formats, accept_encoding: str) -> Iterator[ByteReader]:
    """Give the body, decompressed where we let the server compress it. What it holds at a time is bounded.

    Raises:
        SourceError: its encoding was not asked for, or its end could not be told from a cut.
    """
    check_whole(answer)
    encoding = (answer.header("Content-Encoding") or "identity").strip().lower()
    body = cast(BinaryIO, answer)
    if encoding == "identity":
        yield body
    elif encoding == accept_encoding:
        with located(answer.endpoint.where), formats.decompressing(body, encoding) as stream:
            yield stream
    else:
        raise SourceError(
            f"the answer is {encoding}-encoded, which was not asked for",
            where=answer.endpoint.where,
            hint=f"--source-option accept_encoding={encoding} asks for it" if encoding in ENCODINGS else "",
        )
