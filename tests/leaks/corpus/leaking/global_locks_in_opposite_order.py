"""The AB-BA deadlock with locks of the module: a plain lock may be released by anybody, so nothing is proven."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=False, name="debit", function="debit", blocked_on="Lock"),
    Expected(kind="thread", proven=False, name="credit", function="credit", blocked_on="Lock"),
]

ACCOUNTS = threading.Lock()
JOURNAL = threading.Lock()
BOTH_HAVE_ONE = threading.Barrier(2)


def debit() -> None:
    with ACCOUNTS:
        BOTH_HAVE_ONE.wait()
        with JOURNAL:
            pass


def credit() -> None:
    with JOURNAL:
        BOTH_HAVE_ONE.wait()
        with ACCOUNTS:
            pass


def program() -> None:
    threads = [threading.Thread(target=debit, name="debit"), threading.Thread(target=credit, name="credit")]
    for thread in threads:
        thread.start()
    until_parked(*threads)
