"""Run a program to its end and find what it leaves behind: what ``penstock leaks`` does.

When the main module has ended, the interpreter would call the exit functions of ``threading``, join every non-daemon
thread, call the functions registered with ``atexit`` and flush the standard streams. All of that is done here too,
before the check, because what is cleaned up at exit has not leaked. But where the interpreter would wait for ever, for
a thread that nothing wakes any more, the waiting is given up: such a thread is what the check is looking for.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from time import monotonic, sleep

from penstock.core._parking import ThreadWaiter, wait_for
from penstock.leaks._check import GRACE_SECONDS, Snapshot, find_leaks, snapshot
from penstock.leaks._defaults import ALWAYS_IGNORED, DEFAULT_IGNORES
from penstock.leaks._faces.program import Program, show_exception
from penstock.leaks._finders.threads import ThreadFinder, ThreadStraggler
from penstock.leaks._ignore import Ignore, ignored
from penstock.leaks._noting.imports import noting_imports
from penstock.leaks._noting.origins import trace_starts
from penstock.leaks._report.model import LeakReport

__all__ = ["CANNOT_WRITE", "ScriptEnd", "run_program"]

CANNOT_WRITE = 120
"""The exit code of ``python`` itself when standard output could not be flushed."""

_STANDSTILL_SECONDS = 0.25
_TELL_AFTER_SECONDS = 2.0
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05

_OURS = Ignore(kind="thread", any_function="penstock.leaks._faces.script.*", reason="helps to end the script")

Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class ScriptEnd:
    """How a program ended.

    Attributes:
        exit_code: the exit code it would have had under ``python``.
        report: what it left behind; None in a child process that it has forked, which ends here too but is not checked.
    """

    exit_code: int
    report: LeakReport | None


def run_program(
    program: Program,
    *,
    ignore: Iterable[Ignore] = (),
    grace: float = GRACE_SECONDS,
    strict: bool = False,
    trace: bool = True,
    tell: Tell = lambda _message: None,
) -> ScriptEnd:
    """Run ``program`` as ``__main__`` in this process, do what the interpreter does at its end, and check.

    Call it once, in the main thread of a process that ends soon after. Blocks until the program has ended, its
    non-daemon threads have ended or are stuck for good, and its exit functions have returned. Ctrl-C ends this waiting.

    Args:
        program: the program.
        ignore: rules made by :func:`penstock.leaks.ignore`, in addition to the built-in ones.
        grace: seconds to wait for things that are still on their way out.
        strict: also report what will probably end by itself; see :func:`find_leaks`.
        trace: record the whole stack where a thread is started, or a queue and the like is made.
        tell: called with a sentence if there is something to wait for although the program has ended.

    Raises:
        ConfigurationError: there is no such program.
    """
    program.check()
    process = os.getpid()
    with trace_starts() if trace else nullcontext(), noting_imports():
        since = snapshot()
        code = program.run()
        _end_threads(tell)
        _call_exit_functions(tell)
        gc.collect()  # garbage goes at interpreter exit as well
        written = _flush()
        if os.getpid() != process:
            return ScriptEnd(code or (0 if written else CANNOT_WRITE), None)
        report = _check(since, (*ignore, _OURS), grace, strict=strict)
    return ScriptEnd(code or (0 if written else CANNOT_WRITE), report)


# -- the end, as the interpreter does it


def _end_threads(tell: Tell) -> None:
    """Wait for non-daemon threads, as long as one of them can still do anything."""
    exit_calls = list(reversed(getattr(threading, "_threading_atexits", ())))
    # In a thread of its own: the one of concurrent.futures joins workers, some of which may never end.
    helper = threading.Thread(target=_call_all, args=(exit_calls,), name="penstock exit calls", daemon=True)
    helper.start()
    _mark_main_thread_as_ended()
    try:
        _wait_for_threads(helper, tell)
    except KeyboardInterrupt:
        return
    except BaseException as error:  # noqa: BLE001  raised by a signal handler of the program; Python ignores it, too
        show_exception(error)


def _call_all(calls: Iterable[Callable[[], object]]) -> None:
    for call in calls:
        call()


def _mark_main_thread_as_ended() -> None:
    """Release threads that join the main thread, as ``threading._shutdown`` does at this point."""
    main = threading.main_thread()
    handle = getattr(main, "_handle", None) or getattr(main, "_os_thread_handle", None)  # since 3.13, since 3.14
    if handle is not None:
        handle._set_done()
    elif getattr(main, "_tstate_lock", None) is not None:
        main._tstate_lock.release()  # type: ignore[attr-defined]
        main._stop()  # type: ignore[attr-defined]


def _wait_for_threads(helper: threading.Thread, tell: Tell) -> None:
    began = still_since = monotonic()
    told = False
    before: dict[object, object] | None = None
    pause = _FIRST_PAUSE
    while left := _waited_for(helper):
        awaited: dict[object, object] = {thread.identity: thread.awaited() for thread in left}
        if before is None or not _same(before, awaited):
            still_since = monotonic()
        elif monotonic() - still_since >= _STANDSTILL_SECONDS:
            return
        if not told and monotonic() - began >= _TELL_AFTER_SECONDS:
            told = True
            names = ", ".join(repr(thread.name) for thread in left if thread.thread is not helper)
            tell(f"the script has ended; waiting for {names}, as Python would; Ctrl-C stops waiting")
        before = awaited  # holds what is waited for, so that nothing else can get its identity
        del left, awaited
        sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _waited_for(helper: threading.Thread) -> list[ThreadStraggler]:
    """Return the threads that the interpreter would wait for at exit."""
    return [
        straggler
        for straggler in ThreadFinder().stragglers(None)
        if straggler.thread is not None and (straggler.thread is helper or not straggler.thread.daemon)
    ]


def _same(before: dict[object, object], now: dict[object, object]) -> bool:
    """Whether every thread waits, without a timeout, for the very thing it waited for before."""
    return before.keys() == now.keys() and all(now[key] is not None and now[key] is before[key] for key in now)


def _call_exit_functions(tell: Tell) -> None:
    with _telling_if_it_takes_long("an exit function of the script does not return; Ctrl-C skips it", tell):
        atexit._run_exitfuncs()


@contextmanager
def _telling_if_it_takes_long(message: str, tell: Tell) -> Iterator[None]:
    ended = ThreadWaiter()

    def watch() -> None:
        if not wait_for(ended, _TELL_AFTER_SECONDS):
            tell(message)

    watcher = threading.Thread(target=watch, name="penstock exit watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.done = True
        ended.wake()
        watcher.join()


def _flush() -> bool:
    """Flush the standard streams, also those of C; return whether everything could be written."""
    written = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except (OSError, ValueError):
            written = False
    # In a thread of its own: C waits for whoever reads from a stream at the moment, and that may be for ever.
    flusher = threading.Thread(target=_flush_c, name="penstock flush", daemon=True)
    flusher.start()
    flusher.join(_STANDSTILL_SECONDS)
    return written


def _flush_c() -> None:
    try:
        import ctypes

        ctypes.CDLL(None).fflush(None)
    except (ImportError, OSError, AttributeError, TypeError):
        return  # a platform where they cannot be reached like that


# -- the check


def _check(since: Snapshot, ignore: tuple[Ignore, ...], grace: float, *, strict: bool) -> LeakReport:
    """Check. A thread that would keep the process from ending is reported even if a module could still reach it."""
    report = find_leaks(since=since, ignore=ignore, grace=grace, strict=strict)
    reported = {leak.identity for leak in report}
    rules = (*ignore, *(ALWAYS_IGNORED if strict else DEFAULT_IGNORES))
    hanging = {
        straggler.identity
        for straggler in ThreadFinder().stragglers(None)
        if straggler.thread is not None and not straggler.thread.daemon and not ignored(straggler, rules)
    }
    if hanging <= reported:
        return report
    closer = find_leaks(since=since, ignore=rules, grace=0.0, strict=True)
    missed = [
        replace(
            leak, verdict=f"{leak.verdict}; Python would wait for it for ever", waited_seconds=report.waited_seconds
        )
        for leak in closer
        if leak.identity in hanging - reported
    ]
    leaks = sorted((*report, *missed), key=lambda leak: (not leak.proven, leak.kind, leak.name))
    return LeakReport(tuple(leaks), report.waited_seconds)
