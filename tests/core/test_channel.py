"""Channels between threads: DESIGN 3.3, trio's words, and the rules of the Go pipelines pattern."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from penstock.core.cancel import CancelScope
from penstock.core.channel import ReceiveChannel, SendChannel, channel, select
from penstock.core.taskgroup import TaskGroup
from penstock.errors import (
    BrokenError,
    Cancelled,
    ClosedError,
    DeadlineExceeded,
    EndOfChannel,
    PenstockError,
    WouldBlock,
)
from tests.core.threads import PATIENCE, PROMPT, start, wait_until

SIZES = pytest.mark.parametrize("size", [0, 1, 3, 1000], ids=lambda size: f"buffer{size}")


class FailedHalfWay(Exception):
    """What goes wrong on one side."""


def sender_is_parked(send: SendChannel[Any], count: int = 1) -> None:
    wait_until(lambda: send.statistics().tasks_waiting_send == count)


def receiver_is_parked(receive: ReceiveChannel[Any], count: int = 1) -> None:
    wait_until(lambda: receive.statistics().tasks_waiting_receive == count)


def send_all(send: SendChannel[Any], *items: object) -> None:
    """Send the items, then close."""
    with send:
        for item in items:
            send.send(item)


# --- send and receive -------------------------------------------------------------------------------------------


@SIZES
def test_items_arrive_once_and_in_order(size: int) -> None:
    """What is sent is received, the very objects, in order, then iteration ends."""
    send, receive = channel(size)
    items = [object() for _ in range(100)]
    sending = start(send_all, send, *items)
    with receive:
        assert [id(item) for item in receive] == [id(item) for item in items]
    sending.result()


def test_a_rendezvous_send_waits_for_its_receiver() -> None:
    """With no buffer, send returns when somebody has the item."""
    send, receive = channel()
    with send, receive:
        sending = start(send.send, 1)
        sender_is_parked(send)
        assert not sending.done
        assert receive.receive() == 1
        sending.result()


def test_a_buffered_send_blocks_only_when_the_buffer_is_full() -> None:
    """max_buffer_size items wait; one more blocks until there is room, and order is kept."""
    send, receive = channel(2)
    with send, receive:
        send.send(1)
        send.send(2)
        sending = start(send.send, 3)
        sender_is_parked(send)
        assert receive.receive() == 1
        sending.result()
        assert [receive.receive(), receive.receive()] == [2, 3]


def test_a_receive_waits_for_an_item() -> None:
    """Receive blocks until something is sent."""
    send, receive = channel(5)
    with send, receive:
        receiving = start(receive.receive)
        receiver_is_parked(receive)
        send.send("here")
        assert receiving.result() == "here"


def test_none_and_false_are_items_like_any_other() -> None:
    """No value is special."""
    send, receive = channel(10)
    items = [None, False, 0, "", StopIteration, EndOfChannel()]
    send_all(send, *items)
    with receive:
        assert list(receive) == items


def test_parked_receivers_are_served_in_order() -> None:
    """First come, first served."""
    send, receive = channel()
    with send, receive:
        receivings = []
        for count in range(1, 4):
            receivings.append(start(receive.receive))
            receiver_is_parked(receive, count)
        for number in range(3):
            send.send(number)
            assert receivings[number].result() == number


def test_parked_senders_are_taken_in_order() -> None:
    """Senders too."""
    send, receive = channel()
    with send, receive:
        sendings = []
        for number in range(3):
            sendings.append(start(send.send, number))
            sender_is_parked(send, number + 1)
        assert [receive.receive() for _ in range(3)] == [0, 1, 2]
        for sending in sendings:
            sending.result()


@SIZES
def test_many_senders_and_receivers_lose_and_double_nothing(size: int) -> None:
    """Fan in and fan out at once: every item arrives exactly once."""
    send, receive = channel(size)
    received: list[list[tuple[int, int]]] = [[] for _ in range(4)]

    def collect(receive: ReceiveChannel[tuple[int, int]], into: list[tuple[int, int]]) -> None:
        with receive:
            into.extend(receive)

    collecting = [start(collect, receive.clone(), into) for into in received]
    sending = [start(send_all, send.clone(), *((number, item) for item in range(200))) for number in range(4)]
    send.close()
    receive.close()
    for running in sending + collecting:
        running.result()
    assert Counter(item for into in received for item in into) == Counter(
        (number, item) for number in range(4) for item in range(200)
    )


@pytest.mark.parametrize("size", [-1, -5])
def test_a_negative_buffer_is_refused(size: int) -> None:
    """A buffer of less than nothing makes no sense."""
    with pytest.raises(ValueError, match=r"max_buffer_size|negative"):
        channel(size)


# --- nowait -----------------------------------------------------------------------------------------------------


def test_send_nowait_never_waits() -> None:
    """It hands over to a parked receiver or the buffer, or raises WouldBlock and changes nothing."""
    send, receive = channel(1)
    with send, receive:
        send.send_nowait(1)
        with pytest.raises(WouldBlock):
            send.send_nowait(2)
        assert receive.receive() == 1
        receiving = start(receive.receive)
        receiver_is_parked(receive)
        send.send_nowait(3)
        assert receiving.result() == 3


def test_send_nowait_on_a_rendezvous_needs_a_receiver() -> None:
    """With no buffer and nobody waiting there is nowhere to put it."""
    send, receive = channel()
    with send, receive:
        with pytest.raises(WouldBlock):
            send.send_nowait(1)
        receiving = start(receive.receive)
        receiver_is_parked(receive)
        send.send_nowait(2)
        assert receiving.result() == 2


def test_receive_nowait_never_waits() -> None:
    """It takes from the buffer or from a parked sender, or raises WouldBlock."""
    send, receive = channel(1)
    with send, receive:
        with pytest.raises(WouldBlock):
            receive.receive_nowait()
        send.send(1)
        sending = start(send.send, 2)
        sender_is_parked(send)
        assert receive.receive_nowait() == 1
        sending.result()
        assert receive.receive_nowait() == 2


def test_nowait_operations_report_the_state_first() -> None:
    """Closed, broken and ended come before would-block."""
    send, receive = channel()
    receive.close()
    with pytest.raises(BrokenError):
        send.send_nowait(1)
    send.close()
    with pytest.raises(ClosedError):
        send.send_nowait(1)
    with pytest.raises(ClosedError):
        receive.receive_nowait()

    send, receive = channel(3)
    send.send_nowait(1)
    send.close()
    assert receive.receive_nowait() == 1
    with pytest.raises(EndOfChannel):
        receive.receive_nowait()
    receive.close()


# --- closing ----------------------------------------------------------------------------------------------------


def test_when_all_senders_have_closed_receivers_drain_and_end() -> None:
    """What is in the buffer is received first; then EndOfChannel, again and again."""
    send, receive = channel(5)
    send.send(1)
    send.send(2)
    send.close()
    assert receive.receive() == 1
    assert receive.receive() == 2
    for _ in range(2):
        with pytest.raises(EndOfChannel) as caught:
            receive.receive()
        assert isinstance(caught.value, EOFError)
    assert list(receive) == []
    receive.close()


def test_closing_the_last_sender_wakes_every_receiver() -> None:
    """All parked receivers learn of the end."""
    send, receive = channel()
    receivings = [start(receive.receive) for _ in range(3)]
    receiver_is_parked(receive, 3)
    send.close()
    for receiving in receivings:
        receiving.error(EndOfChannel)
    receive.close()


def test_when_all_receivers_have_closed_send_breaks() -> None:
    """A send nobody will ever receive is a BrokenError, parked or not."""
    send, receive = channel()
    sendings = [start(send.send, number) for number in range(3)]
    sender_is_parked(send, 3)
    receive.close()
    for sending in sendings:
        sending.error(BrokenError)
    with pytest.raises(BrokenError):
        send.send(1)
    send.close()


def test_a_full_buffer_does_not_hide_that_the_receivers_are_gone() -> None:
    """A sender parked on a full buffer breaks too."""
    send, receive = channel(1)
    send.send(1)
    sending = start(send.send, 2)
    sender_is_parked(send)
    receive.close()
    sending.error(BrokenError)
    send.close()


def test_ones_own_closed_end_is_closed_error() -> None:
    """Every operation on a closed end is ClosedError, a ValueError; closing again is fine."""
    send, receive = channel(1)
    send.close()
    receive.close()
    operations: list[Callable[[], object]] = [
        lambda: send.send(1),
        lambda: send.send_nowait(1),
        send.clone,
        receive.receive,
        receive.receive_nowait,
        receive.clone,
        lambda: next(iter(receive)),
        lambda: select(receive),
    ]
    for operation in operations:
        with pytest.raises(ClosedError):
            operation()
    send.close()
    receive.close()


def test_ones_own_close_wakes_ones_own_waiters() -> None:
    """Closing an end from another thread ends what waits on that very end with ClosedError."""
    send, receive = channel()
    sending = start(send.send, 1)
    sender_is_parked(send)
    send.close()
    sending.error(ClosedError)
    receive.close()

    send, receive = channel()
    receiving = start(receive.receive)
    receiver_is_parked(receive)
    receive.close()
    receiving.error(ClosedError)
    send.close()


def test_closing_a_clone_does_not_wake_the_others() -> None:
    """Waiters of other clones wait on, and are served."""
    send, receive = channel()
    other = receive.clone()
    receiving = start(receive.receive)
    receiver_is_parked(receive)
    other.close()
    send.send(1)
    assert receiving.result() == 1
    send.close()
    receive.close()


def test_with_closes() -> None:
    """Both ends are context managers; leaving normally is a close."""
    send, receive = channel(1)
    with send:
        send.send(1)
    with receive:
        assert list(receive) == [1]
    with pytest.raises(ClosedError):
        send.send(1)
    with pytest.raises(ClosedError):
        receive.receive()


# --- clones -----------------------------------------------------------------------------------------------------


def test_the_channel_ends_with_its_last_sender() -> None:
    """Clones count: the end comes when every clone has closed, not before."""
    send, receive = channel(5)
    clones = [send.clone() for _ in range(3)]
    send.close()
    for number, clone in enumerate(clones):
        assert receive.statistics().open_send_channels == 3 - number
        clone.send(number)
        clone.close()
        clone.close()  # a second close of one clone must not count twice
    assert receive.statistics().open_send_channels == 0
    assert list(receive) == [0, 1, 2]
    receive.close()


def test_the_channel_breaks_with_its_last_receiver() -> None:
    """Receivers count as well."""
    send, receive = channel(5)
    clone = receive.clone()
    receive.close()
    receive.close()
    send.send(1)
    assert clone.receive() == 1
    clone.close()
    assert send.statistics().open_receive_channels == 0
    with pytest.raises(BrokenError):
        send.send(2)
    send.close()


def test_a_clone_of_a_clone_is_a_full_end() -> None:
    """Cloning a clone works, and after everyone else has closed too."""
    send, receive = channel(5)
    second = send.clone()
    send.close()
    third = second.clone()
    second.close()
    third.send(3)
    third.close()
    assert list(receive) == [3]
    receive.close()


# --- abort ------------------------------------------------------------------------------------------------------


def test_abort_raises_the_same_object_at_the_receivers() -> None:
    """A sender's abort is not an end: parked and later receives raise that very exception."""
    send, receive = channel(5)
    receivings = [start(receive.receive) for _ in range(2)]
    receiver_is_parked(receive, 2)
    error = FailedHalfWay()
    send.abort(error)
    for receiving in receivings:
        assert receiving.error(FailedHalfWay) is error
    for receive_again in (receive.receive, receive.receive_nowait, lambda: next(iter(receive))):
        with pytest.raises(FailedHalfWay) as caught:
            receive_again()
        assert caught.value is error
    receive.close()


def test_abort_raises_the_same_object_at_the_senders() -> None:
    """A receiver's abort reaches every sender."""
    send, receive = channel()
    sending = start(send.send, 1)
    sender_is_parked(send)
    error = FailedHalfWay()
    receive.abort(error)
    assert sending.error(FailedHalfWay) is error
    with pytest.raises(FailedHalfWay) as caught:
        send.send(2)
    assert caught.value is error
    send.close()


def test_abort_without_an_error_and_with_a_base_exception() -> None:
    """abort() is a BrokenError; a cancel or Ctrl-C arrives as the cause of one."""
    for error in (None, Cancelled("why"), KeyboardInterrupt()):
        send, receive = channel()
        send.abort(error)
        with pytest.raises(BrokenError) as caught:
            receive.receive()
        assert error is None or caught.value.__cause__ is error
        receive.close()


def test_the_first_abort_wins() -> None:
    """Later aborts and closes change nothing."""
    send, receive = channel()
    other = send.clone()
    first = FailedHalfWay("first")
    send.abort(first)
    other.abort(FailedHalfWay("second"))
    send.abort(FailedHalfWay("third"))
    with pytest.raises(FailedHalfWay) as caught:
        receive.receive()
    assert caught.value is first
    receive.close()


def test_an_abort_of_one_sender_is_not_healed_by_the_others() -> None:
    """One of several producers failing fails the channel, or the result would be short in silence."""
    send, receive = channel(5)
    other = send.clone()
    error = FailedHalfWay()
    send.abort(error)
    with pytest.raises(FailedHalfWay):
        receive.receive()
    other.close()
    with pytest.raises(FailedHalfWay):
        list(receive)
    receive.close()


def test_with_aborts_on_an_exception() -> None:
    """A producer's failing block hands its exception to the receivers."""
    send, receive = channel(5)
    error = FailedHalfWay()
    with pytest.raises(FailedHalfWay), send:
        send.send(1)
        raise error
    with pytest.raises(FailedHalfWay) as caught:
        list(receive)
    assert caught.value is error
    receive.close()


def test_an_end_that_is_dropped_unclosed_does_not_leave_its_peer_waiting() -> None:
    """A worker ranging over a channel cannot be abandoned by accident: dropping the last sender wakes it, with a warning."""
    send, receive = channel()
    receiving = start(receive.receive)
    receiver_is_parked(receive)
    with pytest.warns(ResourceWarning):
        del send
        gc.collect()
    receiving.error(PenstockError)
    receive.close()

    send, receive = channel()
    sending = start(send.send, 1)
    sender_is_parked(send)
    with pytest.warns(ResourceWarning):
        del receive
        gc.collect()
    sending.error(BrokenError)
    send.close()


# --- statistics, names, generics --------------------------------------------------------------------------------


def test_statistics() -> None:
    """Trio's names and meanings, the same from both ends."""
    send, receive = channel(2)
    with send, receive, send.clone():
        send.send(1)
        for end in (send, receive):
            statistics = end.statistics()
            assert statistics.current_buffer_used == 1
            assert statistics.max_buffer_size == 2
            assert statistics.open_send_channels == 2
            assert statistics.open_receive_channels == 1
            assert statistics.tasks_waiting_send == 0
            assert statistics.tasks_waiting_receive == 0


def test_names_and_repr() -> None:
    """Repr shows the name, which end it is and whether it is open."""
    send, receive = channel(2, name="results")
    assert "results" in repr(send)
    assert "SendChannel" in repr(send)
    assert "ReceiveChannel" in repr(receive)
    before = repr(send)
    send.close()
    receive.close()
    assert repr(send) != before


def test_the_ends_are_generic_at_run_time() -> None:
    """Annotations like SendChannel[int] work, and so does channel(...)."""
    assert SendChannel[int]
    assert ReceiveChannel[int]
    send, receive = channel(1)
    assert isinstance(send, SendChannel)
    assert isinstance(receive, ReceiveChannel)
    send.close()
    receive.close()


# --- select -----------------------------------------------------------------------------------------------------


def test_select_returns_what_is_ready_and_where_from() -> None:
    """The pair of receiver and item, and nothing is taken from the others."""
    first_send, first = channel(1)
    second_send, second = channel(1)
    with first_send, first, second_send, second:
        second_send.send("b")
        assert select(first, second) == (second, "b")
        first_send.send("a")
        second_send.send("c")
        chosen, _ = select(first, second)
        other = second if chosen is first else first
        assert other.receive_nowait() in ("a", "c")
        with pytest.raises(WouldBlock):
            chosen.receive_nowait()


@SIZES
def test_select_waits_for_the_first_of_several(size: int) -> None:
    """A parked select is woken by whichever channel comes first, and leaves no trace in the others."""
    pairs = [channel(size) for _ in range(3)]
    receivers = [receive for _, receive in pairs]
    for number in (1, 2, 0, 1):
        selecting = start(select, *receivers)
        for receive in receivers:
            receiver_is_parked(receive)
        pairs[number][0].send(number)
        assert selecting.result() == (receivers[number], number)
        for receive in receivers:
            assert receive.statistics().tasks_waiting_receive == 0
    for send, receive in pairs:
        send.close()
        receive.close()


def test_select_takes_from_a_parked_sender() -> None:
    """A rendezvous send is ready too."""
    send, receive = channel()
    other_send, other = channel()
    with send, receive, other_send, other:
        sending = start(send.send, 1)
        sender_is_parked(send)
        assert select(other, receive) == (receive, 1)
        sending.result()


def test_select_is_fair() -> None:
    """When several are always ready, none starves."""
    pairs = [channel(100) for _ in range(3)]
    for send, _ in pairs:
        for item in range(100):
            send.send(item)
    receivers = [receive for _, receive in pairs]
    chosen = Counter(id(select(*receivers)[0]) for _ in range(90))
    assert len(chosen) == 3
    assert min(chosen.values()) >= 10
    for send, receive in pairs:
        send.close()
        receive.close()


def test_select_times_out() -> None:
    """timeout= raises DeadlineExceeded, a TimeoutError, and takes nothing; 0 only looks."""
    send, receive = channel(1)
    with send, receive:
        for timeout in (0, 0.02):
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                select(receive, timeout=timeout)
            assert timeout <= time.monotonic() - began < timeout + PROMPT
        send.send(1)
        assert select(receive, timeout=0) == (receive, 1)
        assert receive.statistics().tasks_waiting_receive == 0


def test_select_passes_over_ended_receivers() -> None:
    """Ended ones are skipped; when all have ended, EndOfChannel, also if that happens while parked."""
    ended_send, ended = channel()
    send, receive = channel(1)
    ended_send.close()
    send.send(1)
    assert select(ended, receive) == (receive, 1)
    selecting = start(select, ended, receive)
    receiver_is_parked(receive)
    send.close()
    selecting.error(EndOfChannel)
    with pytest.raises(EndOfChannel):
        select(ended, receive)
    ended.close()
    receive.close()


def test_select_raises_the_error_of_an_aborted_channel() -> None:
    """An abort is not an end: select raises it, parked or not."""
    for parked_first in (True, False):
        quiet_send, quiet = channel()
        send, receive = channel()
        error = FailedHalfWay()
        if parked_first:
            selecting = start(select, quiet, receive)
            receiver_is_parked(receive)
            send.abort(error)
        else:
            send.abort(error)
            selecting = start(select, quiet, receive)
        assert selecting.error(FailedHalfWay) is error
        for end in (quiet_send, quiet, receive):
            end.close()


def test_select_of_nothing_is_a_mistake() -> None:
    """Waiting for none of no channels could never end."""
    with pytest.raises((ValueError, TypeError, EndOfChannel)):
        select()


def test_two_selects_on_one_channel_share_it() -> None:
    """Two parked selects get one item each."""
    send, receive = channel()
    other_send, other = channel()
    with send, receive, other_send, other:
        selectings = [start(select, receive, other) for _ in range(2)]
        receiver_is_parked(receive, 2)
        send.send(1)
        other_send.send(2)
        assert sorted(selecting.result()[1] for selecting in selectings) == [1, 2]


def test_two_channels_sent_to_at_once_serve_one_select_once() -> None:
    """Senders on two channels race for one parked select: one wins, the other's item is not lost."""
    for _ in range(100):
        pairs = [channel() for _ in range(2)]
        receivers = [receive for _, receive in pairs]
        selecting = start(select, *receivers)
        receiver_is_parked(receivers[0])
        barrier = threading.Barrier(2)

        def send_one(send: SendChannel[int], number: int, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(PATIENCE)
            send.send(number)

        sendings = [start(send_one, send, number) for number, (send, _) in enumerate(pairs)]
        chosen, item = selecting.result()
        assert chosen is receivers[item]
        assert receivers[1 - item].receive() == 1 - item
        for sending in sendings:
            sending.result()
        for send, receive in pairs:
            send.close()
            receive.close()


# --- cancellation is atomic -------------------------------------------------------------------------------------


def test_cancel_against_hand_over_is_one_or_the_other() -> None:
    """A cancelled send was not received; a received item was sent. Both ways round, in a race."""
    for cancel_the_sender in (True, False):
        for _ in range(100):
            send, receive = channel()
            scope, got = CancelScope(), list[str]()

            def parked(
                send: SendChannel[int] = send,
                receive: ReceiveChannel[int] = receive,
                scope: CancelScope = scope,
                got: list[str] = got,
                cancel_the_sender: bool = cancel_the_sender,
            ) -> None:
                with scope:
                    if cancel_the_sender:
                        send.send(1)
                    else:
                        receive.receive()
                    got.append("done")

            running = start(parked)
            (sender_is_parked(send) if cancel_the_sender else receiver_is_parked(receive))
            cancelling = start(scope.cancel)
            try:
                if cancel_the_sender:
                    receive.receive_nowait()
                else:
                    send.send_nowait(1)
                handed_over = True
            except WouldBlock:
                handed_over = False
            running.result()
            cancelling.result()
            assert handed_over == bool(got)
            send.close()
            receive.close()


# --- the pipelines pattern --------------------------------------------------------------------------------------


def test_fan_out_and_fan_in_end_by_themselves() -> None:
    """Stages close what they send to; the whole pipeline ends when its source does (go.dev/blog/pipelines)."""
    numbers_send, numbers = channel()
    squares_send, squares = channel()

    def source(send: SendChannel[int]) -> None:
        with send:
            for number in range(100):
                send.send(number)

    def square(receive: ReceiveChannel[int], send: SendChannel[int]) -> None:
        with receive, send:
            for number in receive:
                send.send(number * number)

    with TaskGroup() as group:
        group.start_soon(source, numbers_send)
        for _ in range(4):
            group.start_soon(square, numbers.clone(), squares_send.clone())
        numbers.close()
        squares_send.close()
        with squares:
            assert sorted(squares) == sorted(number * number for number in range(100))


def test_a_receiver_that_leaves_early_stops_the_senders() -> None:
    """The forgotten sender of the Go literature: here its send breaks and its thread ends."""
    send, receive = channel()

    def produce(send: SendChannel[int]) -> str:
        with send:
            number = 0
            while True:
                try:
                    send.send(number)
                except BrokenError:
                    return f"stopped after {number}"
                number += 1

    producing = start(produce, send)
    with receive:
        assert receive.receive() == 0
        assert receive.receive() == 1
    assert producing.result() == "stopped after 2"
