"""A request's context is made and dropped without ``cancel``: what waits for its end waits on.

In Go ``vet`` complains of the lost ``cancel`` function, since the goroutine that passes on the parent's end leaks.
"""

from __future__ import annotations

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="propagate", function="_propagate", blocked_on="Event"),
    Expected(kind="thread", proven=True, name="request", function="serve", blocked_on="Event"),
]


class Context:
    def __init__(self, parent: Context | None = None) -> None:
        self.done = threading.Event()
        self.threads: list[threading.Thread] = []
        if parent is not None:
            self.threads.append(threading.Thread(target=self._propagate, args=(parent,), name="propagate"))
            self.threads[0].start()

    def cancel(self) -> None:
        self.done.set()

    def _propagate(self, parent: Context) -> None:
        parent.done.wait()
        self.cancel()


def serve(context: Context) -> None:
    context.done.wait()


def program() -> None:
    context = Context(parent=Context())
    request = threading.Thread(target=serve, args=(context,), name="request")
    request.start()
    until_parked(request, *context.threads)
