"""Import numpy and pyarrow on first use; names for their array types in annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from penstock._extras import need

if TYPE_CHECKING:
    import numpy as np

    Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
    Ints: TypeAlias = np.ndarray[Any, np.dtype[Any]]
else:
    Bools = Ints = Any

__all__ = ["Array", "Bools", "Ints", "compute", "numpy", "pyarrow"]

Array: TypeAlias = Any
"""A ``pyarrow.Array`` or scalar of one; its stubs do not go together with columns of any type."""


def numpy() -> Any:
    """Return numpy."""
    return need("numpy", extra="mysql", why="read and load MySQL")


def pyarrow() -> Any:
    """Return pyarrow."""
    return need("pyarrow", extra="mysql", why="read and load MySQL")


def compute() -> Any:
    """Return Arrow's functions on whole columns."""
    return need("pyarrow.compute", extra="mysql", why="read and load MySQL")
