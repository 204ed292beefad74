"""Import Arrow's libraries on first use: they are extras, and take 100 ms, too long for ``import penstock``."""

from __future__ import annotations

from typing import Any

from penstock._extras import need

__all__ = [
    "ArrowType",
    "Column",
    "arro3_io",
    "pyarrow",
    "pyarrow_compute",
    "pyarrow_csv",
    "pyarrow_json",
    "pyarrow_parquet",
]

# pyarrow has no types of its own, and its stubs lack half of what arrays and types can do.
Column = Any
ArrowType = Any

_EXTRA = "arrow"


def pyarrow() -> Any:
    """Return ``pyarrow``."""
    return _module("pyarrow", "hold tables")


def pyarrow_compute() -> Any:
    """Return ``pyarrow.compute``."""
    return _module("pyarrow.compute", "convert columns")


def pyarrow_csv() -> Any:
    """Return ``pyarrow.csv``."""
    return _module("pyarrow.csv", "read and write CSV")


def pyarrow_json() -> Any:
    """Return ``pyarrow.json``."""
    return _module("pyarrow.json", "read NDJSON")


def pyarrow_parquet() -> Any:
    """Return ``pyarrow.parquet``."""
    return _module("pyarrow.parquet", "read and write Parquet")


def arro3_io() -> Any:
    """Return ``arro3.io``."""
    return _module("arro3.io", "write NDJSON")


def _module(name: str, why: str) -> Any:
    return need(name, extra=_EXTRA, why=why)
