"""Channels: pass objects between threads and tasks through a bounded buffer. Go's channels under trio's names.

    sender, receiver = channel(64)

The ends of a channel are counted. When the last sender closes, receivers get what is left and their loops end; when
the last receiver closes, senders raise. So a worker that loops over a channel is not left waiting by accident, and a
producer cannot wait for ever for somebody who has left.

The modules: ``_state`` holds the buffer and who waits, ``_steps`` has the operations on it, ``_ends`` the ends for
threads, ``_aio`` their views for tasks, ``_select`` waiting on several channels.
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
