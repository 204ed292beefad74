"""Build the stages of a plan and the links between them. Starts nothing; ``local`` runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, cast, final

from penstock.engines.batch_link import BatchLink
from penstock.engines.byte_link import ByteLink
from penstock.engines.failures import Failures
from penstock.engines.links import Link
from penstock.engines.parts import stages as in_parts
from penstock.engines.parts.link import PartsLink
from penstock.engines.rate import LimitedBatches, LimitedReader, RateLimit
from penstock.engines.stages import Stage, StageStatus
from penstock.engines.widest import narrow_enough
from penstock.errors import SinkError
from penstock.flow.contracts import ByteReader, ByteWriter, Receipt, Sink, StagingTableSink, TableSink
from penstock.flow.partitions import PartitionsSink
from penstock.flow.parts import PartsSink
from penstock.flow.plan import Plan

__all__ = ["Chain", "Compress"]


class Compress(Protocol):
    """The compression function an engine is given: ``penstock.formats.compress``."""

    def __call__(self, stream: ByteReader, out: ByteWriter, name: str, /) -> int:
        """Read ``stream`` to its end and write it to ``out``, compressed; return the number of bytes read."""
        ...


@final
class Chain:
    """The stages of one plan, source first, joined by their links.

    Args:
        plan: the plan.
        compress: the compression function.
        failures: told of every stage that fails.
        limit: the limit on the bytes per second that the sink takes; None for no limit.
        which: added to the names of stages if several chains run: ``" of partition 2"``.

    Attributes:
        stages: the stages in the order of the data.
        links: the links between each stage and the next.
        receipt: what the sink has published; None until then.
    """

    def __init__(
        self, plan: Plan, compress: Compress, failures: Failures, limit: RateLimit | None = None, *, which: str = ""
    ) -> None:
        self.stages: list[Stage] = []
        self.links: list[Link] = []
        self.receipt: Receipt | None = None
        self._plan = plan
        self._compress = compress
        self._failures = failures
        self._limit = limit
        self._which = which
        self._batches: BatchLink | None = None
        self._encoded: Link
        self._stored: Link
        self._build()

    def _build(self) -> None:
        sink = self._plan.sink
        if isinstance(sink, TableSink):
            self._stored = self._encoded = self._add_table(sink)
        elif isinstance(sink, PartsSink):
            self._add_parts(sink)
        else:
            assert not isinstance(sink, PartitionsSink)  # that is one of several chains, each with a sink for its part
            self._add_bytes(sink)
        for before, after in zip(self.stages, self.stages[1:], strict=False):
            before.next, after.previous = after.name, before.name

    def _add_table(self, sink: TableSink) -> Link:
        link = self._add_batches("source to sink")
        self._add("sink", lambda: self._load(sink, link), input=link, output=None)
        return link

    def _add_bytes(self, sink: Sink) -> None:
        encoded = self._add_source() if self._plan.encoder is None else self._add_source_and_encoder()
        stored = encoded if self._plan.compression is None else self._add_compressor(encoded)
        self._encoded, self._stored = encoded, stored
        self._add("sink", lambda: self._store(sink, stored), input=stored, output=None)

    def _add_parts(self, sink: PartsSink) -> None:
        batches = self._add_batches("source to encoder")
        encoded = stored = self._parts_link("encoder to next")
        self._add("encoder", lambda: self._encode_parts(batches, encoded, sink), input=batches, output=encoded)
        if self._plan.compression is not None:
            stored = self._parts_link("compressor to sink")
            self._add("compressor", lambda: self._squeeze_parts(encoded, stored), input=encoded, output=stored)
        self._encoded, self._stored = encoded, stored
        self._add("sink", lambda: self._store_parts(sink, stored), input=stored, output=None)

    def _add(self, name: str, work: Callable[[], None], *, input: Link | None, output: Link | None) -> None:  # noqa: A002
        limit = self._limit.waiting if self._limit is not None and output is None else None
        self.stages.append(Stage(name, work, input=input, output=output, on_error=self._failed, held_back=limit))
        if output is not None:
            self.links.append(output)

    def _failed(self, stage: str, error: BaseException) -> None:
        self._failures.record(stage + self._which, error)

    def _add_source(self) -> ByteLink:
        link = self._pipe("source to next")
        self._add("source", lambda: self._read_bytes(link), input=None, output=link)
        return link

    def _add_batches(self, name: str) -> BatchLink:
        encoder = self._plan.encoder
        joins = encoder is not None and not encoder.keeps_batches
        link = self._batches = BatchLink(wide_bytes=2 * self._plan.memory.batch_bytes, name=name, joins=joins)
        self._add("source", lambda: self._read_batches(link), input=None, output=link)
        return link

    def _add_source_and_encoder(self) -> ByteLink:
        batches = self._add_batches("source to encoder")
        encoded = self._pipe("encoder to next")
        self._add("encoder", lambda: self._encode(batches, encoded), input=batches, output=encoded)
        return encoded

    def _add_compressor(self, plain: ByteLink) -> ByteLink:
        link = self._pipe("compressor to sink")
        self._add("compressor", lambda: self._squeeze(plain, link), input=plain, output=link)
        return link

    def _pipe(self, name: str) -> ByteLink:
        return ByteLink(self._plan.memory.pipe_bytes, name=name)

    def _parts_link(self, name: str) -> PartsLink:
        return PartsLink(self._plan.memory.pipe_bytes, name=name)

    # -- what the stages do. Their outputs end after the source has been closed without an error, never before. --

    def _read_bytes(self, out: ByteLink) -> None:
        with self._plan.source.open_bytes(self._plan.format_name) as chunks:
            for chunk in chunks:
                out.put(chunk)
                del chunk  # or it would be kept alive while the next one is read

    def _read_batches(self, out: BatchLink) -> None:
        with self._plan.source.open_batches() as stream:
            most_bytes, where = self._plan.memory.max_memory, self._plan.source.display_name
            out.feed(stream.schema, narrow_enough(stream, most_bytes, where=where))

    def _encode(self, batches: BatchLink, out: ByteLink) -> None:
        assert self._plan.encoder is not None
        self._plan.encoder.encode(batches.batches(), out.writer)

    def _squeeze(self, plain: ByteLink, out: ByteLink) -> None:
        assert self._plan.compression is not None
        self._compress(plain.reader, out.writer, self._plan.compression)

    def _store(self, sink: Sink, stream: ByteLink) -> None:
        self._delivered(sink.store(self._limited(stream.reader)), stream)

    def _load(self, sink: TableSink, batches: BatchLink) -> None:
        stream = batches.batches()
        self._delivered(sink.load(stream if self._limit is None else LimitedBatches(stream, self._limit)), batches)

    def _limited(self, stream: ByteReader) -> ByteReader:
        return stream if self._limit is None else cast("ByteReader", LimitedReader(stream, self._limit))

    def _encode_parts(self, batches: BatchLink, out: PartsLink, sink: PartsSink) -> None:
        assert self._plan.encoder is not None
        max_bytes, is_compressed = sink.max_part_bytes, self._plan.compression is not None
        in_parts.encode(self._plan.encoder, batches.batches(), out, max_bytes=max_bytes, is_compressed=is_compressed)

    def _squeeze_parts(self, plain: PartsLink, out: PartsLink) -> None:
        name = self._plan.compression
        assert name is not None
        in_parts.compress(plain, out, lambda stream, to: self._compress(stream, to, name))

    def _store_parts(self, sink: PartsSink, parts: PartsLink) -> None:
        limited = (replace(part, stream=self._limited(part.stream)) for part in parts.parts())
        self._delivered(sink.store_parts(limited), parts)

    def _delivered(self, receipt: Receipt, link: Link) -> None:
        if not link.state().delivered:
            raise SinkError("it stopped reading before the end", where=self._plan.sink.display_name)
        self.receipt = receipt

    # -- looking at it ----------------------------------------------------------------------------------------

    def statuses(self) -> tuple[StageStatus, ...]:
        """Describe every stage as it is now."""
        return tuple(stage.status() for stage in self.stages)

    def moved_bytes(self) -> int:
        """Return a number that grows whenever any byte moves between two stages."""
        states = [link.state() for link in self.links]
        sink = self._plan.sink
        # Rows are no bytes, but this number only has to grow.
        moved = sink.rows_moved if isinstance(sink, StagingTableSink) else 0
        return moved + sum(state.bytes_in + state.bytes_out for state in states)

    def rows(self) -> int | None:
        """Return the rows that have passed; None when they are not counted."""
        return self._plan.source.rows_read if self._batches is None else self._batches.rows

    def encoded_bytes(self) -> int:
        """Return the bytes that have left the source or the encoder, before compression."""
        return self._encoded.state().bytes_out

    def stored_bytes(self) -> int:
        """Return how many bytes the sink has taken."""
        return self._stored.state().bytes_out

    @property
    def is_held_back(self) -> bool:
        """Whether the sink waits only because of the bandwidth limit."""
        return self._limit is not None and self._limit.waiting.running

    def stacks(self) -> str:
        """Return the stack of every running stage, formatted as in a traceback."""
        running = (stage for stage in self.stages if stage.running)
        return "\n".join(f"the {stage.name}{self._which} is at:\n{stage.stack()}" for stage in running)

    def leaks(self) -> tuple[str, ...]:
        """Return what is left behind once every stage has ended. Anything is a bug."""
        which, states = self._which, zip(self.stages, self.links, strict=False)
        threads = [f"the thread of the {stage.name}{which} has not ended" for stage in self.stages if _alive(stage)]
        links = [f"the link after the {stage.name}{which} is not closed" for stage, link in states if not _closed(link)]
        return tuple(threads + links)

    def undo(self) -> list[str]:
        """Do nothing: the sink has cleaned up after itself."""
        return []


def _alive(stage: Stage) -> bool:
    return stage.thread is not None and stage.thread.is_alive()


def _closed(link: Link) -> bool:
    state = link.state()
    return state.write_closed and state.read_closed
