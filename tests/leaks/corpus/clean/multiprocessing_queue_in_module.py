"""A module holds a ``multiprocessing.Queue``: its feeder thread and its pipe are there for the next item."""

import multiprocessing

from tests.leaks.corpus import until

queues = []


def program() -> None:
    queues.append(multiprocessing.get_context("fork").Queue())
    queues[0].put(1)
    until(lambda: not queues[0].empty())
    assert queues[0].get() == 1
