"""Penstock: move data of any size through a process in bounded memory, and leave nothing behind.

Copy a table, query or file in one call::

    penstock.copy("postgresql:///shop", "s3://bucket/orders.csv.gz", table="orders")

or build on the primitives underneath, such as a bounded pipe between two threads::

    with penstock.reading_from(write_rows) as reader:
        upload(reader)

This module is the public API. Each name is imported from its home module when first used, so ``import penstock``
itself imports nothing else. Leak detection is in :mod:`penstock.leaks`, help for tests in :mod:`penstock.testing`.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # what type checkers know it by; importing typing would be most of the cost of this module

if TYPE_CHECKING:  # what type checkers see of the lazy names; tests/test_front_door.py compares the two
    from penstock.api import copy as copy, plan as plan, preview as preview
    from penstock.copy_options import CopyOptions as CopyOptions
    from penstock.core.budget import Budget as Budget
    from penstock.core.cancel import (
        CancelScope as CancelScope,
        check_cancelled as check_cancelled,
        current_deadline as current_deadline,
        fail_after as fail_after,
        move_on_after as move_on_after,
        on_cancel as on_cancel,
        sleep as sleep,
    )
    from penstock.core.channel import (
        ReceiveChannel as ReceiveChannel,
        SendChannel as SendChannel,
        channel as channel,
        select as select,
    )
    from penstock.core.closing import closing_cursor as closing_cursor, draining as draining
    from penstock.core.gather import Gathered as Gathered, gather as gather
    from penstock.core.pipe import (
        ConsumerHandle as ConsumerHandle,
        PipePair as PipePair,
        PipeReader as PipeReader,
        PipeWriter as PipeWriter,
        pipe as pipe,
        reading_from as reading_from,
        writing_to as writing_to,
    )
    from penstock.core.pool import WorkerPool as WorkerPool
    from penstock.core.taskgroup import TaskGroup as TaskGroup
    from penstock.errors import (
        AlreadyExists as AlreadyExists,
        BrokenError as BrokenError,
        BudgetExceeded as BudgetExceeded,
        Cancelled as Cancelled,
        ClosedError as ClosedError,
        ConfigurationError as ConfigurationError,
        ConnectorError as ConnectorError,
        DeadlineExceeded as DeadlineExceeded,
        EndOfChannel as EndOfChannel,
        ForkedError as ForkedError,
        LeakError as LeakError,
        MissingExtra as MissingExtra,
        PenstockError as PenstockError,
        PipeAbandoned as PipeAbandoned,
        SinkError as SinkError,
        SourceError as SourceError,
        StallError as StallError,
        VerificationError as VerificationError,
        WouldBlock as WouldBlock,
        WouldDeadlock as WouldDeadlock,
    )
    from penstock.flows import Flow as Flow, read as read
    from penstock.report import Report as Report

__version__ = "0.1.0"

_HOME = {
    "AlreadyExists": "errors",
    "BrokenError": "errors",
    "Budget": "core.budget",
    "BudgetExceeded": "errors",
    "CancelScope": "core.cancel",
    "Cancelled": "errors",
    "ClosedError": "errors",
    "ConfigurationError": "errors",
    "ConnectorError": "errors",
    "CopyOptions": "copy_options",
    "ConsumerHandle": "core.pipe",
    "DeadlineExceeded": "errors",
    "EndOfChannel": "errors",
    "Flow": "flows",
    "ForkedError": "errors",
    "LeakError": "errors",
    "Gathered": "core.gather",
    "MissingExtra": "errors",
    "PenstockError": "errors",
    "PipeAbandoned": "errors",
    "PipePair": "core.pipe",
    "PipeReader": "core.pipe",
    "PipeWriter": "core.pipe",
    "ReceiveChannel": "core.channel",
    "Report": "report",
    "SendChannel": "core.channel",
    "SinkError": "errors",
    "SourceError": "errors",
    "StallError": "errors",
    "TaskGroup": "core.taskgroup",
    "VerificationError": "errors",
    "WorkerPool": "core.pool",
    "WouldBlock": "errors",
    "WouldDeadlock": "errors",
    "channel": "core.channel",
    "check_cancelled": "core.cancel",
    "closing_cursor": "core.closing",
    "copy": "api",
    "current_deadline": "core.cancel",
    "draining": "core.closing",
    "fail_after": "core.cancel",
    "gather": "core.gather",
    "move_on_after": "core.cancel",
    "on_cancel": "core.cancel",
    "pipe": "core.pipe",
    "plan": "api",
    "preview": "api",
    "read": "flows",
    "reading_from": "core.pipe",
    "select": "core.channel",
    "sleep": "core.cancel",
    "writing_to": "core.pipe",
}

__all__ = [*_HOME, "__version__"]  # noqa: PLE0604  every key is a string


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
