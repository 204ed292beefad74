"""A thread stands in ``pdb`` and waits for its user to type: it is where the user put it."""

import io
import os
import pdb  # noqa: T100, the debugger is what this is about
import threading

from tests.leaks.corpus import until_parked

READ, WRITE = os.pipe()
KEYBOARD = os.fdopen(READ)


def inspect() -> None:
    pdb.Pdb(stdin=KEYBOARD, stdout=io.StringIO(), nosigint=True, readrc=False).set_trace()


def program() -> None:
    inspected = threading.Thread(target=inspect, name="inspected")
    inspected.start()
    until_parked(inspected)


def cleanup() -> None:
    os.write(WRITE, b"continue\n")
