"""Count what a mover has delivered, so that nobody wins by leaving rows out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.tables.jobs import Job

__all__ = ["clear", "delivered"]

_PIECE_BYTES = 1 << 20


def delivered(job: Job) -> int:
    """Return how many rows are at the target; what is in an object is fetched into the scratch folder for that."""
    files = _files(Path(job.target)) if job.sink == "file" else _fetched(job)
    if job.format == "parquet":
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(file).num_rows for file in files)
    return sum(_lines(file) - (job.format == "csv") for file in files)


def clear(job: Job) -> None:
    """Remove what an earlier mover has left at the target, and what it kept for itself."""
    if job.scratch:
        shutil.rmtree(job.scratch, ignore_errors=True)
        Path(job.scratch).mkdir()
    if job.sink == "file":
        Path(job.target).unlink(missing_ok=True)
        shutil.rmtree(f"{job.target}.folder", ignore_errors=True)
    else:
        store, key = _store(job)
        store.delete([path for path in _listed(store) if path.startswith(key)])


def _files(target: Path) -> list[Path]:
    """Return the file, or all those that dlt makes of a table."""
    if target.is_file():
        return [target]
    return [file for file in Path(f"{target}.folder").rglob("*") if file.is_file() and _holds_rows(str(file))]


def _fetched(job: Job) -> Iterator[Path]:
    """Give each object of the target as a file, which is gone when the next is asked for."""
    store, key = _store(job)
    fetched = Path(job.scratch) / "fetched"
    for path in _listed(store):
        if path == key or (path.startswith((f"{key}/", f"{key}.folder/")) and _holds_rows(path)):
            with fetched.open("wb") as file:
                for piece in store.get(path).stream(min_chunk_size=_PIECE_BYTES):
                    file.write(piece)
            yield fetched
    fetched.unlink(missing_ok=True)


def _holds_rows(path: str) -> bool:
    """Return whether it is no note of dlt's to itself."""
    return "/_dlt" not in path and not path.endswith("/init")


def _store(job: Job) -> tuple[Any, str]:
    """Return the bucket and the key."""
    from obstore.store import S3Store

    bucket, _, key = job.target.removeprefix("s3://").partition("/")
    found = job.environment
    access = {
        "endpoint": found["AWS_ENDPOINT_URL"],
        "access_key_id": found["AWS_ACCESS_KEY_ID"],
        "secret_access_key": found["AWS_SECRET_ACCESS_KEY"],
        "region": found["AWS_REGION"],
    }
    return S3Store(bucket, **access, client_options={"allow_http": True}), key


def _listed(store: Any) -> list[str]:
    return [entry["path"] for entries in store.list() for entry in entries]


def _lines(file: Path) -> int:
    """Count lines. lineitem has no line ends inside values."""
    with file.open("rb") as stream:
        return sum(piece.count(b"\n") for piece in iter(lambda: stream.read(_PIECE_BYTES), b""))
