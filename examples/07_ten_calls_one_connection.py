"""Ten HTTP calls in a loop on one connection.

A connection can carry the next request only once the body of the last answer has been read to its end. Who looks at the
status and closes the response throws the connection away; `draining` reads the rest, within bounds, and gives it back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import urllib3
from _local import Handler, serving

import penstock

CALLS = 10


class Report(Handler):
    """Answers with a status people want, and a body they do not."""

    def get(self) -> None:
        self.answer(b"all is well\n" * 1000)


def call(url: str, finish: Callable[[Any], AbstractContextManager[Any]]) -> None:
    with urllib3.PoolManager() as http:
        for _ in range(CALLS):
            with finish(http.request("GET", url, preload_content=False)) as response:
                assert response.status == 200


def connections_for(finish: Callable[[Any], AbstractContextManager[Any]]) -> int:
    """Make the calls; return how many connections the server has accepted."""
    with serving(Report) as server:
        call(server.url, finish)
    return server.connections


def main() -> None:
    closed = connections_for(contextlib.closing)
    print(f"{CALLS} calls, each response closed:  {closed} connections")
    assert closed == CALLS

    drained = connections_for(penstock.draining)
    print(f"{CALLS} calls, each response drained: {drained} connection")
    assert drained == 1


if __name__ == "__main__":
    main()
