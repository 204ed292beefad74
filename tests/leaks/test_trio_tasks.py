"""Finding trio tasks that are still alive, and saying what they wait for."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from penstock.core.channel import channel
from penstock.leaks import LeakError, leakcheck
from penstock.leaks._finders.loops import in_trio, pause_in_loop
from penstock.leaks._finders.trio_tasks import TrioTaskFinder, TrioTaskStraggler
from penstock.leaks._report.model import Leak
from penstock.leaks._straggler import Verdict

Call = Callable[[], Awaitable[object]]

FINDER = TrioTaskFinder()
_LONG_SECONDS = 60.0


def look_at(call: Call, see: Callable[[TrioTaskStraggler], Any]) -> Any:
    """Run ``call`` in a trio task until all tasks wait, and return what ``see`` makes of that task."""

    async def main() -> Any:
        before = FINDER.baseline()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, name="waiter")
            await trio.testing.wait_all_tasks_blocked()
            [straggler] = [straggler for straggler in FINDER.stragglers(before) if straggler.name == "waiter"]
            seen = see(straggler)
            nursery.cancel_scope.cancel()
        return seen

    return trio.run(main)


def leak_of(call: Call) -> Leak:
    leak = look_at(call, lambda straggler: straggler.leak(0.25))
    assert isinstance(leak, Leak)
    return leak


def found_names(since: Any) -> set[str]:
    return {straggler.name for straggler in FINDER.stragglers(since)}


async def wait_for_event() -> None:
    await trio.Event().wait()


async def wait_with_timeout() -> None:
    with trio.move_on_after(_LONG_SECONDS):
        await trio.Event().wait()


async def receive() -> None:
    sender, receiver = trio.open_memory_channel[int](0)
    async with sender, sender.clone(), receiver:
        await receiver.receive()


async def send() -> None:
    sender, receiver = trio.open_memory_channel[int](0)
    async with sender, receiver:
        await sender.send(1)


async def sleep() -> None:
    await trio.sleep(_LONG_SECONDS)


async def sleep_forever() -> None:
    await trio.sleep_forever()


async def acquire_lock() -> None:
    lock = trio.Lock()
    await lock.acquire()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lock.acquire, name="second")


async def acquire_semaphore() -> None:
    await trio.Semaphore(0).acquire()


async def acquire_from_limiter() -> None:
    limiter = trio.CapacityLimiter(1)
    await limiter.acquire_on_behalf_of("somebody else")
    await limiter.acquire()


async def wait_for_condition() -> None:
    condition = trio.Condition()
    async with condition:
        await condition.wait()


async def receive_from_penstock() -> None:
    sender, receiver = channel(name="input")
    with sender, receiver:
        async for _ in receiver.aio:
            pass


async def receive_from_anyio() -> None:
    sender, receiver = anyio.create_memory_object_stream[int](0)
    with sender, receiver:
        await receiver.receive()


async def receive_from_socket() -> None:
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        await trio.SocketStream(ours).receive_some()


WAITS = [
    (wait_for_event, "trio.Event.wait() on <trio.Event at 0x", "nobody sets this event"),
    (wait_with_timeout, "trio.Event.wait() on <trio.Event at 0x", "nobody sets this event"),
    (receive, "trio.MemoryReceiveChannel.receive() on <trio.MemoryReceiveChannel at 0x", "close every sender"),
    (send, "trio.MemorySendChannel.send() on <trio.MemorySendChannel at 0x", "close every receiver"),
    (sleep, "trio.sleep()", "outlived whoever started it"),
    (sleep_forever, "trio.sleep_forever()", "cancel_scope"),
    (acquire_lock, "trio.Nursery.__aexit__() of task 'second'", "a child does not end"),
    (acquire_semaphore, "trio.Semaphore.acquire() on <trio.Semaphore at 0x", "does not release it"),
    (acquire_from_limiter, "trio.CapacityLimiter.acquire() on <trio.CapacityLimiter at 0x", "does not release it"),
    (wait_for_condition, "trio.Condition.wait() on <trio.Condition at 0x", "nobody notifies"),
    (receive_from_penstock, "penstock.AsyncReceiveChannel.receive() on channel 'input'", "close every sender"),
    (receive_from_anyio, "anyio.MemoryObjectReceiveStream.receive() on <anyio.", "close every sender"),
    (receive_from_socket, "trio.SocketStream.receive_some() on <trio.SocketStream at 0x", "sends nothing"),
]


@pytest.mark.parametrize(("call", "blocked_on", "fix"), WAITS, ids=[call.__name__ for call, *_ in WAITS])
def test_it_says_what_a_task_waits_for(call: Call, blocked_on: str, fix: str) -> None:
    """The operation is named as its user wrote it, with its object, and followed by what to do about it."""
    leak = leak_of(call)
    assert (leak.blocked_on or "").startswith(blocked_on)
    assert fix in leak.fix


def test_a_lock_is_called_what_its_user_calls_it() -> None:
    """Trio's locks share a private class; the report names the public one."""

    async def main() -> str | None:
        before = FINDER.baseline()
        lock = trio.Lock()
        async with lock, trio.open_nursery() as nursery:
            nursery.start_soon(lock.acquire)
            await trio.testing.wait_all_tasks_blocked()
            [straggler] = FINDER.stragglers(before)
            blocked_on = straggler.leak(0).blocked_on
            nursery.cancel_scope.cancel()
        return blocked_on

    assert (trio.run(main) or "").startswith("trio.Lock.acquire() on <trio.Lock at 0x")


@pytest.mark.parametrize(("call", "open_ends"), [(receive, 2), (send, 1), (receive_from_penstock, 1)])
def test_it_counts_the_other_ends(call: Call, open_ends: int) -> None:
    """Of channels it tells how many ends are open from where the task could still be woken."""
    assert leak_of(call).open_ends == open_ends


def test_a_penstock_channel_says_where_it_was_made() -> None:
    """Penstock's own objects remember where they were made, so that is told without any tracing."""
    assert (leak_of(receive_from_penstock).created_at or "").endswith(" in receive_from_penstock")


def test_the_stack_is_the_users_without_the_traps_of_trio() -> None:
    """The stack goes from the task to the operation it waits in; how trio suspends a task is no news."""
    leak = leak_of(sleep)
    functions = look_at(sleep, lambda straggler: list(straggler.functions()))
    assert [place.rpartition(" in ")[2] for place in leak.stack] == ["sleep", "sleep", "sleep_until", "sleep_forever"]
    assert functions == [
        "trio._timeouts.sleep_forever",
        "trio._timeouts.sleep_until",
        "trio._timeouts.sleep",
        f"{__name__}.sleep",
    ]


def test_a_task_about_to_run_waits_for_nothing() -> None:
    """A task that has its turn coming is not said to wait."""

    async def main() -> Leak:
        before = FINDER.baseline()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_event)
            [straggler] = FINDER.stragglers(before)
            nursery.cancel_scope.cancel()
            return straggler.leak(0)

    leak = trio.run(main)
    assert leak.blocked_on is None
    assert "cancel_scope" in leak.fix


def test_tasks_there_before_and_the_ancestry_of_the_one_that_asks_are_not_found() -> None:
    """What is found was started since the snapshot, and is neither the task that asks nor waits for it in a nursery."""

    async def ask(before: Any, names: set[str]) -> None:
        names.update(found_names(before))

    async def lead(before: Any, names: set[str]) -> None:
        async with trio.open_nursery() as inner:
            inner.start_soon(ask, before, names, name="asking")

    async def main() -> set[str]:
        names: set[str] = set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleep, name="old")
            await trio.testing.wait_all_tasks_blocked()
            before = FINDER.baseline()
            nursery.start_soon(sleep, name="fresh")
            nursery.start_soon(lead, before, names, name="leading")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return names

    assert trio.run(main) == {"fresh"}


def test_children_of_children_are_found() -> None:
    """A task in a nursery of a task that was there before is found."""

    async def main() -> set[str]:
        async with trio.open_nursery() as outer:
            inner: trio.Nursery = await outer.start(hold_nursery)
            before = FINDER.baseline()
            inner.start_soon(sleep, name="child")
            names = found_names(before)
            outer.cancel_scope.cancel()
        return names

    assert trio.run(main) == {"child"}


async def hold_nursery(task_status: trio.TaskStatus[trio.Nursery]) -> None:
    async with trio.open_nursery() as nursery:
        task_status.started(nursery)
        await trio.sleep_forever()


def test_system_tasks_of_users_are_found_and_those_of_trio_are_not() -> None:
    """Without a snapshot, a system task that somebody has spawned is found, and trio's own are not."""

    async def main() -> set[str]:
        trio.lowlevel.spawn_system_task(wait_for_event, name="system")
        await trio.testing.wait_all_tasks_blocked()
        return found_names(None)

    assert trio.run(main) == {"system"}


def test_outside_a_run_nothing_is_found() -> None:
    """A check outside trio finds nothing, also while trio runs in another thread, where its tasks cannot be seen."""
    running, done = threading.Event(), threading.Event()

    async def main() -> None:
        running.set()
        await trio.to_thread.run_sync(done.wait)

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    running.wait()
    found = (FINDER.stragglers(None), list(FINDER.baseline()), in_trio())
    done.set()
    thread.join()
    assert found == ([], [], False)


def test_a_snapshot_from_outside_the_run_is_of_no_tasks() -> None:
    """A check in trio with a snapshot that was taken before the run began finds all but its own task."""
    before = FINDER.baseline()

    async def main() -> set[str]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleep, name="child")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            return found_names(before)

    assert trio.run(main) == {"child"}


def test_nothing_is_proven_of_trio_tasks() -> None:
    """Trio's run reaches every task and can cancel it, so what a task awaits is not even asked for."""
    assert look_at(wait_for_event, lambda straggler: straggler.awaited()) is None
    assert look_at(wait_for_event, lambda straggler: straggler.certain()) is None


def test_a_service_that_waits_for_work_is_excused() -> None:
    """What waits for work that a module's global can bring is a service; trio's own globals bring none."""

    def excuses(straggler: TrioTaskStraggler) -> list[str | None]:
        modules = ("app.inbox", "trio._core._run.GLOBAL_RUN_CONTEXT")
        return [straggler.serves(Verdict(False, "", held_by_module=module)) for module in modules]

    assert look_at(receive, excuses) == ["it waits for work on what app.inbox can reach", None]
    assert look_at(sleep, excuses) == [None, None]


def test_a_check_lets_tasks_end_and_names_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check in a trio task waits in the run, so that tasks may end, and reports one that does not."""
    monkeypatch.setattr("penstock.leaks._check.FINDERS", (FINDER,))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            async with leakcheck(grace=_LONG_SECONDS):
                nursery.start_soon(trio.sleep, 0.01)
            with pytest.raises(LeakError, match="task 'forgotten'"):
                async with leakcheck(grace=0.02):
                    nursery.start_soon(sleep, name="forgotten")
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_a_pause_is_trios() -> None:
    """A pause in trio lets trio's clock pass, and others run."""

    async def main() -> float:
        began = trio.current_time()
        await pause_in_loop(_LONG_SECONDS)
        return trio.current_time() - began

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == pytest.approx(_LONG_SECONDS)
