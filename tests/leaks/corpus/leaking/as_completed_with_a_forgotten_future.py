"""``as_completed`` waits for every future it was given, and one of them was never given to anybody to run."""

import threading
from concurrent.futures import Future, as_completed

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="collector", function="collect", blocked_on="concurrent.futures")]


def collect(futures: list[Future[int]], results: list[int]) -> None:
    for future in as_completed(futures):
        results.append(future.result())  # noqa: PERF401, as people write it


def program() -> None:
    futures: list[Future[int]] = [Future() for _ in range(3)]
    results: list[int] = []
    collector = threading.Thread(target=collect, args=(futures, results), name="collector")
    collector.start()
    futures[0].set_result(0)
    futures[1].set_result(1)
    until(lambda: len(results) == 2)
    until_parked(collector)
