"""A method that holds the lock calls another that takes it again: a plain lock does not know its owner.

The commonest blocking bug of Go's goker set: "double locking" through a helper.
"""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="transfer", function="balance", blocked_on="Lock")]


class Account:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._balance = 0

    def balance(self) -> int:
        with self._lock:
            return self._balance

    def withdraw(self, amount: int) -> None:
        with self._lock:
            if self.balance() >= amount:
                self._balance -= amount


def program() -> None:
    transfer = threading.Thread(target=Account().withdraw, args=(10,), name="transfer")
    transfer.start()
    until_parked(transfer)
