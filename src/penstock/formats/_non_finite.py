"""Write NaN and the infinities as ``NaN``, ``Infinity`` and ``-Infinity``, as PostgreSQL does; to JSON as strings.

JSON has no number for them, so a writer would lose them to ``null``; Arrow's CSV writer spells them its own way.

A column writer gives all values of a column the same form, so a column with such a value goes through it as text:
``"NaN"`` and the like as they are (to CSV, which has no quotes around numbers: like numbers), every ordinary number
between two marks. Afterwards the marks, together with the
quotes around them, are cut out of the written bytes, which leaves the numbers bare. The mark is random for each
stream: no data can contain it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError
from penstock.formats import _columns
from penstock.formats._arrow import Column, pyarrow, pyarrow_compute
from penstock.formats._nested import parts, type_parts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NonFiniteFloats"]


class NonFiniteFloats:
    """The float columns of one stream of batches.

    Args:
        schema: of the batches.
        quoted: whether NaN and the infinities are to stand in quotes.
    """

    def __init__(self, schema: pa.Schema, *, quoted: bool) -> None:
        self._quoted = quoted
        types = pyarrow().types
        self._columns = [index for index, field in enumerate(schema) if types.is_floating(field.type)]
        self._nested = [
            index
            for index, kind in enumerate(schema.types)
            if types.is_nested(kind) and any(map(types.is_floating, type_parts(kind)))
        ]
        self._names = schema.names
        self._mark = secrets.token_hex(16)
        self._is_marked = False

    def marked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return ``batch`` ready for the column writer; :meth:`unmarked` takes what that wrote.

        Raises:
            ConfigurationError: there is such a float inside a list or struct.
        """
        for index in self._nested:
            if not _all_finite(batch.column(index)):
                raise ConfigurationError(
                    f"column {self._names[index]!r} has NaN or infinity inside a list or struct, "
                    "which JSON has no number for; take it apart in the query"
                )
        converters = {index: self._as_text for index in self._columns if not _all_finite(batch.column(index))}
        self._is_marked = bool(converters)
        return _columns.apply(converters, batch)

    def unmarked(self, data: bytes) -> bytes:
        """Return the written bytes with ordinary numbers as numbers again."""
        if not self._is_marked:
            return data
        mark = self._mark.encode()
        return data.replace(b'"' + mark, b"").replace(mark + b'"', b"")

    def _as_text(self, column: Column) -> Column:
        compute = pyarrow_compute()
        if pyarrow().types.is_float16(column.type):
            column = column.cast(pyarrow().float32())  # Arrow hardly computes with half precision
        number = compute.binary_join_element_wise(self._mark, column.cast(pyarrow().string()), self._mark, "")
        infinity = compute.if_else(compute.greater(column, 0), "Infinity", "-Infinity")
        special = compute.if_else(compute.is_nan(column), "NaN", infinity)
        if not self._quoted:
            special = compute.binary_join_element_wise(self._mark, special, self._mark, "")
        chosen: Column = compute.if_else(compute.is_finite(column), number, special)
        return chosen


def _all_finite(column: Column) -> bool:
    compute = pyarrow_compute()
    floats = (part for part in parts(column) if pyarrow().types.is_floating(part.type))
    return all(compute.all(compute.is_finite(part), min_count=0).as_py() is not False for part in floats)
