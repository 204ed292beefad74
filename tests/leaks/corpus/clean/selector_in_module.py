"""A module holds a selector and the two sockets by which it is woken."""

import selectors
import socket

selector: list[selectors.BaseSelector] = []


def program() -> None:
    woken, wake = socket.socketpair()
    selector.append(selectors.DefaultSelector())
    selector[0].register(woken, selectors.EVENT_READ, data=wake)
