"""Penstock: move data of any size through a process in bounded memory, and leave nothing behind.

    with penstock.reading_from(write_rows) as reader:
        upload(reader)

The names below are loaded when first used, so that ``import penstock`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    "ConsumerHandle": "core.pipe",
    "DeadlineExceeded": "errors",
    "EndOfChannel": "errors",
    "ForkedError": "errors",
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
    "reading_from": "core.pipe",
    "select": "core.channel",
    "sleep": "core._parking",
    "writing_to": "core.pipe",
}

__all__ = [*_HOME, "__version__"]  # noqa: PLE0604  every key is a string


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
