"""``leakcheck``: check that a block, or each call of a function, leaves nothing behind."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar, cast

from penstock.errors import LeakError
from penstock.leaks._check import GRACE_SECONDS, Snapshot, find_leaks, find_leaks_async, snapshot
from penstock.leaks._ignore import Ignore
from penstock.leaks._report.model import LeakReport

__all__ = ["leakcheck"]

F = TypeVar("F", bound=Callable[..., Any])


class leakcheck:  # noqa: N801  a block and a decorator, used in lower case like the standard library's own
    """Check that a block, or each call of a function, leaves nothing behind; raise ``LeakError`` if it does.

    Use it as ``with leakcheck():``, as ``async with leakcheck():``, or as ``@leakcheck()`` on functions, plain or
    ``async``. Leaving the block takes well under a millisecond if nothing is left, and blocks for up to ``grace``
    seconds if something is (``async with`` lets the event loop go on). If the block raises, its exception is raised
    unchanged, with a report of what was left as a note.

    Args:
        since: ignore what existed at this snapshot; None means when the block is entered.
        ignore: rules made by :func:`penstock.leaks.ignore`, in addition to the built-in ones.
        grace: seconds to wait for things that are still on their way out.
        strict: also report what will probably end by itself or is a service; see :func:`find_leaks`.

    Raises:
        LeakError: something was left behind; its ``report`` says what.
    """

    def __init__(
        self,
        *,
        since: Snapshot | None = None,
        ignore: Iterable[Ignore] = (),
        grace: float = GRACE_SECONDS,
        strict: bool = False,
    ) -> None:
        self._since = since
        self._how: dict[str, Any] = {"ignore": tuple(ignore), "grace": grace, "strict": strict}
        self._entered: list[Snapshot] = []

    def __enter__(self) -> leakcheck:
        self._entered.append(self._since if self._since is not None else snapshot())
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _judge(find_leaks(since=self._entered.pop(), **self._how), exc)

    async def __aenter__(self) -> leakcheck:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _judge(await find_leaks_async(since=self._entered.pop(), **self._how), exc)

    def __call__(self, function: F) -> F:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def checked_async(*args: Any, **kwargs: Any) -> Any:
                async with leakcheck(since=self._since, **self._how):
                    return await function(*args, **kwargs)

            return cast(F, checked_async)

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            with leakcheck(since=self._since, **self._how):
                return function(*args, **kwargs)

        return cast(F, checked)


def _judge(report: LeakReport, exc: BaseException | None) -> None:
    if report and exc is None:
        raise LeakError(report)
    if report and exc is not None:
        exc.add_note(f"and it left something behind:\n{report}")
