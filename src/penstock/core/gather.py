"""``gather``: make several calls at once under one deadline, and keep what finished."""

from __future__ import annotations

import _thread
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal

from penstock.core._threads import OwnedThread, report_stuck
from penstock.core.cancel import CancelScope, check_cancelled
from penstock.errors import Cancelled, DeadlineExceeded

__all__ = ["Gathered", "gather"]

_GRACE_SECONDS = 0.25  # how long a cancelled call may take to end before it is given up


class Gathered:
    """The results of :func:`gather`. Keys are positions (0, 1, ...) or names, depending on how the calls were given.

    Iterating yields the results in call order; ``gathered[key]`` is one of them. Both raise the call's exception if it
    failed, and ``DeadlineExceeded`` if it had not finished.

    Attributes:
        done: results by key, of the calls that returned.
        failed: exceptions by key, of the calls that raised.
    """

    def __init__(self, keys: list[Any]) -> None:
        self._keys = keys
        self.done: dict[Any, Any] = {}
        self.failed: dict[Any, BaseException] = {}

    @property
    def pending(self) -> list[Any]:
        """Keys of the calls that had not finished and were cancelled, in call order."""
        return [key for key in self._keys if key not in self.done and key not in self.failed]

    @property
    def results(self) -> Any:
        """All results: a list in call order, or a dict by name. None stands for a call without a result."""
        if self._keys and isinstance(self._keys[0], str):
            return {key: self.done.get(key) for key in self._keys}
        return [self.done.get(key) for key in self._keys]

    def __getitem__(self, key: Any) -> Any:
        if key in self.done:
            return self.done[key]
        if key in self.failed:
            raise self.failed[key]
        if key in self._keys:
            raise DeadlineExceeded(f"call {key!r} was not finished in time")
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return (self[key] for key in self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<Gathered {len(self.done)} done, {len(self.failed)} failed, {len(self.pending)} pending>"


class _Run:
    """One ``gather``: the calls not started yet, and the outcomes of the others."""

    def __init__(self, calls: dict[Any, Callable[[], Any]], scope: CancelScope, fail_fast: bool) -> None:
        self.gathered = Gathered(list(calls))
        self.waiting = deque(calls.items())
        self.scope = scope
        self.fail_fast = fail_fast
        self.first_failure: BaseException | None = None
        self.over = False
        self._mutex = _thread.allocate_lock()  # nothing is added to the results once gather() has returned them

    def finish(self) -> None:
        """Accept no more results; calls without one stay pending."""
        with self._mutex:
            self.over = True

    def work(self) -> None:
        """Make calls until none is left; every thread runs this."""
        while self.waiting:
            check_cancelled()
            try:
                key, call = self.waiting.popleft()
            except IndexError:
                return  # another thread was faster
            self._make(key, call)

    def _make(self, key: Any, call: Callable[[], Any]) -> None:
        try:
            result = call()
        except Cancelled:
            raise
        except BaseException as exc:  # noqa: BLE001  kept in Gathered.failed, or raised by gather()
            with self._mutex:
                if self.over:
                    return
                self.gathered.failed[key] = exc
                if self.first_failure is None:
                    self.first_failure = exc
            if self.fail_fast:
                self.scope.cancel(exc)
        else:
            with self._mutex:
                if not self.over:
                    self.gathered.done[key] = result


def gather(
    *calls: Callable[[], Any],
    timeout: float | None = None,
    limit: int | None = None,
    on_timeout: Literal["raise", "partial"] = "raise",
    fail_fast: bool = False,
    **named_calls: Callable[[], Any],
) -> Gathered:
    """Make all calls at once, each in a thread of its own, and block until they have ended or time is up.

    Calls that have not finished then are cancelled: waits of penstock's wake at once, other calls if they are under
    :func:`penstock.on_cancel`. A call that does not end within 0.25 s is given up and logged with its stack to
    ``penstock.threads``. Its thread keeps running, because Python cannot stop it, and its result is dropped.

    Args:
        calls: functions without arguments.
        timeout: seconds for all calls together; None for no limit.
        limit: how many calls may run at once; None for all.
        on_timeout: ``"raise"`` to raise when time is up, ``"partial"`` to return what has finished.
        fail_fast: True lets the first exception cancel the other calls and be raised. Otherwise exceptions are kept in
            ``Gathered.failed``.
        named_calls: functions without arguments, given by name instead of by position.

    Returns:
        The results and the exceptions, by position or by name.

    Raises:
        DeadlineExceeded: time is up and ``on_timeout`` is ``"raise"``; its ``gathered`` has what had finished.
        TypeError: calls were given both by position and by name.
        ValueError: ``limit`` is below 1, or ``on_timeout`` is neither of the two.
        Cancelled: the current scope was cancelled.
    """
    if calls and named_calls:
        raise TypeError("give gather() its calls either by position or by name")
    if on_timeout not in ("raise", "partial"):
        raise ValueError(f"on_timeout must be 'raise' or 'partial', not {on_timeout!r}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1 or None, not {limit!r}")
    by_key: dict[Any, Callable[[], Any]] = dict(enumerate(calls)) if calls else dict(named_calls)
    scope = CancelScope(timeout=timeout)
    with scope:
        run = _Run(by_key, scope, fail_fast)
        _run_to_the_end(run, min(len(by_key), limit or len(by_key)))
        if not scope.cancel_called:
            check_cancelled()  # if an outer scope was cancelled, the calls have given up because of it; so do we
    return _outcome(run, timeout, on_timeout)


def _run_to_the_end(run: _Run, thread_count: int) -> None:
    threads = [OwnedThread(run.work, run.scope, f"gather-{number + 1}") for number in range(thread_count)]
    started: list[OwnedThread] = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except BaseException as exc:
        run.scope.cancel(exc)
        raise
    finally:
        grace = _GRACE_SECONDS
        for thread in started:
            if not thread.join(grace):
                report_stuck(thread.thread, _GRACE_SECONDS)
                grace = 0.0
        run.finish()


def _outcome(run: _Run, timeout: float | None, on_timeout: str) -> Gathered:
    gathered = run.gathered
    if run.fail_fast and run.first_failure is not None:
        raise run.first_failure
    if gathered.pending and on_timeout == "raise":
        late = ", ".join(map(repr, gathered.pending))
        error = DeadlineExceeded(f"not done within {timeout:g} s: {late}")
        error.gathered = gathered
        raise error
    return gathered
