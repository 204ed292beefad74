"""Bounded passing of objects between threads and tasks: Go's channels in trio's words.

    sender, receiver = channel(64)

A channel has ends that can be counted: when the last sender closes, receivers drain what is there and their loops
end; when the last receiver closes, senders raise. So a worker ranging over a channel cannot be abandoned by
accident, and a producer cannot wait for ever for somebody who has left.

Where what lives: ``_state`` the buffer and who waits, ``_steps`` one visit to it at a time, ``_ends`` the ends for
threads, ``_aio`` their views for tasks, ``_select`` waiting on several.
"""

from penstock.core.channel._aio import AsyncReceiveChannel, AsyncSendChannel
from penstock.core.channel._ends import ReceiveChannel, SendChannel, channel
from penstock.core.channel._select import select
from penstock.core.channel._state import ChannelStatistics

__all__ = [
    "AsyncReceiveChannel",
    "AsyncSendChannel",
    "ChannelStatistics",
    "ReceiveChannel",
    "SendChannel",
    "channel",
    "select",
]
