"""An upload writes its temporary file and waits for an approval that never comes; the file stays open on disk."""

import asyncio
import tempfile
from pathlib import Path

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [
    Expected(kind="task", proven=True, name="upload", function="upload", blocked_on="Event"),
    Expected(kind="fd", name="*upload-*"),
]

paths: list[str] = []


async def upload(approved: asyncio.Event) -> None:
    with tempfile.NamedTemporaryFile(prefix="upload-") as file:
        paths.append(file.name)
        file.write(b"text")
        await approved.wait()


async def program() -> None:
    task = asyncio.create_task(upload(asyncio.Event()), name="upload")
    await until_waiting(task)


def cleanup() -> None:
    Path(paths[0]).unlink()
