"""Two ends of a conversation over two pipes each wait to be asked first."""

import threading

from penstock.core.pipe import PipeReader, PipeWriter, pipe
from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="client", function="talk", blocked_on="read"),
    Expected(kind="thread", proven=True, name="server", function="talk", blocked_on="read"),
    Expected(kind="pipe", proven=None, optional=True),
    Expected(kind="pipe", proven=None, optional=True),
]


def talk(hear: PipeReader, say: PipeWriter) -> None:
    while heard := hear.read1(100):
        say.write(heard)


def program() -> None:
    to_client, from_server = pipe(name="answers")
    to_server, from_client = pipe(name="questions")
    threads = [
        threading.Thread(target=talk, args=(to_client, from_client), name="client"),
        threading.Thread(target=talk, args=(to_server, from_server), name="server"),
    ]
    for thread in threads:
        thread.start()
    until_parked(*threads)
