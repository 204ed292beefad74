"""A thread waits for a start signal; the function that was to give it has returned early."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="runner",
        function="run",
        blocked_on="Event",
        created_at="program",
        started_at="program",
        fix="set",
    )
]


def run(started: threading.Event, configuration: dict[str, int]) -> int:
    started.wait()
    return configuration["port"]


def program() -> None:
    started = threading.Event()
    configuration: dict[str, int] = {}
    runner = threading.Thread(target=run, args=(started, configuration), name="runner")
    runner.start()
    until_parked(runner)
    if "port" not in configuration:
        return
    started.set()
