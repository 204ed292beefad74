"""A TaskGroup whose block fails: the child that would have waited for ever is cancelled and joined."""

import contextlib

from penstock.core.cancel import sleep
from penstock.core.channel import channel
from penstock.core.taskgroup import TaskGroup


def program() -> None:
    with contextlib.suppress(ExceptionGroup):
        send, receive = channel()
        with send, receive, TaskGroup() as group:
            group.start_soon(receive.receive)
            group.start_soon(sleep, 3600)
            raise RuntimeError("the block has failed")
