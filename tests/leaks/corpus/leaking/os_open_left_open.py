"""A file is opened by ``os.open``, the parser raises, and the descriptor is lost."""

import contextlib
import os

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="fd", name="*os_open_left_open.py*", fix="close")]


def first_number(path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    number = int(os.read(descriptor, 10))
    os.close(descriptor)
    return number


def program() -> None:
    with contextlib.suppress(ValueError):
        first_number(__file__)
