"""The service's queue is a local variable of a suspended coroutine that the module holds."""

import queue
import threading
import types
from collections.abc import Coroutine, Generator

from tests.leaks.corpus import until_parked


@types.coroutine
def suspended() -> Generator[None, None, None]:
    yield


async def send_letters(inbox: queue.Queue[str]) -> None:
    await suspended()
    inbox.put("a letter")


COROUTINES: list[Coroutine[None, None, None]] = []


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    coroutine = send_letters(inbox)
    coroutine.send(None)
    COROUTINES.append(coroutine)
