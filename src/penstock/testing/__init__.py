"""Help for your own tests: sources and sinks that fail or stall on command, a sequencer for threads, conformance kits.

    def test_a_source_that_breaks_publishes_nothing():
        rows = failing_after(({"id": n} for n in range(10_000)), ConnectionResetError("gone"))
        with pytest.raises(penstock.SourceError):
            penstock.copy(rows, "out.csv")
        assert not Path("out.csv").exists()

The kits (``check_source``, ``check_sink``, ``check_table_sink``) check that a source or sink of yours keeps its
contract; what does not hold is an ``AssertionError`` that says so. Neither pytest nor any other package is needed.

The modules: ``_sources`` and ``_sinks`` hold the parts of a copy that do as they are told, ``_sequencer`` the order of
threads, ``_sink_kit``, ``_table_kit`` and ``_source_kit`` the kits. ``_expect`` and ``_calls`` are what the kits use.
"""

from penstock.testing._sequencer import Sequencer
from penstock.testing._sink_kit import check_sink
from penstock.testing._sinks import MemorySink, MemoryTable
from penstock.testing._source_kit import check_source
from penstock.testing._sources import BatchesSource, BytesSource, failing_after, stall, stalling_after
from penstock.testing._table_kit import check_table_sink

__all__ = [
    "BatchesSource",
    "BytesSource",
    "MemorySink",
    "MemoryTable",
    "Sequencer",
    "check_sink",
    "check_source",
    "check_table_sink",
    "failing_after",
    "stall",
    "stalling_after",
]
