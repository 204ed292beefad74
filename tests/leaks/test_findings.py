"""The table of who finds what counts what it says it counts."""

from __future__ import annotations

import os
from typing import Any

import pytest

from bench.detectors import CONTESTANTS, missing
from bench.findings import outcome_of, program_table, table

RUN: dict[str, Any] = {
    "detectors": {"one": "One", "two": "Two"},
    "outcomes": [
        {"program": program, "detector": detector, "expected": expected, "required": required} | said
        for program, expected, required, by_one, by_two in [
            ("leaking/a", ["thread"], True, {"kinds": ["thread", "thread"], "proven": 1}, {"error": "Boom"}),
            ("leaking/b", ["task"], True, {"kinds": ["thread"], "proven": 0}, {"kinds": [], "proven": 0}),
            ("leaking/c", ["socket"], False, {"kinds": [], "proven": 0}, {"kinds": [], "proven": 0}),
            ("clean/d", [], False, {"kinds": [], "proven": 0}, {"kinds": ["fd"], "proven": 0}),
        ]
        for detector, said in (("one", by_one), ("two", by_two))
    ],
}


def test_every_program_is_counted_once_for_each_detector() -> None:
    """Anything reported is found or a false alarm; who broke off was silent; silence is a miss where it is wrong."""
    assert table(RUN).splitlines() == [
        "| | One | Two |",
        "| --- | ---: | ---: |",
        "| **Leaking programs found** | 2 of 3 | 0 of 3 |",
        "| ... that leave a thread | 1 of 1 | 0 of 1 |",
        "| ... that leave a task, and no thread | 1 of 1 | 0 of 1 |",
        "| ... that leave neither, but something else | 0 of 1 | 0 of 1 |",
        "| Missed | 0 | 2 |",
        "| Silent where either answer is right | 1 | 1 |",
        "| Proven, of those found | 1 | 0 |",
        "| **False alarms on clean programs** | 0 of 1 | 1 of 1 |",
        "| Broke off, counted as silent | 0 | 1 |",
    ]


def test_every_program_has_a_line() -> None:
    """What it leaves, and what each detector said of it."""
    assert program_table(RUN).splitlines()[2:] == [
        "| leaking/a | thread | thread, 1 proven | broke off |",
        "| leaking/b | task | thread | - |",
        "| leaking/c | socket | - | - |",
        "| clean/d | - | - | fd |",
    ]


@pytest.mark.parametrize("detector", CONTESTANTS)
def test_every_detector_sees_a_thread_that_is_no_daemon(detector: str) -> None:
    """Each is really asked: of threads that wait for ever all of them report threads, and of none nothing."""
    if why := CONTESTANTS[detector].unavailable():
        pytest.skip(why)
    found = outcome_of("leaking/abandoned_receivers", detector, dict(os.environ))
    assert (set(found["kinds"]), found["expected"], found["required"]) == ({"thread"}, ["thread"] * 3, True)
    assert outcome_of("clean/threads_joined", detector, dict(os.environ))["kinds"] == []


def test_a_program_that_breaks_has_an_error() -> None:
    """Whoever breaks off is not taken for one who found nothing."""
    assert "no_such_program" in outcome_of("leaking/no_such_program", "threadleak", dict(os.environ))["error"]


def test_a_program_whose_service_is_absent_is_left_out() -> None:
    """With the reason; where the service is there, it runs."""
    pytest.importorskip("psycopg")
    assert missing("clean/psycopg_cursor_closed", set()) == "there is no postgres"
    assert missing("clean/psycopg_cursor_closed", {"postgres"}) is None
