"""Every error penstock raises, in one tree. The lowest layer: imports nothing.

PenstockError
├── ClosedError            used after its own close()                       (also ValueError, as with files)
├── BrokenError            the other side is gone; __cause__ says why       (also BrokenPipeError)
│   ├── PipeAbandoned      an end was dropped without close() or abort()
│   └── ForkedError        made before os.fork(), used in the child
├── EndOfChannel           every sender closed and the buffer is empty      (also EOFError)
├── WouldBlock             a *_nowait operation could not finish at once
│   └── WouldDeadlock      this wait could never end                        (also RuntimeError)
├── DeadlineExceeded       fail_after() or a timeout= ran out               (also TimeoutError)
│   └── StallError         no byte moved for stall_timeout
├── BudgetExceeded         one value is larger than the whole byte budget
├── ConfigurationError     the request makes no sense as written            (also ValueError)
│   └── MissingExtra       an optional package is needed                    (also ImportError)
├── ConnectorError         a system outside failed: .where, .hint, .transient
│   ├── SourceError        ... the one that data is read from
│   └── SinkError          ... the one that data is written to
│       └── AlreadyExists  the destination exists and if_exists="fail"
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
    """The base class of every error penstock raises, except :class:`Cancelled`."""


class ClosedError(PenstockError, ValueError):
    """An end of a pipe or channel was used after its own ``close()`` (a ``ValueError``, as with closed files)."""


class BrokenError(PenstockError, BrokenPipeError):
    """The other side of a pipe or channel is gone, so the operation can never finish.

    ``__cause__`` is the exception that ended the other side, if there was one.
    """


class PipeAbandoned(BrokenError):
    """The other end was garbage-collected without ``close()`` or ``abort()``."""


class ForkedError(BrokenError):
    """The object was made before ``os.fork()``; the threads that used it do not exist in this process."""


class EndOfChannel(PenstockError, EOFError):
    """The end of the data: every sender has closed, and everything that was sent has been received."""


class WouldBlock(PenstockError):
    """A ``*_nowait`` operation could not finish at once."""


class WouldDeadlock(WouldBlock, RuntimeError):
    """Waiting here could never end, because only the waiting thread itself could end it."""


class DeadlineExceeded(PenstockError, TimeoutError):
    """A deadline passed, or a ``timeout=`` ran out.

    Attributes:
        gathered: the :class:`penstock.Gathered` with what had finished by then, if :func:`penstock.gather` raised
            this; else None.
    """

    gathered: object = None


class StallError(DeadlineExceeded):
    """No byte moved between the stages of a copy for ``stall_timeout`` seconds."""


class BudgetExceeded(PenstockError):
    """One value is larger than the whole byte budget; no amount of waiting would make room for it."""


class ConfigurationError(PenstockError, ValueError):
    """The request makes no sense as written: an unknown scheme, say, or two options that exclude each other."""


class MissingExtra(ConfigurationError, ImportError):
    """An optional package is needed and not installed; the message has the ``pip`` command that installs it."""


class ConnectorError(PenstockError):
    """A system outside this process failed. The arguments are kept as attributes; ``str()`` shows all but the last.

    Args:
        message: what went wrong, without secrets.
        where: the address at which it went wrong, without secrets; ``""`` if unknown.
        hint: what to do about it, in one sentence; ``""`` if there is nothing to suggest.
        transient: whether trying again later may help.
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
    """The system that data is read from failed (exit code 3)."""


class SinkError(ConnectorError):
    """The system that data is written to failed (exit code 4)."""


class AlreadyExists(SinkError):
    """The destination exists already and ``if_exists`` is ``"fail"``."""


class LeakError(PenstockError, AssertionError):
    """Something outlived the block, function or test that made it.

    Attributes:
        report: the :class:`penstock.leaks.LeakReport`; its text is the error's message.
    """

    def __init__(self, report: object) -> None:
        super().__init__(str(report))
        self.report = report

    def __reduce__(self) -> tuple[type[LeakError], tuple[object]]:
        return type(self), (self.report,)


class VerificationError(PenstockError):
    """What arrived is not what was sent (exit code 6). For third-party connectors that compare; none of ours does."""


class Cancelled(BaseException):
    """The surrounding ``CancelScope`` was cancelled.

    A ``BaseException``, so that ``except Exception`` does not swallow it. Let it propagate: the scope that was
    cancelled catches it when its block is left.

    Attributes:
        reason: what was given to ``CancelScope.cancel``; a ``DeadlineExceeded`` after a deadline.
    """

    def __init__(self, reason: object = None) -> None:
        super().__init__(*(() if reason is None else (reason,)))
        self.reason = reason
