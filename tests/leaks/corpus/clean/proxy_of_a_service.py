"""A service's queue is reachable from the module through layers: a partial in a tuple in a mapping proxy."""

import functools
import queue
import threading
import types
from collections.abc import Mapping

from tests.leaks.corpus import until_parked

ROUTES: Mapping[str, tuple[functools.partial[None], ...]] = types.MappingProxyType({})


def program() -> None:
    global ROUTES  # noqa: PLW0603, a configuration is read once and put in place
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    ROUTES = types.MappingProxyType({"/letters": (functools.partial(inbox.put, block=False),)})
