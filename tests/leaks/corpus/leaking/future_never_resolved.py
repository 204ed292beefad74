"""A request's future is dropped on an error path that sets neither a result nor an exception."""

import threading
from concurrent.futures import Future

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="caller",
        function="call",
        blocked_on="Future",
        created_at="program",
        started_at="program",
    )
]


def call(answer: Future[str]) -> str:
    return answer.result()


def handle(message: str, requests: dict[str, Future[str]]) -> None:
    answer = requests.pop(message.partition(" ")[0])
    if "=" in message:
        answer.set_result(message.partition("=")[2])


def program() -> None:
    answer: Future[str] = Future()
    caller = threading.Thread(target=call, args=(answer,), name="caller")
    caller.start()
    requests = {"GET": answer}
    handle("GET malformed", requests)
    until_parked(caller)
