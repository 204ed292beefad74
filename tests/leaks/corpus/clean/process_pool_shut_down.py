"""A process pool that was left: its processes, threads and pipes are gone."""

import concurrent.futures
import multiprocessing


def program() -> None:
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(max_workers=2, mp_context=context) as pool:
        assert sorted(pool.map(abs, [-1, -2])) == [1, 2]
