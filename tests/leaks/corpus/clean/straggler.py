"""A thread has been told to end and is on its way out while the check begins."""

import threading


def program() -> None:
    told = threading.Event()
    threading.Thread(target=told.wait, name="straggler").start()
    threading.Timer(0.03, told.set).start()
