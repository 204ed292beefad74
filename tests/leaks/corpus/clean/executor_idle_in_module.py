"""The executor of a module has done its work; its workers are idle, and wait for more by design."""

from concurrent.futures import ThreadPoolExecutor

EXECUTOR = ThreadPoolExecutor(max_workers=3)


def program() -> None:
    assert list(EXECUTOR.map(len, ["a", "bb", "ccc"])) == [1, 2, 3]
