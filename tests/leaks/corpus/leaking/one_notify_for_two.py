"""Two threads wait for the same news; ``notify`` wakes one of them, ``notify_all`` would have woken both."""

import threading

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="listener-*", function="listen", blocked_on="Condition")]


def listen(news: threading.Condition) -> None:
    with news:
        news.wait()


def program() -> None:
    news = threading.Condition()
    listeners = [threading.Thread(target=listen, args=(news,), name=f"listener-{n}") for n in range(2)]
    for listener in listeners:
        listener.start()
    until_parked(*listeners)
    with news:
        news.notify()
    until(lambda: sum(listener.is_alive() for listener in listeners) == 1)
