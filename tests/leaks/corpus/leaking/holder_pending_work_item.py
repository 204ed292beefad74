"""Not proven: the setter waits in an executor's queue, behind a job that will end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=False, name="jobs_0", function="long_job", started_at="program"),
    # The executor's queue hangs on a global of concurrent.futures; who sees that may take it for a service.
    Expected(kind="thread", proven=False, name="waiter", function="wait_for", blocked_on="Event", optional=True),
]


def long_job() -> None:
    while threading.main_thread().is_alive():
        time.sleep(0.02)


def wait_for(event: threading.Event) -> None:
    event.wait()


def program() -> None:
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs")
    event = threading.Event()
    executor.submit(long_job)
    executor.submit(event.set)
    waiter = threading.Thread(target=wait_for, args=(event,), name="waiter")
    waiter.start()
    until_parked(waiter)
