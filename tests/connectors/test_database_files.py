"""Paths of SQLite and DuckDB that are not those of files: an error at once, never a wait."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import penstock
from penstock.errors import ConfigurationError, SinkError, SourceError

ROWS = pa.table({"a": [1]})


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder, a FIFO, a device and a socket."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    os.mkfifo("fifo")
    Path("device").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        yield


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize("place", ["folder", "fifo", "device", "socket"])
def test_what_is_no_file_is_no_database(kind: str, place: str) -> None:
    """Neither read nor written; opening a FIFO would wait for somebody to write to it, deaf to any deadline."""
    with pytest.raises(SinkError, match=r"it is a .*, and not a file"):
        penstock.copy(ROWS, f"{kind}:///{place}", to_table="t", timeout=5)
    with pytest.raises(SourceError, match=r"it is a .*, and not a file"):
        penstock.copy(f"{kind}:///{place}", "out.csv", table="t", timeout=5)
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_nothing_is_loaded_into_memory(kind: str) -> None:
    """It would be gone when the copy ends, and was the name of a file to one of them."""
    with pytest.raises(ConfigurationError, match="what is loaded into memory is gone"):
        penstock.copy(ROWS, f"{kind}:///:memory:", to_table="t")
    assert not Path(":memory:").exists()
