"""A WorkerPool of the module has done its work; its workers are idle and will retire."""

from penstock.core.pool import WorkerPool

POOL = WorkerPool(2, name="module")


def program() -> None:
    assert POOL.submit(sum, [1, 2]).result() == 3
