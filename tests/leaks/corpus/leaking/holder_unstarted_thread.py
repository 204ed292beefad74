"""Not proven: the producer is a thread that somebody alive has made and not yet started; its arguments count."""

import queue
import threading
import time

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]


def produce(inbox: queue.Queue[str]) -> None:
    inbox.put("a letter")


def start_later(producer: threading.Thread) -> None:
    while threading.main_thread().is_alive():
        time.sleep(0.02)
    producer.start()


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    waiter = threading.Thread(target=inbox.get, name="waiter")
    waiter.start()
    producer = threading.Thread(target=produce, args=(inbox,), name="producer")
    threading.Thread(target=start_later, args=(producer,), name="keeper", daemon=True).start()
    until_parked(waiter)
