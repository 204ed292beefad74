"""A WorkerPool in a ``with`` block: it waits for its jobs, and its workers are gone."""

from penstock.core.pool import WorkerPool


def program() -> None:
    with WorkerPool(3) as pool:
        assert list(pool.map(len, ["a", "bb", "ccc"])) == [1, 2, 3]
