"""Count what a mover has delivered, so that nobody wins by leaving rows out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench.tables.movers import Job

__all__ = ["clear", "delivered"]

_PIECE_BYTES = 1 << 20


def delivered(job: Job, store: Any) -> int | None:
    """Return how many rows are at the target; None at an object store, where only that the object is there is looked at."""
    if job.sink == "s3":
        key = job.target.removeprefix("s3://bench/")
        return None if store.objects("bench").get(key) else 0
    files = _files(Path(job.target))
    if job.format == "parquet":
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(file).num_rows for file in files)
    return sum(_lines(file) - (job.format == "csv") for file in files)


def clear(job: Job) -> None:
    """Remove what an earlier mover has left at the target."""
    if job.sink == "file":
        Path(job.target).unlink(missing_ok=True)
        for folder in (f"{job.target}.folder", f"{job.target}.state"):
            shutil.rmtree(folder, ignore_errors=True)


def _files(target: Path) -> list[Path]:
    """Return the file, or all those that dlt makes of a table."""
    if target.exists():
        return [target]
    return [
        file
        for file in Path(f"{target}.folder").rglob("*")
        if file.is_file() and "/_dlt" not in str(file) and file.name != "init"
    ]


def _lines(file: Path) -> int:
    """Count lines. lineitem has no line ends inside values."""
    with file.open("rb") as stream:
        return sum(piece.count(b"\n") for piece in iter(lambda: stream.read(_PIECE_BYTES), b""))
