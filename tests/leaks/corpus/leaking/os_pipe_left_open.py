"""``os.pipe()`` gives two numbers; a function that returns on an error path closes neither."""

import contextlib
import os

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="fd", fix="close"), Expected(kind="fd", fix="close")]


def talk(message: bytes) -> None:
    reader, writer = os.pipe()
    if not message:
        raise ValueError(message)
    os.close(reader)
    os.close(writer)


def program() -> None:
    with contextlib.suppress(ValueError):
        talk(b"")
