"""``_, path = tempfile.mkstemp()``: the name is wanted, and the descriptor that comes with it is dropped."""

import tempfile
from pathlib import Path

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="fd", name="*draft*", fix="close")]

paths: list[str] = []


def program() -> None:
    _, path = tempfile.mkstemp(prefix="draft-")
    paths.append(path)
    Path(path).write_text("text", encoding="utf-8")


def cleanup() -> None:
    Path(paths[0]).unlink()
