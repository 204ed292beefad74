"""Open files, pipes and sockets: what they are, whose they are, and which of them are in order."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
import os
import select
import selectors
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar

import pytest

from penstock.leaks._finders.descriptors import DescriptorFinder
from penstock.leaks._finders.processes import ProcessFinder
from tests.core.subprocesses import run_python
from tests.leaks.finding import Look

KEPT: list[Any] = []


class Registry:
    """Keeps what it is given, in the class."""

    files: ClassVar[list[Any]] = []


@pytest.fixture
def look() -> Look:
    return Look(DescriptorFinder())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "rows.txt"
    file.write_text("1\n2\n")
    return file


@contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket, socket.socket]]:
    """A listening socket, and both ends of a connection to it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with socket.create_connection(listening.getsockname()) as client:
            with listening.accept()[0] as server:
                yield listening, client, server


def lines_of(path: Path) -> Iterator[str]:
    with path.open() as file:
        yield from file


# -- what is found, and what is said of it


def test_an_open_file_is_reported_with_its_path_and_the_variable_that_holds_it(look: Look, path: Path) -> None:
    """A leaked file says which it is, who holds it, and how to close it."""
    with path.open() as handle:
        leak = look.leak()
        assert (leak.kind, leak.name) == ("fd", str(path))
        (holder,) = leak.holders
        assert holder.startswith("local 'handle' of test_an_open_file_is_reported")
        assert f" at {__file__}:" in holder
        assert "with open(...) as file:" in leak.fix
        assert handle.readline() == "1\n"
    assert look.leaks() == []


def test_what_was_open_before_is_passed_over(path: Path) -> None:
    """Only what was opened since the snapshot is reported."""
    with path.open():
        assert Look(DescriptorFinder()).leaks() == []


def test_a_number_that_was_closed_and_given_out_anew_is_noticed(path: Path, tmp_path: Path) -> None:
    """A descriptor is known by what is behind it: the same number may be another file."""
    first = os.open(path, os.O_RDONLY)
    look = Look(DescriptorFinder())
    os.close(first)
    second = os.open(tmp_path, os.O_RDONLY)
    try:
        assert second == first
        assert look.leak().name == str(tmp_path)
    finally:
        os.close(second)


def test_a_file_that_was_renamed_or_deleted_is_the_same_file(path: Path) -> None:
    """A log file that is rotated while it is open has not been opened anew."""
    with path.open():
        look = Look(DescriptorFinder())
        path.rename(path.with_suffix(".1"))
        assert look.leaks() == []
        path.with_suffix(".1").unlink()
        assert look.leaks() == []


def test_a_descriptor_without_an_object_says_where_it_was_opened(look: Look, path: Path) -> None:
    """What os.open() returns is a number that tells nothing; the line that called it was noted."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        leak = look.leak()
        assert leak.name == str(path)
        assert leak.started_at is not None
        assert leak.started_at.endswith("in test_a_descriptor_without_an_object_says_where_it_was_opened")
        assert "os.close()" in leak.fix
        assert look.stragglers()[0].created_by() == f"{__name__}.{leak.started_at.rpartition(' ')[2]}"
    finally:
        os.close(descriptor)


def test_both_ends_of_a_pipe_are_told_apart(look: Look) -> None:
    """Of os.pipe() each end is reported as what it is."""
    ends = os.pipe()
    try:
        assert look.names() == ["pipe, read end", "pipe, write end"]
    finally:
        for end in ends:
            os.close(end)


def test_a_temporary_file_has_a_remedy_of_its_own(look: Look) -> None:
    """The wrapper of tempfile is recognised behind the file."""
    with tempfile.NamedTemporaryFile() as file:
        leak = look.leak()
        assert leak.name == file.name
        assert "NamedTemporaryFile" in leak.fix


def test_an_open_folder_may_be_a_loop_over_its_entries(look: Look, tmp_path: Path) -> None:
    """A loop over os.scandir() that was left early keeps a descriptor which no object shows."""
    (tmp_path / "a").touch()
    entries = os.scandir(tmp_path)
    next(entries)
    leak = look.leak()
    assert leak.name == str(tmp_path)
    assert "os.scandir" in leak.fix
    entries.close()
    assert look.leaks() == []


def test_sockets_are_named_by_their_addresses(look: Look) -> None:
    """Listening and connected sockets say where, and where they were made."""
    with tcp_pair() as (listening, client, server):
        mine, theirs = (f"127.0.0.1:{end.getsockname()[1]}" for end in (listening, client))
        leaks = {leak.name: leak for leak in look.leaks()}
        assert set(leaks) == {
            f"listening on tcp {mine}",
            f"tcp {theirs} -> {mine}",
            f"tcp {mine} -> {theirs}",
        }
        assert {leak.kind for leak in leaks.values()} == {"socket"}
        for leak in leaks.values():
            assert leak.started_at is not None
            assert leak.started_at.endswith("in tcp_pair")
        assert "create_server" in leaks[f"listening on tcp {mine}"].fix
        assert {straggler.created_by() for straggler in look.stragglers()} == {f"{__name__}.tcp_pair"}
        assert server.fileno() > 0
    assert look.leaks() == []


def test_sockets_of_other_families_have_names(look: Look, tmp_path: Path) -> None:
    """Unix sockets have paths or none, UDP has one side, IPv6 has brackets, and a new socket has nothing."""
    with ExitStack() as stack:
        for end in socket.socketpair():
            stack.enter_context(end)
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(tmp_path / "s"))
        udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        stack.enter_context(socket.socket())
        names = look.names()
        assert names.count("unix socket pair") == 2
        assert f"unix socket {tmp_path}/s" in names
        assert f"udp 127.0.0.1:{udp.getsockname()[1]}, not connected" in names
        assert "tcp socket, not connected" in names


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_addresses_of_ipv6_stand_in_brackets(look: Look) -> None:
    """host:port would not be readable with colons in the host."""
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as exc:
        pytest.skip(f"no IPv6 loopback here: {exc}")
    with listening:
        assert look.names() == [f"listening on tcp [::1]:{listening.getsockname()[1]}"]


def test_the_place_of_a_file_is_known_while_allocations_are_traced(look: Look, path: Path) -> None:
    """Where a file was opened is not noted, but tracemalloc knows if it is on."""
    if tracemalloc.is_tracing():
        pytest.skip("allocations are traced already")
    tracemalloc.start(5)  # calls, of which the innermost is in pathlib
    try:
        with path.open():
            started_at = look.leak().started_at
    finally:
        tracemalloc.stop()
    assert started_at is not None
    assert started_at.startswith(f"{__file__}:")


# -- who holds it


def test_a_suspended_generator_is_named_as_the_holder(look: Look, path: Path) -> None:
    """The file of a generator that was not read to its end is closed with the generator."""
    lines = lines_of(path)
    next(lines)
    leak = look.leak()
    assert any(holder.startswith("suspended generator lines_of() at") for holder in leak.holders), leak.holders
    assert any(holder.endswith("close() it") for holder in leak.holders)
    lines.close()
    assert look.leaks() == []


def test_a_traceback_is_named_as_the_holder(look: Look, path: Path) -> None:
    """An exception that is kept keeps the variables of the functions it went through."""

    def fail() -> None:
        file = path.open()
        raise ValueError(file.name)

    with pytest.raises(ValueError, match=r"rows\.txt") as caught:
        fail()
    leak = look.leak()
    assert any("a traceback, through" in holder and "fail()" in holder for holder in leak.holders), leak.holders
    file = caught.tb.tb_next.tb_frame.f_locals["file"] if caught.tb.tb_next else None
    assert file is not None
    file.close()


def test_the_function_of_another_thread_is_named_as_the_holder(look: Look, path: Path) -> None:
    """A variable of a function that runs in another thread is named with the thread."""
    opened, done = threading.Event(), threading.Event()

    def hold() -> None:
        with path.open() as held:
            opened.set()
            done.wait()
            held.readline()

    thread = threading.Thread(target=hold, name="holder", daemon=True)
    thread.start()
    opened.wait()
    holder = look.leak().holders[0]
    done.set()
    thread.join()
    assert holder.startswith("local 'held' of test_the_function_of_another_thread")
    assert holder.endswith("(thread 'holder')")
    assert look.leaks() == []


def test_a_block_without_a_variable_is_named_as_the_holder(look: Look, path: Path) -> None:
    """What only a ``with`` statement or a loop holds is in no variable."""
    with path.open():
        leak = look.leak()
    if not Path("/proc/self/mem").exists():
        pytest.skip("the stacks of functions that run cannot be read here")
    (holder,) = leak.holders
    assert holder.startswith("a `with`, loop or call of test_a_block_without_a_variable")


# -- what is in order


def test_what_a_module_or_a_class_holds_is_in_order(look: Look, path: Path) -> None:
    """A file or socket that a module global or a class attribute reaches can still be used by anybody."""
    KEPT.append({"file": path.open()})
    Registry.files.append(socket.socket())
    try:
        assert len(look.stragglers()) == 2
        assert look.leaks() == []
    finally:
        KEPT.pop()["file"].close()
        Registry.files.pop().close()


def test_what_only_garbage_holds_is_about_to_be_closed(look: Look, path: Path) -> None:
    """A file in a cycle that nobody can reach is closed by the garbage collector, which a check gives its chance."""
    gc.disable()
    try:
        cycle: list[Any] = [path.open()]
        cycle.append(cycle)
        del cycle
        assert len(look.stragglers()) == 1
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert look.leaks() == []
        assert any(issubclass(warning.category, ResourceWarning) for warning in caught)
        assert look.stragglers() == []
    finally:
        gc.enable()


def test_what_a_frozen_module_holds_is_in_order() -> None:
    """After gc.freeze(), as servers do that fork, nobody can see who holds what; then nothing is claimed."""
    done = run_python(
        """
        import gc, socket
        from penstock.leaks._finders.descriptors import DescriptorFinder
        KEPT = []
        since = DescriptorFinder().baseline()
        gc.freeze()
        KEPT.append(socket.socket())
        (straggler,) = DescriptorFinder().stragglers(since)
        print(straggler.serves())
        """
    )
    assert done.stdout.startswith("too much refers to it, or some of the heap is frozen"), done.stderr


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll here")
def test_kernel_objects_without_an_owner_are_in_order(look: Look) -> None:
    """An epoll that no selector or loop owns belongs to a library; with an owner it is reported."""
    with select.epoll():
        assert look.leaks() == []
    with selectors.EpollSelector():
        leak = look.leak()
        assert leak.name == "epoll"
        assert "selector" in leak.fix


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.socket(socket.AF_INET, socket.SOCK_STREAM, 0),
        lambda c: c.open(os.devnull.encode(), os.O_RDONLY),
    ],
    ids=["socket", "file"],
)
def test_what_only_c_has_opened_is_in_order(call: Callable[[Any], int], look: Look) -> None:
    """Libraries in C look after their descriptors themselves, connections in pools of their own."""
    descriptor = call(ctypes.CDLL(None))
    try:
        assert len(look.stragglers()) == 1
        assert look.leaks() == []
    finally:
        os.close(descriptor)


def test_a_standard_stream_that_is_turned_elsewhere_is_in_order(look: Look, path: Path) -> None:
    """What captures output puts another file in the place of the standard streams for a time."""
    saved = os.dup(2)
    try:
        with path.open("w") as file:
            os.dup2(file.fileno(), 2)
            found = [straggler.identity for straggler in look.stragglers()]
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    assert len(found) == 2  # the file, and what was saved
    assert look.leaks() == []


def test_a_socket_that_python_code_has_duplicated_is_reported(look: Look) -> None:
    """The copy that os.dup() makes is the caller's to close, though no object owns it."""
    with socket.socket() as original:
        copy = os.dup(original.fileno())
    try:
        leak = look.leak()
        assert leak.kind == "socket"
        assert leak.started_at is not None
        assert "socket.socket(fileno=descriptor)" in leak.fix
    finally:
        os.close(copy)


def test_a_detached_socket_is_reported(look: Look) -> None:
    """detach() makes a number of a socket, and closing it the caller's duty."""
    descriptor = socket.socket().detach()
    try:
        assert look.leak().started_at is not None
    finally:
        os.close(descriptor)


def test_noting_where_descriptors_are_opened_takes_no_ability_from_os() -> None:
    """What os.open() can do is looked up by the function itself: shutil deletes trees safely if it can enough."""
    look = Look(DescriptorFinder())
    assert os.open in os.supports_dir_fd
    assert shutil.rmtree.avoids_symlink_attacks
    assert look.leaks() == []


def test_without_a_snapshot_descriptors_count_from_the_import() -> None:
    """What was open when penstock.leaks was imported is the base of a check without a snapshot."""
    done = run_python(
        """
        import os
        before = os.open(os.devnull, os.O_RDONLY)
        from penstock.leaks._finders.descriptors import DescriptorFinder
        after = os.open(os.devnull, os.O_RDONLY)
        (straggler,) = DescriptorFinder().stragglers(None)
        print(straggler.identity[1] == after, straggler.serves(), "os.open()" in straggler.leak(0.0).fix)
        """
    )
    assert done.stdout == "True None True\n", done.stderr


def test_a_descriptor_that_is_closed_while_it_is_looked_at_does_no_harm(look: Look, path: Path) -> None:
    """Between finding a descriptor and describing it anything may happen to it."""
    file = path.open()
    named, described = look.stragglers() + look.stragglers()
    file.close()
    assert named.name.endswith("closed meanwhile")
    assert described.serves() == "it has been closed meanwhile"
    assert described.leak(0.0).fix == ""


# -- event loops


def test_an_event_loop_that_was_not_closed_is_one_leak(look: Look) -> None:
    """A loop has three descriptors, and is one mistake."""
    loop = asyncio.new_event_loop()
    try:
        assert len(look.stragglers()) == 3
        leak = look.leak()
        assert (leak.kind, leak.name) == ("fd", "event loop")
        assert "close the event loop" in leak.fix
        assert any("local 'loop'" in holder for holder in leak.holders)
    finally:
        loop.close()
    assert look.leaks() == []


def test_an_event_loop_that_runs_or_that_a_module_holds_is_in_order(look: Look) -> None:
    """The descriptors of a running loop are its own; an idle loop in a module global will run again."""

    async def leaks_inside() -> list[Any]:
        return look.leaks()

    assert asyncio.run(leaks_inside()) == []
    loop = asyncio.new_event_loop()
    KEPT.append(loop)
    try:
        assert look.leaks() == []
    finally:
        KEPT.clear()
        loop.close()


def test_a_connection_of_a_running_loop_is_to_be_closed_by_its_writer(look: Look) -> None:
    """A StreamWriter that was not closed is reported once, with the remedy of asyncio."""

    async def main() -> list[Any]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            _, writer = await asyncio.open_connection(*listening.getsockname())
            leaks = [leak for leak in look.leaks() if leak.name.startswith("tcp")]
            writer.close()
            await writer.wait_closed()
        return leaks

    (leak,) = asyncio.run(main())
    assert "writer.close()" in leak.fix
    assert look.leaks() == []


def test_trio_closes_its_own(look: Look) -> None:
    """The wakeup sockets of trio are closed at the end of its run."""
    trio = pytest.importorskip("trio", reason="trio is not installed")

    async def main() -> list[Any]:
        return look.leaks()

    assert trio.run(main) == []
    assert look.leaks() == []


def test_uvloop_closes_its_own(look: Look) -> None:
    """A loop of another make owns its descriptors as well, though it shows nothing of its inside."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def main() -> list[Any]:
        assert look.stragglers() != []
        return look.leaks()

    assert uvloop.run(main()) == []
    assert look.leaks() == []


# -- what belongs to something that is reported itself


@contextmanager
def child(**pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], **pipes)
    with process:
        yield process
        process.kill()


def test_pipes_of_a_leaked_process_are_told_of_with_the_process() -> None:
    """A child that nobody waits for and its three pipes are one leak."""
    look = Look(ProcessFinder(), DescriptorFinder())
    with child(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE):
        assert len(look.stragglers()) == 4
        assert [leak.kind for leak in look.leaks()] == ["process"]
    assert look.leaks() == []


def test_pipes_of_a_process_that_was_waited_for_are_reported(look: Look) -> None:
    """wait() ends the child; its pipes stay open until they are closed."""
    process = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    process.wait()
    leak = look.leak()
    assert leak.name == "pipe, read end"
    assert "communicate()" in leak.fix
    stdout: IO[bytes] | None = process.stdout
    assert stdout is not None
    stdout.close()


def test_pipes_of_a_leaked_process_of_multiprocessing_are_told_of_with_it() -> None:
    """The pipes by which parent and child learn of each other's end belong to the child."""
    done = run_python(
        """
        import multiprocessing, time

        def main():
            from penstock.leaks._finders.descriptors import DescriptorFinder
            from penstock.leaks._finders.processes import ProcessFinder

            descriptors, since = DescriptorFinder(), DescriptorFinder().baseline()
            context = multiprocessing.get_context("spawn")
            process = context.Process(target=time.sleep, args=(600,))
            process.start()
            (reported,) = [straggler.leak(0.0) for straggler in ProcessFinder().stragglers(frozenset())]
            for straggler in descriptors.stragglers(since):
                if not straggler.serves() and not straggler.covered_by([reported]):
                    print(straggler.leak(0.0))
            process.kill()
            process.join()

        if __name__ == "__main__":
            main()
        """
    )
    assert done.stdout == "", done.stdout
    assert done.stderr == ""


# -- objects that do not tell what they own


def test_a_sqlite_database_is_known_by_its_file(look: Look, tmp_path: Path) -> None:
    """The descriptors of a SQLite connection are reported with its remedy, and are in order if a module holds it."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("create table item (number integer)")
        leaks = look.leaks()
        assert {Path(leak.name).name for leak in leaks} >= {"a.db", "a.db-wal"}
        assert all("sqlite3.connect" in leak.fix for leak in leaks)
        KEPT.append(connection)
        assert look.leaks() == []
        KEPT.clear()
        # Looking has not opened and closed the file, which would have dropped SQLite's locks on it.
        connection.execute("begin exclusive")
        assert len(look.leaks()) == len(leaks)
        with closing(sqlite3.connect(tmp_path / "a.db", timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("insert into item values (1)")
    assert look.leaks() == []


def test_a_mapped_file_is_known_by_its_map(look: Look, path: Path) -> None:
    """A map keeps a descriptor of its own; it is reported with the remedy of maps."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    leak = look.leak()
    assert leak.name == str(path)
    assert "mmap" in leak.fix
    KEPT.append(mapped)
    assert look.leaks() == []
    KEPT.clear()
    mapped.close()
    assert look.leaks() == []
