"""A wait group is told of three jobs, and one of them ends without saying so.

Go's goker set has this with ``sync.WaitGroup``: ``Done`` is skipped on an early return.
"""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="waiter",
        function="wait",
        blocked_on="Condition",
        created_at="WaitGroup.__init__",
    )
]


class WaitGroup:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs = 0

    def add(self, jobs: int) -> None:
        with self._changed:
            self._jobs += jobs
            self._changed.notify_all()

    def wait(self) -> None:
        with self._changed:
            while self._jobs:
                self._changed.wait()


def job(group: WaitGroup, text: str) -> None:
    if not text:
        return
    group.add(-1)


def program() -> None:
    group = WaitGroup()
    group.add(3)
    jobs = [threading.Thread(target=job, args=(group, text)) for text in ("a", "", "c")]
    waiter = threading.Thread(target=group.wait, name="waiter")
    waiter.start()
    for each in jobs:
        each.start()
    for each in jobs:
        each.join()
    until_parked(waiter)
