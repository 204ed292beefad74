"""A worker receives from a penstock channel whose send end the module keeps."""

import threading

from penstock.core.channel import channel
from tests.leaks.corpus import until_parked

SEND, RECEIVE = channel(5, name="letters")
SENT: list[str] = []


def send_letters() -> None:
    SENT.extend(RECEIVE)


def program() -> None:
    sender = threading.Thread(target=send_letters, name="sender", daemon=True)
    sender.start()
    SEND.send("a letter")
    until_parked(sender)


def cleanup() -> None:
    SEND.close()
