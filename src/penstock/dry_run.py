"""``penstock.preview`` and ``penstock plan``: ask source and destination what a copy would do, and write nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, final

from penstock._extras import need
from penstock.core.cancel import CancelScope
from penstock.errors import AlreadyExists, ConfigurationError, DeadlineExceeded, SinkError
from penstock.flow.contracts import Closable, Describable, TableSink, TypedTableSink, UploadSink
from penstock.flow.description import ColumnType, Description
from penstock.flow.estimates import estimated_stored_bytes
from penstock.flow.forms import form_of
from penstock.flow.partitions import PartitionableSource
from penstock.flow.parts import PartsSink
from penstock.flow.plan import Plan
from penstock.flow.units import format_bytes, format_count, format_seconds

__all__ = ["Preview", "preview"]

_LABEL_WIDTH = 13
_GAP = "  "
_MOST_RANGES_SHOWN = 4


@final
@dataclass(frozen=True)
class Preview:
    """A plan, and what its source and destination say about it. ``str(preview)`` is what ``penstock plan`` prints.

    Attributes:
        plan: the decisions that were made without connecting.
        description: what the source says it would do; None where that kind of source does not tell.
        would: ``"run"``; or ``"skip"`` or ``"fail"``, because of the state of the destination.
        destination: the state of the destination in words, such as ``"free"``.
        sink_error: why the copy would fail; None if it would not.
        ranges: which rows each partition would have, in words; empty where there are no partitions.
        column_types: the column types of a new table at the destination, in the order of the description's columns;
            ``""`` where a type is known only once data has been read. Empty where no table would be loaded, or where
            that kind of table does not tell.
    """

    plan: Plan
    description: Description | None
    would: str
    destination: str
    sink_error: SinkError | ConfigurationError | None = None
    ranges: tuple[str, ...] = ()
    column_types: tuple[str, ...] = ()

    @property
    def loading(self) -> str:
        """How rows would get into the table; ``""`` where no table would be loaded, or where it does not tell."""
        return self.plan.sink.loading if isinstance(self.plan.sink, TypedTableSink) else ""

    @property
    def estimated_stored_bytes(self) -> int | None:
        """About how many bytes would be written, before compression; None if unknown."""
        return None if self.description is None else estimated_stored_bytes(self.description)

    @property
    def estimated_parts(self) -> int | None:
        """About how many parts an upload would have; None if unknown, or if nothing is uploaded in parts."""
        stored = self.estimated_stored_bytes
        return (
            None if stored is None or not isinstance(self.plan.sink, UploadSink) else self.plan.sink.parts_for(stored)
        )

    @property
    def largest_object_bytes(self) -> int | None:
        """The largest object in bytes that parts of these sizes allow; None if nothing is uploaded in parts."""
        return self.plan.sink.largest_object_bytes() if isinstance(self.plan.sink, UploadSink) else None

    @property
    def estimated_files(self) -> int | None:
        """How many files would be written if the data is as large as it is at the source; None if unknown."""
        if self.ranges:
            return len(self.ranges)
        if not isinstance(self.plan.sink, PartsSink):
            return 1
        stored = self.estimated_stored_bytes
        return None if stored is None else max(1, -(-stored // self.plan.sink.max_part_bytes))

    def __str__(self) -> str:
        return "\n".join([*self._facts(), *self._table()])

    def _facts(self) -> Iterator[str]:
        told = self.description or Description(reading="this kind of source does not tell before it is read")
        plan = self.plan
        facts = {
            "from": plan.source.display_name,
            "to": plan.sink.display_name,
            "destination": self.destination,
            "path": plan.path,
            "reading": told.reading,
            "why": told.why,
            "consistency": told.consistency,
            "loading": self.loading,
            "estimate": _estimate(told),
            "partitions": self._partitions(),
            "files": self._files(),
            "parts": self._parts(),
            "buffers": plan.buffers,
            "memory": plan.memory_share,
            "time": plan.time_limits,
            "rate": "" if plan.bwlimit is None else f"at most {format_bytes(plan.bwlimit)}/s",
        }
        for label, text in facts.items():
            if text:
                yield f"{label + ':':<{_LABEL_WIDTH}}{text}"

    def _partitions(self) -> str:
        if not self.ranges:
            return ""
        shown = self.ranges
        if len(shown) > _MOST_RANGES_SHOWN:
            shown = (*shown[: _MOST_RANGES_SHOWN - 1], "...", shown[-1])
        return f"{len(self.ranges)}, a file each, and a manifest: {'; '.join(shown)}"

    def _files(self) -> str:
        if not isinstance(self.plan.sink, PartsSink):
            return ""
        size = f"at most {format_bytes(self.plan.sink.max_part_bytes)} each, and a manifest"
        if self.estimated_files is None:
            return size
        return f"{size}; about {format_count(self.estimated_files)} of them, if they hold as much as the source"

    def _parts(self) -> str:
        if self.largest_object_bytes is None:
            return ""
        reach = f"an object of {format_bytes(self.largest_object_bytes)} at most"
        stored = self.estimated_stored_bytes
        if stored is None:
            return f"nobody knows how many yet; {reach}"
        guess = f"an estimate, if about {format_bytes(stored)} are stored"
        if self.estimated_parts is None:
            return f"too many for one object ({guess}); {reach}"
        return f"about {format_count(self.estimated_parts)} ({guess}); {reach}"

    def _table(self) -> Iterator[str]:
        columns = () if self.description is None else self.description.columns
        if not columns:
            yield f"{'columns:':<{_LABEL_WIDTH}}known once data is read"
            return
        yield f"{'columns:':<{_LABEL_WIDTH}}{len(columns)}"
        header = ("name", "source type", "arrow type", f"in {self._target}", "note")
        created = self.column_types or ("",) * len(columns)
        rows = [header, *(self._row(column, kind) for column, kind in zip(columns, created, strict=True))]
        shown = [index for index in range(len(header)) if any(row[index] for row in rows[1:])]
        widths = {index: max(len(row[index]) for row in rows) for index in shown}
        for row in rows:
            yield _GAP + _GAP.join(f"{row[index]:<{widths[index]}}" for index in shown).rstrip()

    @property
    def _target(self) -> str:
        return self.plan.format_name or "a new table"

    def _row(self, column: ColumnType, created: str) -> tuple[str, ...]:
        return (column.name, column.source_type, column.arrow_type, created or self._form(column), column.note)

    def _form(self, column: ColumnType) -> str:
        return "as the source writes it" if self.plan.passes_through else form_of(column.arrow_type, self._target)

    def to_dict(self) -> dict[str, Any]:
        """Return the preview as plain values, ready for ``json.dumps``."""
        told = self.description or Description(reading="")
        created = self.column_types or (None,) * len(told.columns)
        plan = self.plan
        return {
            "source": plan.source.display_name,
            "destination": plan.sink.display_name,
            "would": self.would,
            "destination_state": self.destination,
            "path": plan.path,
            "format": plan.format_name,
            "compression": plan.compression,
            "passes_through": plan.passes_through,
            "loading": self.loading or None,
            **{each.name: getattr(told, each.name) for each in fields(told)},
            "columns": [self._plain(column, kind) for column, kind in zip(told.columns, created, strict=True)],
            "partitions": len(self.ranges) or 1,
            "ranges": list(self.ranges),
            "estimated_stored_bytes": self.estimated_stored_bytes,
            "estimated_files": self.estimated_files,
            "estimated_parts": self.estimated_parts,
            "largest_object_bytes": self.largest_object_bytes,
            "stages": list(plan.stages),
            "memory": asdict(plan.memory),
            "timeout": plan.timeout,
            "stall_timeout": plan.stall_timeout,
            "bwlimit": plan.bwlimit,
        }

    def _plain(self, column: ColumnType, created: str | None) -> dict[str, str | None]:
        return {
            "name": column.name,
            "source_type": column.source_type,
            "arrow_type": column.arrow_type,
            "note": column.note,
            "form": self._form(column),
            "column_type": created or None,
        }


def preview(plan: Plan) -> Preview:
    """Ask the source and the destination what ``plan`` would do. Writes nothing and leaves nothing open.

    Blocks until both have answered, for ``plan.timeout`` at most; a cancel interrupts it. The plan can still be run
    afterwards.

    Args:
        plan: made by :func:`penstock.plan` or :meth:`penstock.Flow.plan`.

    Returns:
        The answers. A destination that cannot be written is no error here but part of them.

    Raises:
        SourceError: the source cannot be read.
        DeadlineExceeded: ``plan.timeout`` ran out.
        Cancelled: the surrounding scope was cancelled.
    """
    with CancelScope(timeout=plan.timeout) as scope:
        looked = Preview(plan, None, *_look_at_destination(plan))
        return _with_column_types(_with_ranges(replace(looked, description=_look_at_source(plan))))
    assert scope.cancelled_caught
    raise DeadlineExceeded(f"source and destination did not answer within {format_seconds(plan.timeout or 0)}")


def _look_at_source(plan: Plan) -> Description | None:
    if not isinstance(plan.source, Describable):
        return None
    return plan.source.describe(plan.format_name if plan.passes_through else None)


def _with_ranges(seen: Preview) -> Preview:
    """Add the ranges: have the source divide itself as it would for the copy, and close what that opened."""
    plan = seen.plan
    if plan.partitions == 1 or not isinstance(plan.source, PartitionableSource):
        return seen
    with plan.source.partitioned(plan.partitions, plan.partition_by) as divided:
        ranges = tuple(partition.range for partition in divided.each)
    described = seen.description and replace(seen.description, consistency=divided.snapshot)
    return replace(seen, ranges=ranges, description=described)


def _with_column_types(seen: Preview) -> Preview:
    """Add the columns the destination would create. Where it has no type for one of them, the copy would fail."""
    sink, columns = seen.plan.sink, () if seen.description is None else seen.description.columns
    known = [(column.name, column.data_type) for column in columns if column.data_type is not None]
    if not isinstance(sink, TypedTableSink) or not known:
        return seen
    try:
        created = iter(sink.column_types(need("pyarrow", extra="arrow", why="load tables").schema(known)))
    except (SinkError, ConfigurationError) as exc:
        if seen.would != "run":  # it fails or is skipped anyway, and that reason comes first
            return seen
        return replace(seen, would="fail", destination="can not hold a column, so this copy would fail", sink_error=exc)
    return replace(seen, column_types=tuple("" if each.data_type is None else next(created) for each in columns))


def _look_at_destination(plan: Plan) -> tuple[str, str, SinkError | None]:
    try:
        wanted = plan.sink.check()
    except AlreadyExists as exc:
        return "fail", "is there already, so this copy would fail", exc
    except SinkError as exc:
        return "fail", "can not be written, so this copy would fail", exc
    finally:
        if isinstance(plan.sink, Closable):
            plan.sink.close()
    if not wanted:
        return "skip", "is there already, so this copy would be skipped", None
    return "run", _WRITTEN[plan.if_exists, isinstance(plan.sink, TableSink)], None


_WRITTEN = {
    ("fail", False): "free",
    ("fail", True): "no such table yet, it would be created",
    ("skip", False): "free",
    ("skip", True): "no such table yet, it would be created",
    ("overwrite", False): "may be written; what is there would be replaced",
    ("overwrite", True): "may be written; a table that is there would be replaced",
    ("append", True): "may be written; rows would be added to a table that is there",
    ("", False): "may be written",
    ("", True): "may be written",
}


def _estimate(told: Description) -> str:
    rows = "" if told.estimated_rows is None else f"about {format_count(told.estimated_rows)} rows"
    size = "" if told.estimated_bytes is None else f"{format_bytes(told.estimated_bytes)} at the source"
    return f"{rows} ({size})" if rows and size else rows or size
