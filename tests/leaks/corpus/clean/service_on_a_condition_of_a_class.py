"""A worker waits on a condition that is an attribute of its class."""

import threading

from tests.leaks.corpus import until_parked


class Reloader:
    changed = threading.Condition()
    version = 0

    @classmethod
    def run(cls) -> None:
        with cls.changed:
            while cls.version >= 0:
                cls.changed.wait()


def program() -> None:
    reloader = threading.Thread(target=Reloader.run, name="reloader", daemon=True)
    reloader.start()
    until_parked(reloader)
