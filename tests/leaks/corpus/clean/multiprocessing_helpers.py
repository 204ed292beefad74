"""``multiprocessing`` starts helpers of its own, once per process: a resource tracker, a fork server."""

import multiprocessing
import multiprocessing.util
import shutil


def program() -> None:
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=abs, args=(-1,))
    process.start()
    process.join()
    assert process.exitcode == 0
    process.close()
    with context.Lock():
        pass


def cleanup() -> None:
    shutil.rmtree(multiprocessing.util.get_temp_dir())  # where the fork server listens
