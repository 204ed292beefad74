"""Import numpy and pyarrow on first use, and turn numpy arrays into Arrow columns."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock._extras import need

if TYPE_CHECKING:
    import numpy as np

    Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
    Ints: TypeAlias = np.ndarray[Any, np.dtype[Any]]
else:
    Bools = Ints = Any

__all__ = ["Array", "Bools", "Ints", "as_array", "merged", "numpy", "pyarrow", "texts_of_width"]

Array: TypeAlias = Any
"""A ``pyarrow.Array``; its stubs do not go together with columns of any type."""


@cache  # an import statement's worth of time counts where it is asked for some times for each column
def numpy() -> Any:
    """Return numpy."""
    return need("numpy", extra="mongo", why="read MongoDB")


@cache
def pyarrow() -> Any:
    """Return pyarrow."""
    return need("pyarrow", extra="arrow", why="hold tables")


def as_array(values: Ints, valid: Bools, kind: Any) -> Array:
    """Return numpy's values as an Arrow array of type ``kind``, which has the same layout."""
    return pyarrow().Array.from_buffers(kind, len(valid), [_bitmap(valid), pyarrow().py_buffer(values)])


def texts_of_width(characters: Ints, valid: Bools) -> Array:
    """Return texts that are all of one width: a row of ``characters`` for each that is valid, and NULL for the others."""
    np, arrow = numpy(), pyarrow()
    offsets = np.zeros(len(valid) + 1, np.int32)
    np.cumsum(valid * np.int32(characters.shape[1]), out=offsets[1:])
    buffers = [_bitmap(valid), arrow.py_buffer(offsets), arrow.py_buffer(np.ascontiguousarray(characters))]
    return arrow.Array.from_buffers(arrow.string(), len(valid), buffers)


def merged(array: Array, others: Array, rows: Ints) -> Array:
    """Return ``array`` with ``others`` in its place at these ``rows``."""
    np, arrow = numpy(), pyarrow()
    taken = np.arange(len(array), dtype=np.int32)
    taken[rows] = len(array) + np.arange(len(rows), dtype=np.int32)
    return arrow.concat_arrays([array, others]).take(arrow.array(taken))


def _bitmap(valid: Bools) -> Any:
    return None if valid.all() else pyarrow().py_buffer(numpy().packbits(valid, bitorder="little"))
