"""The fields of a CSV column that the type of the column can not hold become NULL."""

from __future__ import annotations

from collections.abc import Callable

from penstock.formats._arrow import ArrowType, Column, pyarrow, pyarrow_csv

__all__ = ["fitting"]


def fitting(
    texts: Column, kind: ArrowType, *, booleans: tuple[list[str], list[str]], lost: Callable[[], None]
) -> Column:
    """Return the fields of a column as ``kind``; ``lost`` is called for each that is none, which becomes NULL.

    Arrow's own converter decides, as it does where nothing is amiss. It does not say which field it stumbled over in a
    way to go on from there, so halves are tried, and halves of those.

    Args:
        texts: the fields, NULL where there is none.
        kind: what they are to be.
        booleans: the words for true, and those for false.
        lost: notes one that does not fit.
    """
    arrow = pyarrow()
    try:
        return _converted(texts, kind, booleans)
    except arrow.ArrowInvalid:
        count = len(texts)
        if count == 1:
            lost()
            return arrow.nulls(1, kind)
        halves = texts.slice(0, count // 2), texts.slice(count // 2)
        return arrow.concat_arrays([fitting(half, kind, booleans=booleans, lost=lost) for half in halves])


def _converted(texts: Column, kind: ArrowType, booleans: tuple[list[str], list[str]]) -> Column:
    arrow, arrow_csv = pyarrow(), pyarrow_csv()
    buffer = arrow.BufferOutputStream()
    arrow_csv.write_csv(arrow.table({"0": texts}), buffer, arrow_csv.WriteOptions(include_header=False))
    data = buffer.getvalue()
    table = arrow_csv.read_csv(
        arrow.BufferReader(data),
        read_options=arrow_csv.ReadOptions(column_names=["0"], use_threads=False, block_size=len(data) + 1),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types={"0": kind},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=booleans[0],
            false_values=booleans[1],
        ),
    )
    return table.column(0).combine_chunks()
