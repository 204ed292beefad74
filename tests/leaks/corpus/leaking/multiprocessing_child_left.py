"""A ``multiprocessing.Process`` is started and not joined."""

import multiprocessing
import time

from tests.leaks.corpus import Expected

LEAKS = [
    Expected(kind="process", name="*sleeper*", fix="join"),
    Expected(kind="fd", optional=True),  # the pipe by which parent and child learn of each other's end
    Expected(kind="fd", optional=True),
]


def program() -> None:
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), name="sleeper", daemon=True).start()


def cleanup() -> None:
    for child in multiprocessing.active_children():
        child.kill()
