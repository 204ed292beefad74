"""Cancel scopes and deadlines: tell work to stop, and why. Trio's model, for threads and tasks alike.

The modules: ``_scope`` has the scopes, ``_alarm`` makes a deadline fire when no wait of ours would notice it,
``_on_cancel`` interrupts calls that are not penstock's, ``_sleep`` is the simplest wait.
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
