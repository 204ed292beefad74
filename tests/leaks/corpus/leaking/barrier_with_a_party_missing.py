"""A barrier is made for three, and two come."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="party-*", function="meet", blocked_on="Barrier", created_at="program")
] * 2


def meet(barrier: threading.Barrier) -> None:
    barrier.wait()


def program() -> None:
    barrier = threading.Barrier(3)
    parties = [threading.Thread(target=meet, args=(barrier,), name=f"party-{n}") for n in range(2)]
    for party in parties:
        party.start()
    until_parked(*parties)
