"""AWS Signature Version 4: what the S3 helper and the Google door sign with, independent of the clients under test."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

__all__ = ["signed"]


def signed(
    method: str,
    host: str,
    path: str,
    query: Mapping[str, str],
    body: bytes | None,
    *,
    access_key: str,
    secret_key: str,
    region: str,
    more_headers: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, str]]:
    """The request target and the headers of an S3 request signed now; a body of None is not covered by the signature."""
    now = datetime.now(UTC)
    scope = f"{now:%Y%m%d}/{region}/s3/aws4_request"
    body_hash = "UNSIGNED-PAYLOAD" if body is None else hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": body_hash, "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}"}
    headers |= more_headers or {}
    names = ";".join(sorted(headers))
    target_path = quote(path)
    target_query = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in sorted(query.items()))

    canonical_headers = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join([method, target_path, target_query, canonical_headers, names, body_hash])
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()

    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return (f"{target_path}?{target_query}" if target_query else target_path), headers
