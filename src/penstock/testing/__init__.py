"""For your own tests: sources and sinks that fail and stall on command, an order for threads, and kits that check yours.

    def test_a_source_that_breaks_publishes_nothing():
        rows = failing_after(({"id": n} for n in range(10_000)), ConnectionResetError("gone"))
        with pytest.raises(penstock.SourceError):
            penstock.copy(rows, "out.csv")
        assert not Path("out.csv").exists()

Standard library only, and no pytest: what does not hold is an ``AssertionError`` that says what.

Where what lives: ``_sources`` and ``_sinks`` the parts of a copy that do as they are told, ``_sequencer`` the order of
threads, ``_sink_kit``, ``_table_kit`` and ``_source_kit`` the kits, ``_expect`` and ``_calls`` what they complain and drive with.
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
