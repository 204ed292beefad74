"""An executor is dropped without ``shutdown``, its jobs done; its workers notice and end."""

from concurrent.futures import ThreadPoolExecutor


def program() -> None:
    executor = ThreadPoolExecutor(max_workers=2)
    assert executor.submit(sum, [1, 2]).result() == 3
