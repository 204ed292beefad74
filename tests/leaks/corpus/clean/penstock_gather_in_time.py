"""Calls that are gathered under a deadline: those that are late are cancelled, and gone."""

from penstock.core.cancel import sleep
from penstock.core.gather import gather


def on_time() -> str:
    return "on time"


def late() -> None:
    sleep(3600)


def program() -> None:
    gathered = gather(on_time, late, timeout=0.05, on_timeout="partial")
    assert gathered.done == {0: "on time"}
