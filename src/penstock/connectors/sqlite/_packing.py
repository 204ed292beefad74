"""Have SQLite pack the rows of a page into one value, and turn that into Arrow columns: no Python object per row.

A row becomes a JSON array, a page becomes text with one such array per line, and Arrow's CSV reader parses it: commas and
quotes are where CSV has them, and a number, a text and NULL look different. Values that JSON would alter go another way:

* a double as integers, from which a division, and where it has more digits additions, make it again. SQLite has done
  the same arithmetic on every value and compared; both do as IEEE 754 says, so what was equal there is equal here;
* bytes, and text with control characters, end to end in a value of their own, and their lengths in the row.

Every column has several ways, the cheapest first. A value that its way cannot carry exactly, or that is not of the
column's type, makes its row NULL. The count of rows then reveals it, and the page is read in another way, or row by row.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.connectors.sqlite._types import ArrowType

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MAYBE_NEGATIVE_ZERO", "NEGATIVE_ZERO", "PROBE", "PROBED", "Column", "Packing", "any_of"]

_SHIFT = float(1 << 62)
_OR_AT_ONCE = 100
_DECIMALS = (1e4, 1e8)  # hundredths and the like, and degrees

# A control character anywhere; GLOB ends at the first NUL, and instr() finds it.
_HAS_CONTROLS = "({0} GLOB '*[' || char(1, 45, 31) || ']*' OR instr({0}, char(0)))"

# Unary plus takes the column's affinity away, and COLLATE its collation, which may be one that only the program that made
# the file knows: the value is compared as it is.
_AS_IT_IS = "+{0} COLLATE BINARY"

PROBE = (
    "SELECT json_array(-9223372036854775808, NULL, '', 'a''b\"c\\d,' || char(0, 9, 10, 31, 127, 233, 128512)), "
    f"{_SHIFT:.1f}, " + ", ".join(f"{factor:.1f}" for factor in _DECIMALS)
)
"""JSON of this SQLite, and the numbers doubles are made with."""
PROBED = (
    '[-9223372036854775808,null,"","a\'b\\"c\\\\d,\\u0000\\t\\n\\u001f\x7f\xe9\U0001f600"]'.encode(),
    _SHIFT,
    *_DECIMALS,
)
"""What must come of it, or nothing is packed."""

NEGATIVE_ZERO = "({0} = 0 COLLATE BINARY AND pow({0}, -1) < 0)"
"""SQL, true of -0.0, where SQLite was built with mathematics."""
MAYBE_NEGATIVE_ZERO = "{0} = 0 COLLATE BINARY"
"""SQL, true of what may be -0.0: no comparison tells it from 0.0, and SQLite writes both as ``0.0``."""

Array = Any  # pyarrow has no types of its own, and its stubs lack much


@dataclass(frozen=True)
class _Way:
    """One way to carry the values of a column.

    Attributes:
        fields: SQL for what stands in the row.
        types: Arrow's names of their types.
        misfit: SQL, true of a value that cannot go this way and stay as it is.
        misfit_at_length: as ``misfit``, and what only the packed page shows; too slow to be asked of every page.
        made: from the fields, and the bytes, to the column.
        raw: SQL for what goes as bytes, end to end.
    """

    fields: tuple[str, ...]
    types: tuple[str, ...]
    misfit: str
    misfit_at_length: str
    made: Callable[[list[Array], bytes], Array]
    raw: str = ""


@final
class Column:
    """A column of a page, and the way it goes at present."""

    def __init__(self, sql: str, kind: str, *, is_computed: bool, negative_zero: str, encoding: str) -> None:
        """Choose the first way.

        Args:
            sql: the column, quoted.
            kind: name of its Arrow type.
            is_computed: whether it is made by an expression, of which JSON would remain JSON.
            negative_zero: SQL, true of -0.0, with ``{0}`` for the column; ``""`` where there is none.
            encoding: of text in the database.
        """
        if kind == "double":
            ways = _double_ways(sql, negative_zero.format(sql))
        elif kind == "string":
            raw = _raw_way(sql, kind, encoding)
            ways = [raw] if is_computed else [_text_way(sql), raw]
        else:
            ways = [_raw_way(sql, kind, encoding)] if kind == "binary" else [_number_way(sql, kind)]
        self.way, *self._more = ways

    @property
    def has_another_way(self) -> bool:
        """Whether there is one to turn to."""
        return bool(self._more)

    def turn(self) -> None:
        """Go the next way from now on."""
        self.way = self._more.pop(0)


def _number_way(sql: str, kind: str) -> _Way:
    # Text is above all numbers. A real has a point or an exponent in JSON, and is no integer in CSV.
    misfit = f"{_AS_IT_IS.format(sql)} NOT IN (0, 1)" if kind == "bool" else f"{_AS_IT_IS.format(sql)} >= ''"
    return _Way((sql,), (kind,), misfit, misfit, lambda fields, _raw: fields[0])


def _text_way(sql: str) -> _Way:
    # Below all text are the numbers. Bytes are above, and no JSON: an error.
    misfit = f"{_AS_IT_IS.format(sql)} < ''"
    at_length = f"{misfit} OR {_HAS_CONTROLS.format(sql)}"
    return _Way((sql,), ("string",), misfit, at_length, lambda fields, _raw: fields[0])


def _raw_way(sql: str, kind: str, encoding: str) -> _Way:
    value = _AS_IT_IS.format(sql)
    if kind == "binary":
        stored, misfit = sql, f"{value} < x''"
    else:
        stored, misfit = f"CAST({sql} AS BLOB)", f"({value} < '' OR {value} >= x'')"
    made: Callable[[Array, bytes], Array]
    if encoding == "UTF-8":
        joined, made = sql, partial(_of_bytes, kind=kind)
    else:  # SQLite would take bytes for UTF-16, and convert them
        joined, made = f"hex({stored})", _of_hex if kind == "binary" else partial(_of_wide_text, encoding=encoding)
    return _Way((f"length({stored})",), ("int64",), misfit, misfit, lambda fields, raw: made(fields[0], raw), joined)


def _double_ways(sql: str, negative_zero: str) -> list[_Way]:
    value = _AS_IT_IS.format(sql)
    zero = f" OR {negative_zero}" if negative_zero else ""
    ways = []
    for factor in _DECIMALS:
        scaled = f"CAST(round({sql} * {factor:.1f}) AS INTEGER)"
        misfit = f"({scaled} / {factor:.1f} <> {value}{zero})"
        ways.append(_Way((scaled,), ("int64",), misfit, misfit, _divided_by(factor)))
    parts = [f"CAST({sql} AS INTEGER)"]
    rest, again = sql, parts[0]
    for below in (f" / {_SHIFT:.1f}", f" / {_SHIFT:.1f} / {_SHIFT:.1f}"):
        rest = f"(({rest} - {parts[-1]}) * {_SHIFT:.1f})"
        parts.append(f"CAST({rest} AS INTEGER)")
        again += f" + {parts[-1]}{below}"
        misfit = f"({again} <> {value}{zero})"
        ways.append(_Way(tuple(parts), ("int64",) * len(parts), misfit, misfit, _joined))
    return ways


def _divided_by(factor: float) -> Callable[[list[Array], bytes], Array]:
    # Beyond 2**53 Arrow refuses, as it does to take such an integer from Python for a double.
    return lambda fields, _raw: _compute().divide(fields[0].cast("double"), factor)


def _joined(fields: list[Array], _raw: bytes) -> Array:
    compute = _compute()
    column = fields[0].cast("double")
    for number, field in enumerate(fields[1:], 1):
        part = field.cast("double", safe=False)  # as many bits as the double had
        for _shift in range(number):
            part = compute.divide(part, _SHIFT)
        column = compute.add(column, part)
    return column


def _of_bytes(lengths: Array, raw: bytes, kind: str) -> Array:
    """Cut bytes into values."""
    arrow, compute = _pyarrow(), _compute()
    ends = compute.cumulative_sum(lengths.fill_null(0))
    offsets = arrow.concat_arrays([arrow.array([0], "int64"), ends]).cast("int32")
    if offsets[-1].as_py() != len(raw):
        raise arrow.ArrowInvalid("lengths and bytes do not match")
    validity = lengths.is_valid().buffers()[1]
    buffers = [validity, offsets.buffers()[1], arrow.py_buffer(raw)]
    column = arrow.Array.from_buffers(arrow.type_for_alias(kind), len(lengths), buffers)
    column.validate(full=True)
    return column


def _of_hex(lengths: Array, raw: bytes) -> Array:
    return _of_bytes(lengths, unhexlify(raw), "binary")


def _of_wide_text(lengths: Array, raw: bytes, encoding: str) -> Array:
    """Cut UTF-16 in hexadecimal digits into values of UTF-8.

    Raises:
        UnicodeDecodeError: it has half a surrogate pair.
    """
    arrow, compute = _pyarrow(), _compute()
    text = unhexlify(raw).decode(encoding)
    units = text.encode("utf-16-le")
    unit = arrow.Array.from_buffers(arrow.uint16(), len(units) // 2, [None, arrow.py_buffer(units)])
    is_half = compute.equal(compute.bit_wise_and(unit, 0xF800), 0xD800)
    is_two = compute.or_(compute.less(unit, 0x800), is_half)
    sizes = compute.if_else(compute.less(unit, 0x80), 1, compute.if_else(is_two, 2, 3))
    sizes_before = arrow.concat_arrays([arrow.array([0], "int64"), compute.cumulative_sum(sizes.cast("int64"))])
    ends = compute.divide(compute.cumulative_sum(lengths.fill_null(0)), 2)
    starts = arrow.concat_arrays([arrow.array([0], "int64"), ends[:-1]])
    sizes_of_values = compute.subtract(sizes_before.take(ends), sizes_before.take(starts))
    return _of_bytes(compute.if_else(lengths.is_valid(), sizes_of_values, None), text.encode(), "string")


@final
class Packing:
    """How the columns of a page are packed at present.

    Attributes:
        columns: in their order.
    """

    def __init__(self, columns: Sequence[Column], most_arguments: int) -> None:
        self.columns = columns
        self._most_fields = most_arguments - 2  # of a JSON array, which begins and ends with a zero

    @property
    def selected(self) -> str:
        """What to select of a page: how many rows there are, the packed ones, and the bytes of each raw column."""
        fields = [field for column in self.columns for field in column.way.fields]
        chunks = [fields[first : first + self._most_fields] for first in range(0, len(fields), self._most_fields)]
        packed = " || ".join(f"json_array(0, {', '.join(chunk)}, 0)" for chunk in chunks)
        misfit = any_of([column.way.misfit for column in self.columns])
        lines = f"group_concat(CASE WHEN {misfit} THEN NULL ELSE {packed} END, char(10))"
        raws = [f"group_concat({way.raw}, '')" for way in self._raw_ways()]
        return ", ".join(["count(*)", lines, *raws])

    @property
    def values_at_once(self) -> int:
        """How many values of a page are as large as it may be."""
        return 1 + len(self._raw_ways())

    def unpacked(
        self, rows: int, page: bytes, raws: Sequence[bytes | None], schema: pa.Schema
    ) -> pa.RecordBatch | None:
        """Return the batch that a page is; None where a value is not what it has to be."""
        arrow = _pyarrow()
        if not rows:
            empty: pa.RecordBatch = arrow.RecordBatch.from_pylist([], schema=schema)
            return empty
        if not _is_csv(page):
            return None
        left = iter([raw or b"" for raw in raws])
        try:
            fields = self._fields(page)
            arrays = []
            for column in self.columns:
                own = [next(fields) for _field in column.way.fields]
                if len(own[0]) != rows:
                    return None
                arrays.append(column.way.made(own, next(left) if column.way.raw else b""))
        except (arrow.ArrowInvalid, UnicodeDecodeError):
            return None
        batch: pa.RecordBatch = arrow.RecordBatch.from_arrays(arrays, schema=schema)
        return batch

    def _raw_ways(self) -> list[_Way]:
        return [column.way for column in self.columns if column.way.raw]

    def _fields(self, page: bytes) -> Any:
        from pyarrow import csv

        kinds = list(chain.from_iterable(column.way.types for column in self.columns))
        names = [str(number) for number in range(len(kinds))]
        table = csv.read_csv(
            _pyarrow().BufferReader(page),
            # One block: a column is one piece. A thread of Arrow's would only wait for it.
            read_options=csv.ReadOptions(
                use_threads=False, block_size=len(page) + 1, column_names=self._with_zeros(names)
            ),
            parse_options=csv.ParseOptions(double_quote=False, escape_char="\\"),
            convert_options=csv.ConvertOptions(
                column_types=dict(zip(names, map(_field_type, kinds), strict=True)),
                include_columns=names,
                null_values=["null"],
                true_values=["1"],
                false_values=["0"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        return iter([column.chunk(0) if column.num_chunks else column.combine_chunks() for column in table.columns])

    def _with_zeros(self, names: list[str]) -> list[str]:
        """Put the zeros around every array between the names: ``[0``, ``0][0`` where two meet, and ``0]``."""
        around = ["zero 0"]
        for first in range(0, len(names), self._most_fields):
            around += [*names[first : first + self._most_fields], f"zero {first + 1}"]
        return around


def any_of(conditions: Sequence[str]) -> str:
    """Join with OR, in a tree: SQLite parses a row of them a thousand deep, and no deeper."""
    if len(conditions) <= _OR_AT_ONCE:
        return " OR ".join(conditions)
    half = len(conditions) // 2
    return f"({any_of(conditions[:half])}) OR ({any_of(conditions[half:])})"


def _is_csv(page: bytes) -> bool:
    """Whether JSON escapes only what CSV does: quotes, and the escape itself."""
    return b"\\" not in page or (left := page.replace(b"\\\\", b"")).count(b"\\") == left.count(b'\\"')


def _field_type(name: str) -> ArrowType:
    return _pyarrow().type_for_alias(name)


def _compute() -> Any:
    from pyarrow import compute

    return compute


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
