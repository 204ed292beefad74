"""Small batches go together, and nothing else about them changes."""

from __future__ import annotations

import pyarrow as pa

from penstock.flow.sizes import joined


def batch(*values: int) -> pa.RecordBatch:
    """A batch of numbers, of 8 bytes each."""
    return pa.RecordBatch.from_pydict({"a": pa.array(values, pa.int64())})


def test_small_batches_are_joined_in_their_order() -> None:
    """Up to the size given; a larger one comes as it is, after what was before it."""
    large = batch(*range(100, 200))
    given = [batch(1), batch(2, 3), batch(), batch(4), large, batch(5)]
    found = list(joined(given, large.schema, 24))
    assert [each["a"].to_pylist() for each in found] == [[1, 2, 3], [4], list(range(100, 200)), [5]]
    assert found[2] is large


def test_one_alone_is_not_copied() -> None:
    """Neither a single batch, nor what has a dictionary, of which Arrow can not join every kind."""
    alone = batch(1)
    assert next(joined([alone], alone.schema)) is alone
    texts = pa.array(["x"]).dictionary_encode()
    named = pa.RecordBatch.from_arrays([pa.StructArray.from_arrays([texts], ["b"])], ["a"])
    assert [each is named for each in joined([named, named], named.schema)] == [True, True]
    assert list(joined([], alone.schema)) == []
