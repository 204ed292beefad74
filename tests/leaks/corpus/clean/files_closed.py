"""Files, temporary files and pipes that were closed, by ``with`` and by ``close``."""

import os
import tempfile
from pathlib import Path


def program() -> None:
    with Path(__file__).open(encoding="utf-8") as file:
        file.readline()
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(b"text")
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb") as sink:
        sink.write(b"text")
    descriptor, path = tempfile.mkstemp()
    os.close(descriptor)
    Path(path).unlink()
