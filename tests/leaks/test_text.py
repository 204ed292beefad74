"""The report as people read it."""

from __future__ import annotations

import os
import queue
import re
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.leaks import Leak, LeakReport, find_leaks, snapshot, trace_starts
from penstock.leaks._report.text import report_text

PYTHON = Path(os.__file__).parent
BEGINNING = tuple(f"{PYTHON}/threading.py:{line} in Thread.{f}" for line, f in ((1, "_bootstrap"), (2, "run")))
WAITING = (f"{PYTHON}/queue.py:171 in Queue.get", f"{PYTHON}/threading.py:320 in Condition.wait")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def consumer(folder: Path, name: str = "consumer", **changes: Any) -> Leak:
    leak = Leak(
        kind="thread",
        name=name,
        proven=True,
        verdict="nobody but itself can reach what it waits on",
        fix="nobody can put into this queue any more: put a sentinel before you drop it, or call queue.shutdown()",
        started_at=f"{folder}/shop/app.py:41 in start",
        start_stack=(f"{folder}/shop/app.py:50 in main", f"{folder}/shop/app.py:41 in start"),
        blocked_on="queue.Queue.get() on <Queue at 0x7f01>",
        created_at=f"{folder}/shop/app.py:12 in Jobs.__init__",
        holders=(f"'jobs' in {folder}/shop/app.py:30 in consume (thread {name!r})",),
        stack=(*BEGINNING, f"{folder}/shop/app.py:30 in consume", *WAITING),
        waited_seconds=0.5,
    )
    return replace(leak, **changes)


def suspect(name: str = "poller", **changes: Any) -> Leak:
    leak = Leak(kind="thread", name=name, fix="tell it to stop, and join() it", verdict="a timeout will wake it")
    return replace(leak, **changes)


def text(*leaks: Leak) -> str:
    return str(LeakReport(leaks))


def rows(report: str, label: str) -> list[str]:
    """What stands beside ``label``, and in the lines that go on with it."""
    found, inside = [], False
    for line in report.splitlines():
        if line.startswith(" " * 5):
            inside = line[5:17].strip() == label or (inside and not line[5:17].strip())
            found += [line[17:]] if inside else []
        else:
            inside = False
    return found


def test_a_report_reads_from_what_to_what_to_do(folder: Path) -> None:
    """Counts, verdict, where it was started, what it waits for, who holds that, where it is, and the fix at the end."""
    assert text(consumer(folder), suspect()) == (
        "2 leaks: 1 proven, 1 suspected (2 threads)\n"
        "\n"
        "1. thread 'consumer' will never wake: PROVEN: nobody but itself can reach what it waits on\n"
        "     started at  shop/app.py:41 in start\n"
        "                 called by shop/app.py:50 in main\n"
        "     blocked in  queue.Queue.get() on <Queue at 0x7f01>, for at least 0.5 s\n"
        "     made at     shop/app.py:12 in Jobs.__init__\n"
        "     held by     'jobs' in shop/app.py:30 in consume (thread 'consumer')\n"
        "     stack       shop/app.py:30 in consume\n"
        "                 ... 2 calls inside queue, threading\n"
        "     fix:        nobody can put into this queue any more: put a sentinel before you drop it, or call\n"
        "                 queue.shutdown()\n"
        "\n"
        "2. thread 'poller' outlived its scope (suspected)\n"
        "     not proven  a timeout will wake it\n"
        "     fix:        tell it to stop, and join() it"
    )


def test_an_empty_report_says_so() -> None:
    """One line."""
    assert text() == "nothing left behind"


def test_a_report_of_a_real_thread_tells_its_story() -> None:
    """Its name, where it was started and by whom, what it waits in, where that was made, where it is."""
    jobs: queue.Queue[None] = queue.Queue()

    def consume() -> None:
        jobs.get()

    def begin() -> threading.Thread:
        thread = threading.Thread(target=consume, name="real", daemon=True)
        thread.start()
        return thread

    before = snapshot()
    with trace_starts():
        thread = begin()
        report = str(find_leaks(since=before, grace=0.05))
    jobs.put(None)
    thread.join()
    assert "thread 'real' outlived its scope (suspected)" in report
    started = " ".join(rows(report, "started at"))
    test = "test_a_report_of_a_real_thread_tells_its_story"
    assert re.match(rf"\S*test_text.py:\d+ in {test}.<locals>.begin called by .*:\d+ in {test}\b", started)
    assert "queue.Queue.get() on <Queue" in rows(report, "blocked in")[0]
    assert any(line.endswith("consume") for line in rows(report, "stack"))
    assert rows(report, "stack")[-1] == "... 2 calls inside queue, threading"


@pytest.mark.parametrize(
    ("kind", "headline"),
    [
        ("task", "task 'x' outlived its scope (suspected)"),
        ("process", "process 'x' was left behind (suspected)"),
        ("fd", "descriptor 'x' was left open (suspected)"),
        ("socket", "socket 'x' was left open (suspected)"),
        ("channel", "channel 'x' was left open (suspected)"),
        ("pool", "pool 'x' was not shut down (suspected)"),
        ("response", "response 'x' was neither read to its end nor closed (suspected)"),
        ("generator", "generator 'x' was left half-way (suspected)"),
    ],
)
def test_every_kind_is_called_what_people_call_it(kind: Any, headline: str) -> None:
    """And a suspicion is called one."""
    assert headline in text(suspect("x", kind=kind)).splitlines()


@pytest.mark.parametrize(("kind", "words"), [("task", "will never wake"), ("pipe", "can never end")])
def test_a_proof_is_stated_without_a_doubt(folder: Path, kind: Any, words: str) -> None:
    """PROVEN, why, and not a word of suspicion."""
    report = text(consumer(folder, kind=kind))
    assert f"{kind} 'consumer' {words}: PROVEN: nobody but itself" in report
    assert "suspect" not in report
    assert "not proven" not in report


def test_leaks_that_differ_in_name_only_are_told_of_once(folder: Path) -> None:
    """With their names, but not with all of many, and the least of the times they have been there."""
    report = text(*(consumer(folder, f"worker-{i}", waited_seconds=9.0 - i) for i in range(9)))
    assert report.startswith("9 leaks: 9 proven (9 threads)\n\n9 threads like this will never wake: PROVEN")
    assert rows(report, "names") == [
        "'worker-0', 'worker-1', 'worker-2', 'worker-3', 'worker-4', 'worker-5' and 3 more"
    ]
    assert report.count("fix:") == 1
    assert rows(report, "blocked in")[0].endswith("for at least 1.0 s")


def test_leaks_of_one_name_are_named_once() -> None:
    """In the headline, and in the plural."""
    report = text(suspect(), suspect(), suspect())
    assert "3 threads named 'poller' outlived their scope (suspected)" in report
    assert rows(report, "names") == []


def test_each_on_its_own_queue_is_still_the_same_leak(folder: Path) -> None:
    """An address that differs is left out; one that all share is worth knowing."""
    places = ["queue.Queue.get() on <Queue at 0x7f01>", "queue.Queue.get() on <Queue at 0x7f02>"]
    different = text(*(consumer(folder, blocked_on=place) for place in places))
    assert rows(different, "blocked in") == ["queue.Queue.get() on <Queue>, for at least 0.5 s"]
    shared = text(*(consumer(folder, name, blocked_on=places[0]) for name in "ab"))
    assert rows(shared, "blocked in") == ["queue.Queue.get() on <Queue at 0x7f01>, for at least 0.5 s"]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "task"},
        {"proven": False},
        {"verdict": "another"},
        {"fix": "another"},
        {"started_at": "other.py:1 in f"},
        {"start_stack": ()},
        {"blocked_on": "queue.Queue.put() on <Queue at 0x7f01>"},
        {"created_at": "other.py:1 in f"},
        {"holders": ()},
        {"open_ends": 1},
        {"stack": ()},
        {"scope": "test_other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_leaks_that_differ_in_anything_else_are_told_of_each(folder: Path, change: dict[str, Any]) -> None:
    """Nothing that a reader would see gets lost."""
    assert text(consumer(folder), consumer(folder, **change)).count("fix:") == 2


def test_every_field_there_is_is_shown(folder: Path) -> None:
    """Scope and open ends, too."""
    report = text(consumer(folder, scope="tests/test_jobs.py::test_it", open_ends=2))
    assert rows(report, "scope") == ["tests/test_jobs.py::test_it"]
    assert rows(report, "open ends") == ["2"]


def test_the_reason_of_a_suspicion_is_not_said_twice(folder: Path) -> None:
    """A holder that the verdict names has no row of its own."""
    leak = consumer(folder, proven=False)
    assert rows(text(leak), "held by") != []
    assert rows(text(replace(leak, verdict=f"it is held by {leak.holders[0]}")), "held by") == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("{folder}/a/b.py", "a/b.py"),
        ("{folder}2/b.py", "{folder}2/b.py"),
        ("/other{folder}/b.py", "/other{folder}/b.py"),
        ("/elsewhere/b.py", "/elsewhere/b.py"),
        ("{folder}/.venv/lib/python3/site-packages/urllib3/pool.py", "urllib3/pool.py"),
        (f"{PYTHON}/queue.py", f"{PYTHON.name}/queue.py"),
    ],
)
def test_paths_are_short_and_can_still_be_opened(folder: Path, path: str, shown: str) -> None:
    """Relative to the current folder, or to where packages and Python itself are."""
    path, shown = path.format(folder=folder), shown.format(folder=folder)
    report = text(suspect(started_at=f"{path}:3 in f", verdict=f"held in {path}:4"))
    assert rows(report, "started at") == [f"{shown}:3 in f"]
    assert f"held in {shown}:4" in " ".join(rows(report, "not proven"))


def test_a_removed_current_folder_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths stay as they are then."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert rows(text(suspect(started_at=f"{tmp_path}/a.py:3 in f")), "started at") == [f"{tmp_path}/a.py:3 in f"]


def test_of_a_deep_stack_the_innermost_own_calls_are_shown(folder: Path) -> None:
    """Five of them; the others are counted, and calls of libraries are folded wherever they are."""
    own = [f"{folder}/a.py:{i} in f{i}" for i in range(8)]
    library = [f"{folder}/.venv/lib/site-packages/urllib3/pool.py:{i} in g" for i in range(3)]
    report = text(suspect(stack=(*BEGINNING, *own[:5], *library, *own[5:], *WAITING)))
    assert rows(report, "stack") == [
        "... 3 calls above",
        "a.py:3 in f3",
        "a.py:4 in f4",
        "... 3 calls inside urllib3",
        "a.py:5 in f5",
        "a.py:6 in f6",
        "a.py:7 in f7",
        "... 2 calls inside queue, threading",
    ]


def test_folded_calls_are_named_after_their_package(folder: Path) -> None:
    """With its dots, and each once."""
    files = ("concurrent/futures/_base.py", "concurrent/futures/thread.py", "queue.py")
    library = [f"{PYTHON}/{file}:1 in f" for file in files]
    report = text(suspect(stack=(f"{folder}/a.py:1 in f", *library, "<frozen importlib._bootstrap>:1 in g")))
    assert rows(report, "stack")[-1] == "... 4 calls inside concurrent.futures, queue, importlib._bootstrap"


def test_a_stack_of_libraries_only_shows_its_end() -> None:
    """As of a thread whose function is the method of a queue."""
    assert rows(text(suspect(stack=(*BEGINNING, *WAITING))), "stack") == [
        f"{PYTHON.name}/threading.py:2 in Thread.run",
        f"{PYTHON.name}/queue.py:171 in Queue.get",
        f"{PYTHON.name}/threading.py:320 in Condition.wait",
    ]


def test_the_callers_of_who_started_it_are_named_nearest_first(folder: Path) -> None:
    """Three of them, without libraries, and without what runs scripts for `penstock leaks`."""
    runner = Path(sys.modules["penstock.leaks"].__file__ or "").with_name("_faces") / "program.py"
    calls = [f"{folder}/a.py:{i} in f{i}" for i in range(6)]
    stack = ("/usr/bin/penstock:6 in <module>", f"{runner}:62 in Program.run", *calls[:3], *WAITING, *calls[3:])
    assert rows(text(suspect(started_at=calls[-1], start_stack=stack)), "started at") == [
        "a.py:5 in f5",
        "called by a.py:4 in f4",
        "called by a.py:3 in f3",
        "called by a.py:2 in f2",
        "called by ... 2 calls above",
    ]


@pytest.mark.parametrize("width", [60, 100])
def test_lines_fit(folder: Path, width: int) -> None:
    """Nothing but a single long word is wider than asked for, and what goes on is indented."""
    words = " ".join(["word"] * 60)
    report = report_text(LeakReport((consumer(folder, verdict=words, fix=words, holders=(words,)),)), width=width)
    assert max(map(len, report.splitlines())) <= width
    assert all(line.startswith(" " * 5) for line in report.splitlines()[3:])


def test_long_and_odd_names_stay_on_one_line() -> None:
    """Line breaks in a name become spaces, and of a very long one the beginning is shown."""
    report = text(suspect("a\nb\tc " + "d" * 500))
    assert f"thread 'a b c {'d' * 100}" in report.replace("\n     ", " ")
    assert "d" * 121 not in report


def test_no_password_gets_into_a_report(folder: Path) -> None:
    """Whatever field it is in."""
    secret = "hunter2"
    address = f"postgresql://me:{secret}@db/shop?password={secret}"
    fields: dict[str, Any] = dict.fromkeys(
        ("name", "fix", "verdict", "started_at", "blocked_on", "created_at", "scope"), address
    )
    for proven in (True, False):
        lists = {"holders": (address, "b"), "stack": (address,), "start_stack": (address, "x")}
        report = text(consumer(folder, **fields, **lists, proven=proven))
        assert secret not in report
        assert "postgresql://me:***@db/shop?password=***" in report


def test_durations_are_for_people() -> None:
    """Seconds, and minutes when there are many."""
    assert rows(text(suspect(waited_seconds=0.52)), "there for") == ["at least 0.5 s"]
    assert rows(text(suspect(waited_seconds=190)), "there for") == ["at least 3 min"]


def test_there_is_no_colour_but_on_request(folder: Path) -> None:
    """str() is plain; a painter is asked for every part by its role, and the text stays the same."""
    report = LeakReport((consumer(folder), suspect()))
    asked: list[tuple[str, str]] = []

    def paint(role: str, part: str) -> str:
        asked.append((role, part))
        return f"<{part}>"

    painted = report_text(report, paint=paint)
    assert "\x1b" not in str(report)
    assert {role for role, _ in asked} == {"proven", "suspected", "label", "fix"}
    assert ("suspected", "2. thread 'poller' outlived its scope (suspected)") in asked
    for _, part in asked:
        painted = painted.replace(f"<{part}>", part)
    assert painted == str(report)


def test_a_process_has_a_state() -> None:
    """It is not blocked in being a zombie."""
    report = text(suspect(kind="process", blocked_on="exited with 0, a zombie"))
    assert rows(report, "state") == ["exited with 0, a zombie"]


def test_counts_by_kind_are_in_the_first_line(folder: Path) -> None:
    """With the right plurals."""
    leaks = [consumer(folder), *(suspect(str(i), kind=kind) for i, kind in enumerate(("process", "process", "fd")))]
    assert text(*leaks).splitlines()[0] == ("4 leaks: 1 proven, 3 suspected (1 thread, 2 processes, 1 descriptor)")


def test_made_where_it_was_started_is_said_once(folder: Path) -> None:
    """A pipe's or channel's own place is both."""
    place = f"{folder}/a.py:1 in f"
    report = text(suspect(kind="channel", started_at=place, created_at=place))
    assert rows(report, "started at") == ["a.py:1 in f"]
    assert rows(report, "made at") == []
