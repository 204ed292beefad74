"""What the tests of object stores share: a clean environment, and how to look at what a store was left with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import pytest  # noqa: TC002 - in tests an import is an import

from penstock.flow.contracts import Sink
from tests.connectors.parts import sink_of
from tests.servers.s3 import S3Server

PART = 5 << 20
DATA = os.urandom(1 << 20) * 13

_CLOUDS = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_")


def use_only(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure no cloud but the one that ``variables`` names; no file of the user's, no machine's account."""
    for name in [name for name in os.environ if name.startswith(_CLOUDS)]:
        monkeypatch.delenv(name)
    defaults = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    for name, value in {**defaults, **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)  # the address says http, which is enough


def sink_in(bucket: str, **options: object) -> Sink:
    """A sink with the smallest parts there are, two of them at once."""
    return sink_of(f"s3://{bucket}/folder/x.csv", **{"part_size": PART, "concurrency": 2, **options})


def left(s3_server: S3Server, bucket: str) -> tuple[dict[str, int], list[str]]:
    """Objects and open uploads."""
    return s3_server.objects(bucket), s3_server.uploads(bucket)


def holding(s3_server: S3Server, operation: str, *, times: int = 1, is_whole: bool = False) -> Callable[[], int]:
    """Have requests of ``operation`` held, as ``S3Server.hold``; return a function that says how many are, or were."""
    before = s3_server.statistics().held.get(operation, 0)
    s3_server.hold(operation, times=times, is_whole=is_whole)
    return lambda: s3_server.statistics().held.get(operation, 0) - before
