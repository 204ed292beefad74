"""A thread waits for a state in ``wait_for``; the state comes, but whoever changed it forgot to notify."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="reader",
        function="read",
        blocked_on="Condition",
        created_at="program",
        fix="notify",
    )
]


def read(changed: threading.Condition, lines: list[str]) -> str:
    with changed:
        changed.wait_for(lambda: lines)
        return lines.pop()


def program() -> None:
    changed = threading.Condition()
    lines: list[str] = []
    reader = threading.Thread(target=read, args=(changed, lines), name="reader")
    reader.start()
    until_parked(reader)
    with changed:
        lines.append("a line")
