"""The base class for tasks of asyncio and trio as stragglers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, Literal

from penstock.leaks._finders.task_waits import TaskWait, task_wait_of
from penstock.leaks._looking.awaiting import Step, steps_of
from penstock.leaks._noting.origins import note_of
from penstock.leaks._report.model import Leak
from penstock.leaks._straggler import Parked, Verdict

__all__ = ["TaskStraggler"]

# Whose globals reach every timer and every task, which says nothing of who would bring work.
_LOOP_LIBRARIES = frozenset({"anyio", "asyncio", "trio", "uvloop"})


class TaskStraggler(Parked):
    """A task that is not done."""

    __slots__ = ("_steps", "task")

    kind: Literal["task"] = "task"

    def __init__(self, task: Any) -> None:
        self.task = task
        self._steps: list[Step] | None = None

    @property
    def identity(self) -> Hashable:
        """The task's own."""
        return ("task", id(self.task))

    @abstractmethod
    def coroutine(self) -> Any:
        """Return the coroutine it runs."""

    @abstractmethod
    def is_suspended(self) -> bool:
        """Whether it waits for something, as opposed to running or being about to."""

    @abstractmethod
    def pending_fix(self) -> str:
        """Return what to do about it if it is unknown what it waits for."""

    def parts(self) -> Sequence[object]:
        """Return the task and the coroutines it consists of."""
        return [self.task, *(step.suspended for step in self._in())]

    def functions(self) -> Sequence[str]:
        """Return the functions it is in, innermost first."""
        return [step.function for step in reversed(self._in())]

    def created_by(self) -> str | None:
        """Return the function that made it, if that was noted."""
        note = note_of(self.task)
        return note.place.function if note is not None else None

    def serves(self, verdict: Verdict | None = None) -> str | None:
        """Return the module global by which work still comes to it, if it waits for work."""
        held = verdict.held_by_module if verdict is not None else None
        if held is None or held.partition(".")[0] in _LOOP_LIBRARIES or self.certain() is not None:
            return None
        wait = self._wait()
        return f"it waits for work on what {held} can reach" if wait is not None and wait.serves else None

    def leak(self, waited_seconds: float, verdict: Verdict | None = None) -> Leak:
        """Describe it as a leak."""
        verdict = self.certain() or verdict
        note = note_of(self.task)
        wait = self._wait()
        return Leak(
            kind="task",
            name=self.name,
            fix=wait.fix if wait is not None and self.certain() is None else self.pending_fix(),
            proven=verdict is not None and verdict.proven,
            verdict=verdict.reason if verdict is not None else "",
            started_at=str(note.place) if note is not None else None,
            start_stack=tuple(map(str, note.stack)) if note is not None else (),
            blocked_on=wait.on if wait is not None else None,
            created_at=wait.created_at if wait is not None else None,
            holders=verdict.holders if verdict is not None else (),
            open_ends=wait.open_ends if wait is not None else None,
            stack=tuple(step.place for step in self._in()),
            waited_seconds=waited_seconds,
            scope=note.scope if note is not None else None,
            identity=self.identity,
        )

    def _in(self) -> list[Step]:
        if self._steps is None:
            self._steps = steps_of(self.coroutine())
        return self._steps

    def _wait(self) -> TaskWait | None:
        return task_wait_of(self._in(), self.awaited()) if self.is_suspended() else None
