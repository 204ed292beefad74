"""A daemon timer is going to fire in an hour."""

import threading


def program() -> None:
    timer = threading.Timer(3600, print, ["an hour is over"])
    timer.daemon = True
    timer.start()
