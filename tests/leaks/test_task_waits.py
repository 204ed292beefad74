"""What asyncio tasks are said to wait for."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from penstock.core.channel import channel
from penstock.core.pipe import pipe
from penstock.leaks._straggler import Verdict
from tests.leaks.tasks import LONG_SECONDS, Call, await_future, get, leak_of, settle, sleep, waiting


async def get_by_priority() -> None:
    await asyncio.PriorityQueue[int]().get()


async def put() -> None:
    queue = asyncio.Queue[int](1)
    await queue.put(1)
    await queue.put(2)


async def join() -> None:
    queue = asyncio.Queue[int]()
    queue.put_nowait(1)
    await queue.join()


async def acquire_lock() -> None:
    lock = asyncio.Lock()
    async with lock:
        await lock.acquire()


async def wait_for_event() -> None:
    await asyncio.Event().wait()


async def wait_for_condition() -> None:
    condition = asyncio.Condition()
    async with condition:
        await condition.wait()


async def wait_for_predicate() -> None:
    condition = asyncio.Condition()
    async with condition:
        await condition.wait_for(lambda: False)


async def acquire_semaphore() -> None:
    await asyncio.BoundedSemaphore(0).acquire()


async def wait_at_barrier() -> None:
    await asyncio.Barrier(2).wait()


async def await_task() -> None:
    await asyncio.create_task(get(), name="child")


async def gather() -> None:
    await asyncio.gather(asyncio.create_task(get(), name="child"), asyncio.sleep(0))


async def shield() -> None:
    await asyncio.shield(asyncio.create_task(get(), name="child"))


async def wait_for_one() -> None:
    await asyncio.wait([asyncio.create_task(get(), name="child")])


async def wait_with_timeout() -> None:
    await asyncio.wait_for(asyncio.create_task(get(), name="child"), LONG_SECONDS)


async def await_as_completed() -> None:
    for future in asyncio.as_completed([asyncio.create_task(get(), name="child")]):
        await future


async def leave_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(get(), name="child")


async def leave_anyio_task_group() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(get, name="child")


async def wait_for_anyio_event() -> None:
    await anyio.Event().wait()


async def receive_from_anyio() -> None:
    sender, receiver = anyio.create_memory_object_stream[int](0)
    with sender, receiver:
        await receiver.receive()


async def read_line() -> None:
    await asyncio.StreamReader().readline()


async def serve() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        await server.serve_forever()


async def receive() -> None:
    sender, receiver = channel(name="input")
    with sender, receiver:
        await receiver.aio.receive()


async def iterate_over_channel() -> None:
    sender, receiver = channel(name="input")
    with sender, receiver:
        async for _ in receiver.aio:
            pass


async def send() -> None:
    sender, receiver = channel(name="output")
    with sender, receiver, receiver.clone():
        await sender.aio.send(1)


async def read_pipe() -> None:
    with pipe(name="bytes") as (reader, _):
        await reader.aio.receive()


async def write_pipe() -> None:
    with pipe(name="bytes") as (_, writer):
        await writer.aio.send(b"x")


WAITS = [
    (get, "asyncio.Queue.get() on <asyncio.Queue at 0x", ", empty", "sentinel"),
    (get_by_priority, "asyncio.PriorityQueue.get() on <asyncio.PriorityQueue at 0x", ", empty", "sentinel"),
    (put, "asyncio.Queue.put() on <asyncio.Queue at 0x", ", full", "nobody takes from this full queue"),
    (join, "asyncio.Queue.join() on <asyncio.Queue at 0x", ", 1 waiting, 1 not done", "task_done()"),
    (acquire_lock, "asyncio.Lock.acquire() on <asyncio.Lock at 0x", ">", "does not release it"),
    (wait_for_event, "asyncio.Event.wait() on <asyncio.Event at 0x", ">", "nobody sets this event"),
    (wait_for_condition, "asyncio.Condition.wait() on <asyncio.Condition at 0x", ">", "nobody notifies"),
    (wait_for_predicate, "asyncio.Condition.wait_for() on <asyncio.Condition at 0x", ">", "nobody notifies"),
    (acquire_semaphore, "asyncio.BoundedSemaphore.acquire() on <asyncio.BoundedSemaphore at", ">", "does not release"),
    (wait_at_barrier, "asyncio.Barrier.wait() on <asyncio.Barrier at 0x", ", 1 of 2 parties", "a party never came"),
    (sleep, "asyncio.sleep()", "", "outlived whoever started it"),
    (await_future, "a future, in tests.leaks.tasks.await_future()", "", "nobody resolves this future"),
    (await_task, "task 'child'", "", "the task it waits for does not end"),
    (gather, "asyncio.gather() of task 'child'", "", "the task it waits for does not end"),
    (shield, "asyncio.shield() of task 'child'", "", "the task it waits for does not end"),
    (wait_for_one, "asyncio.wait() of task 'child'", "", "what it waits for does not end"),
    (wait_with_timeout, "asyncio.wait_for() of task 'child'", "", "what it waits for does not end"),
    (await_as_completed, "asyncio.as_completed()", "", "what it waits for does not end"),
    (leave_task_group, "asyncio.TaskGroup.__aexit__() of task 'child'", "", "a child does not end"),
    (leave_anyio_task_group, "anyio.TaskGroup.__aexit__() of task 'child'", "", "a child does not end"),
    (wait_for_anyio_event, "anyio.Event.wait() on <anyio.Event at 0x", ">", "nobody sets this event"),
    (receive_from_anyio, "anyio.MemoryObjectReceiveStream.receive() on <anyio.", ">", "close every sender"),
    (read_line, "asyncio.StreamReader.readline() on <asyncio.StreamReader at 0x", ">", "sends nothing"),
    (serve, "asyncio.Server.serve_forever() on <asyncio.Server at 0x", ">", "never told to stop"),
    (receive, "penstock.AsyncReceiveChannel.receive() on channel 'input'", "", "close every sender"),
    (iterate_over_channel, "penstock.AsyncReceiveChannel.receive() on channel 'input'", "", "close every sender"),
    (send, "penstock.AsyncSendChannel.send() on channel 'output'", "", "close every receiver"),
    (read_pipe, "penstock.AsyncPipeReader.receive() on pipe 'bytes'", "", "write end is open"),
    (write_pipe, "penstock.AsyncPipeWriter.send() on pipe 'bytes'", "", "read end is open"),
]


@pytest.mark.parametrize(("call", "begins", "ends", "fix"), WAITS, ids=[call.__name__ for call, *_ in WAITS])
def test_it_says_what_a_task_waits_for(call: Call, begins: str, ends: str, fix: str) -> None:
    """The operation is named as its user wrote it, with its object, and followed by what to do about it."""
    leak = leak_of(call)
    assert leak.blocked_on is not None
    assert leak.blocked_on.startswith(begins)
    assert leak.blocked_on.endswith(ends)
    assert fix in leak.fix


@pytest.mark.parametrize(
    "call", [get, put, wait_for_event, wait_at_barrier, await_future, await_task, receive, read_pipe]
)
def test_it_says_where_the_object_was_made(call: Call) -> None:
    """The line that made what the task waits on is told."""
    assert (leak_of(call).created_at or "").endswith(f" in {call.__name__}")


@pytest.mark.parametrize(("call", "open_ends"), [(receive, 1), (send, 2), (read_pipe, 1), (receive_from_anyio, 1)])
def test_it_counts_the_other_ends(call: Call, open_ends: int) -> None:
    """Of pipes and channels it tells how many ends are open from where the task could still be woken."""
    assert leak_of(call).open_ends == open_ends


def test_a_call_in_a_thread_is_told_from_one_that_no_worker_has_begun() -> None:
    """Of a task that waits for an executor it is told whether its call runs."""
    release = threading.Event()

    async def main() -> list[str | None]:
        with ThreadPoolExecutor(1) as executor:
            in_executor = functools.partial(asyncio.get_running_loop().run_in_executor, executor, release.wait)

            async def call() -> None:
                await in_executor()

            try:
                async with waiting(call) as running, waiting(call) as queued:
                    return [running.leak(0).blocked_on, queued.leak(0).blocked_on]
            finally:
                release.set()

    assert asyncio.run(main()) == [
        "loop.run_in_executor(), a call that runs",
        "loop.run_in_executor(), a call that no worker has begun",
    ]


def test_a_lock_that_a_condition_wants_back_is_the_lock() -> None:
    """A task that was notified, and waits for the lock of the condition, is said to wait for the lock."""
    condition = asyncio.Condition()

    async def wait() -> None:
        async with condition:
            await condition.wait()

    async def main() -> str | None:
        async with waiting(wait) as straggler, condition:
            condition.notify()
            await settle()
            return straggler.__class__(straggler.task).leak(0).blocked_on

    assert (asyncio.run(main()) or "").startswith("asyncio.Lock.acquire()")


def test_what_an_object_holds_is_not_shown() -> None:
    """The report never prints the items of a queue, which may be nobody's business."""

    async def put_secret() -> None:
        queue = asyncio.Queue[str](1)
        await queue.put("hunter2")
        await queue.put("hunter3")

    assert "hunter" not in str(leak_of(put_secret).to_dict())


@pytest.mark.parametrize(
    ("call", "module", "excused"),
    [
        (get, "app.inbox", True),
        (wait_for_event, "app.stop", True),
        (wait_for_condition, "app.changed", True),
        (receive, "app.SEND", True),
        (receive_from_anyio, "app.send", True),
        (acquire_lock, "app.lock", False),
        (sleep, "app.loop", False),
        (await_future, "app.reply", False),
        (get, "asyncio.events._event_loop_policy", False),
        (get, None, False),
    ],
)
def test_a_service_that_waits_for_work_is_excused(call: Call, module: str | None, excused: bool) -> None:
    """What waits for work that a module's global can bring is a service; a lock, a sleep or a loop's own list is none."""

    async def main() -> str | None:
        async with waiting(call) as straggler:
            return straggler.serves(Verdict(False, "held", held_by_module=module))

    reason = asyncio.run(main())
    assert (reason is not None) is excused
    assert not excused or str(module) in str(reason)
