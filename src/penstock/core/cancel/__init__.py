"""Why and when to stop: cancel scopes, deadlines, reasons. Trio's words, for threads and tasks alike.

Where what lives: ``_scope`` the scopes, ``_alarm`` deadlines that must fire by themselves, ``_on_cancel`` the way to
interrupt a call that is not penstock's, ``_sleep`` the plainest wait.
"""

from penstock.core.cancel._on_cancel import on_cancel
from penstock.core.cancel._scope import (
    CancelScope,
    _current,
    check_cancelled,
    current_deadline,
    current_scope,
    fail_after,
    leave,
    move_on_after,
    scope_under,
)
from penstock.core.cancel._sleep import sleep

__all__ = [
    "CancelScope",
    "_current",
    "check_cancelled",
    "current_deadline",
    "current_scope",
    "fail_after",
    "leave",
    "move_on_after",
    "on_cancel",
    "scope_under",
    "sleep",
]
