"""Encode batches for MySQL, as lines for LOAD DATA or as INSERT statements. Arrow does it, a column at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

from penstock.connectors.mysql._arrays import Array, compute, numpy, pyarrow
from penstock.connectors.mysql._columns import BYTES, NUMBER, LoadColumn, Unfit
from penstock.connectors.mysql._sql import quoted
from penstock.connectors.mysql._table import TargetColumn

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TooLong", "Writer"]

# Order matters: the backslash first. A NUL is written out, because some servers end a line there.
_ESCAPES_IN_LINES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\0", "\\0"))
_ESCAPES_IN_QUOTES = (("\\", "\\\\"), ("'", "\\'"), ("\0", "\\0"))
_NULL_IN_LINES = "\\N"
_MOST_STATEMENT_BYTES = 4 << 20


class TooLong(Exception):
    """A row that makes a statement longer than the server takes."""


@final
class Writer:
    """Writes batches into one table.

    Args:
        table: its name, quoted.
        columns: what to write, in the order of the batches.
        targets: the table's columns by name in lower case, where it is not one of our making.
    """

    def __init__(
        self, table: str, columns: Sequence[LoadColumn], targets: Mapping[str, TargetColumn] | None = None
    ) -> None:
        self._table = table
        self._columns = columns
        self._targets = targets or {}

    # --- LOAD DATA ----------------------------------------------------------------------------------------------

    @property
    def load_statement(self) -> str:
        """The LOAD DATA that takes :meth:`lines`."""
        targets, assignments = [], []
        for index, column in enumerate(self._columns):
            expression = self._expression(column, f"@c{index}")
            targets.append(quoted(column.name) if expression is None else f"@c{index}")
            if expression is not None:
                assignments.append(f"{quoted(column.name)} = {expression}")
        return (
            f"LOAD DATA LOCAL INFILE 'penstock' INTO TABLE {self._table} CHARACTER SET utf8mb4 "
            r"FIELDS TERMINATED BY '\t' ENCLOSED BY '' ESCAPED BY '\\' LINES TERMINATED BY '\n' "
            f"({', '.join(targets)})" + (f" SET {', '.join(assignments)}" if assignments else "")
        )

    def lines(self, batch: pa.RecordBatch) -> memoryview:
        """Return ``batch`` as lines with tabs.

        Raises:
            Unfit: a value is none that MySQL could hold; says of which column.
        """
        texts = []
        for column, values in zip(self._columns, batch.columns, strict=True):
            text = _text(column, values)
            texts.append(text if column.kind in {NUMBER, BYTES} else _escaped(text, _ESCAPES_IN_LINES))
        joined = _join(*texts, "\t", null=_NULL_IN_LINES)
        return _data(_join(joined, "", "\n"))

    def _expression(self, column: LoadColumn, variable: str) -> str | None:
        """Return what makes a column's value of the text in a line; None where the text itself does."""
        target = self._targets.get(column.name.lower())
        if column.kind == BYTES:
            return (
                f"ST_GeomFromWKB(UNHEX({variable}))" if target and target.type == "geometry" else f"UNHEX({variable})"
            )
        if target is None:
            return None
        if target.is_auto_increment:
            return variable  # where other columns are SET, a zero would get a number if this one was not
        return f"CAST({variable} AS UNSIGNED)" if target.type == "bit" else None

    # --- INSERT -------------------------------------------------------------------------------------------------

    def inserts(self, batch: pa.RecordBatch, most_bytes: int) -> Iterator[tuple[bytes, int]]:
        """Yield INSERT statements for ``batch`` of at most ``most_bytes``, each with its number of rows.

        Raises:
            Unfit: a value is none that MySQL could hold; says of which column.
            TooLong: one row alone is longer.
        """
        names = ", ".join(quoted(column.name) for column in self._columns)
        head = f"INSERT INTO {self._table} ({names}) VALUES ".encode()  # noqa: S608 - names, quoted
        rows = self._values(batch)
        data, ends = (
            _data(rows),
            numpy().frombuffer(rows.buffers()[1], "<i4")[1:],
        )
        room = min(most_bytes, _MOST_STATEMENT_BYTES) - len(head)
        begin = first = 0
        while first < len(rows):
            last = max(int(ends.searchsorted(begin + room, side="right")), first + 1)
            end = int(ends[last - 1])
            if end - begin + len(head) > most_bytes:
                raise TooLong(f"a row takes {end - begin} bytes, and the server's max_allowed_packet is {most_bytes}")
            yield head + data[begin : end - 1], last - first  # without the last comma
            begin, first = end, last

    def _values(self, batch: pa.RecordBatch) -> Array:
        texts = []
        for column, values in zip(self._columns, batch.columns, strict=True):
            text = _text(column, values)
            if column.kind == BYTES:
                text = self._quoted_bytes(column, text)
            elif column.kind != NUMBER:
                text = _join("'", _escaped(text, _ESCAPES_IN_QUOTES), "'", "", null=None)
            texts.append(text)
        return _join("(", _join(*texts, ",", null="NULL"), "),", "")

    def _quoted_bytes(self, column: LoadColumn, text: Array) -> Array:
        target = self._targets.get(column.name.lower())
        before, after = ("ST_GeomFromWKB(x'", "')") if target and target.type == "geometry" else ("x'", "'")
        return _join(before, text, after, "", null=None)


def _text(column: LoadColumn, values: Array) -> Array:
    try:
        return column.text(values)
    except (Unfit, pyarrow().ArrowInvalid) as exc:
        raise Unfit(f"column {column.name!r}: {exc}") from exc


def _escaped(text: Array, escapes: Sequence[tuple[str, str]]) -> Array:
    for character, escape in escapes:
        # Looking costs half of replacing, and mostly there is nothing to replace.
        if compute().any(compute().match_substring(text, character)).as_py():
            text = compute().replace_substring(text, character, escape)
    return text


def _join(*parts: Any, null: str | None = "") -> Array:
    """Join all but the last of ``parts`` with the last between them; with ``null`` None, a NULL makes the row NULL."""
    if null is None:
        return compute().binary_join_element_wise(*parts, null_handling="emit_null")
    return compute().binary_join_element_wise(*parts, null_handling="replace", null_replacement=null)


def _data(texts: Array) -> memoryview:
    """Return the texts one after the other, as they lie in memory."""
    if not len(texts):
        return memoryview(b"")
    offsets = memoryview(texts.buffers()[1]).cast("B").cast("i")
    return memoryview(texts.buffers()[2])[offsets[texts.offset] : offsets[texts.offset + len(texts)]]
