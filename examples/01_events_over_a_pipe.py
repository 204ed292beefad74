"""A producer and a consumer of JSON events over a pipe, under one deadline of 2 seconds.

Three endings. The producer returns: the consumer sees the end of the data. The producer fails: the consumer raises
that exception, the very same object. The producer falls silent: the deadline ends the wait, and the producer too.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import penstock

DEADLINE_SECONDS = 2.0

Producer = Callable[[penstock.PipeWriter], None]


def write_event(writer: penstock.PipeWriter, number: int) -> None:
    writer.write(json.dumps({"event": number, "celsius": 20 + number / 1000}).encode() + b"\n")


def producer_that_returns(writer: penstock.PipeWriter) -> None:
    for number in range(1000):
        write_event(writer, number)


FAILURE = ConnectionResetError("the sensor was unplugged")


def producer_that_fails(writer: penstock.PipeWriter) -> None:
    for number in range(400):
        write_event(writer, number)
    raise FAILURE


def producer_that_falls_silent(writer: penstock.PipeWriter) -> None:
    write_event(writer, 0)
    penstock.sleep(3600)


def consume(producer: Producer) -> tuple[list[Any], Exception | None]:
    """Return the events that arrived, and what ended them other than their end."""
    events: list[Any] = []
    try:
        with penstock.fail_after(DEADLINE_SECONDS), penstock.reading_from(producer) as reader:
            events.extend(json.loads(line) for line in reader)
    except (ConnectionResetError, penstock.DeadlineExceeded) as error:
        return events, error
    return events, None


def main() -> None:
    events, error = consume(producer_that_returns)
    print(f"it returned:    {len(events)} events, then the end")
    assert len(events) == 1000
    assert error is None

    events, error = consume(producer_that_fails)
    print(f"it failed:      {error!r}, the producer's own object: {error is FAILURE}")
    assert error is FAILURE

    started = time.monotonic()
    events, error = consume(producer_that_falls_silent)
    waited = time.monotonic() - started
    print(f"it went silent: {type(error).__name__} after {waited:.2f} s, threads left: {threading.active_count() - 1}")
    assert isinstance(error, penstock.DeadlineExceeded)
    assert DEADLINE_SECONDS <= waited < DEADLINE_SECONDS + 1
    assert threading.active_count() == 1


if __name__ == "__main__":
    main()
