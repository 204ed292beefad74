"""Every error penstock raises, in one tree. Imports nothing.

PenstockError
├── ClosedError            this side was closed by its own owner            (also ValueError, as files)
├── BrokenError            the other side is gone; __cause__ says why       (also BrokenPipeError)
│   ├── PipeAbandoned      an end was dropped without close() or abort()
│   └── ForkedError        made before os.fork(), used in the child
├── EndOfChannel           every sender closed and the buffer is empty      (also EOFError)
├── WouldBlock             a *_nowait operation could not finish at once
│   └── WouldDeadlock      waiting here could never end                     (also RuntimeError)
├── DeadlineExceeded       fail_after() or a timeout= ran out               (also TimeoutError)
│   └── StallError         no byte moved for stall_timeout
├── BudgetExceeded         one value is larger than the whole byte budget
├── ConfigurationError     the request makes no sense as written            (also ValueError)
│   └── MissingExtra       an optional package is needed                    (also ImportError)
├── ConnectorError         a system outside failed: .where, .hint, .transient
│   ├── SourceError        ... the one data comes from
│   └── SinkError          ... the one data goes to
│       └── AlreadyExists  the destination is there and if_exists="fail"
├── LeakError              something outlived its scope: .report            (also AssertionError)
└── VerificationError      what arrived is not what was sent

Cancelled (BaseException)  the surrounding CancelScope was cancelled
"""

from __future__ import annotations

__all__ = [
    "AlreadyExists",
    "BrokenError",
    "BudgetExceeded",
    "Cancelled",
    "ClosedError",
    "ConfigurationError",
    "ConnectorError",
    "DeadlineExceeded",
    "EndOfChannel",
    "ForkedError",
    "LeakError",
    "MissingExtra",
    "PenstockError",
    "PipeAbandoned",
    "SinkError",
    "SourceError",
    "StallError",
    "VerificationError",
    "WouldBlock",
    "WouldDeadlock",
]


class PenstockError(Exception):
    """Base of every error penstock raises, except :class:`Cancelled`."""


class ClosedError(PenstockError, ValueError):
    """An operation on an end that its own owner has closed (a ``ValueError``, as on closed files)."""


class BrokenError(PenstockError, BrokenPipeError):
    """The other side is gone, so the operation can never finish.

    ``__cause__`` is the other side's exception where there was one.
    """


class PipeAbandoned(BrokenError):
    """The other end was garbage-collected without ``close()`` or ``abort()``."""


class ForkedError(BrokenError):
    """The object was made before ``os.fork()``; its other users do not exist in this process."""


class EndOfChannel(PenstockError, EOFError):
    """Every sender of a channel has closed and everything sent has been received."""


class WouldBlock(PenstockError):
    """A ``*_nowait`` operation could not finish at once."""


class WouldDeadlock(WouldBlock, RuntimeError):
    """Waiting here could never end: only the waiting thread itself could wake it."""


class DeadlineExceeded(PenstockError, TimeoutError):
    """A deadline ran out.

    ``gathered`` holds what :func:`penstock.gather` had finished by then, else it is None.
    """

    gathered: object = None


class StallError(DeadlineExceeded):
    """No byte moved for ``stall_timeout`` seconds."""


class BudgetExceeded(PenstockError):
    """One value is larger than the whole byte budget; no amount of waiting would make room for it."""


class ConfigurationError(PenstockError, ValueError):
    """The request makes no sense as written: an unknown scheme, two options that exclude each other."""


class MissingExtra(ConfigurationError, ImportError):
    """An optional package is needed; the message is the pip command that installs it."""


class ConnectorError(PenstockError):
    """A system outside this process failed.

    Args:
        message: what went wrong, without secrets.
        where: the address it went wrong at, without secrets.
        hint: what to do about it, one sentence.
        transient: whether trying again may help.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "", transient: bool = False) -> None:
        super().__init__(message)
        self.where = where
        self.hint = hint
        self.transient = transient

    def __str__(self) -> str:
        message = super().__str__()
        if self.where:
            message = f"{self.where}: {message}"
        return f"{message} ({self.hint})" if self.hint else message


class SourceError(ConnectorError):
    """The system data is read from failed (exit code 3)."""


class SinkError(ConnectorError):
    """The system data is written to failed (exit code 4)."""


class AlreadyExists(SinkError):
    """The destination exists and ``if_exists="fail"``."""


class LeakError(PenstockError, AssertionError):
    """Something outlived the block, function or test that made it.

    Attributes:
        report: what it was, a :class:`penstock.leaks.LeakReport`; its text is the message.
    """

    def __init__(self, report: object) -> None:
        super().__init__(str(report))
        self.report = report

    def __reduce__(self) -> tuple[type[LeakError], tuple[object]]:
        return type(self), (self.report,)


class VerificationError(PenstockError):
    """What arrived is not what was sent (exit code 6). For connectors that compare the two; none of Penstock's does."""


class Cancelled(BaseException):
    """The surrounding ``CancelScope`` was cancelled.

    A ``BaseException``, so that ``except Exception`` does not swallow it. Let it pass: the scope that was
    cancelled catches it. ``reason`` is what was given to ``CancelScope.cancel``.
    """

    def __init__(self, reason: object = None) -> None:
        super().__init__(*(() if reason is None else (reason,)))
        self.reason = reason
