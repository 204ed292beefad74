"""A module holds a process pool: its idle workers, threads and pipes wait for the next job."""

import concurrent.futures
import multiprocessing

pools: list[concurrent.futures.ProcessPoolExecutor] = []


def program() -> None:
    context = multiprocessing.get_context("fork")
    pools.append(concurrent.futures.ProcessPoolExecutor(max_workers=1, mp_context=context))
    assert pools[0].submit(abs, -1).result() == 1


def cleanup() -> None:
    pools[0].shutdown()
