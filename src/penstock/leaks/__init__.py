"""Find threads, tasks, processes, sockets and other things that outlived their scope, and prove which never end.

goleak for Python. It requires nothing of the code it watches, and only the standard library::

    from penstock.leaks import leakcheck

    with leakcheck():
        code_that_must_leave_nothing_behind()

A reported thread or task is *proven* to be stuck if nothing in the process can reach what it waits for, so that nothing
can ever wake it. Everything else is *suspected*. ``docs/leaks.md`` has the argument, the rules and the limits.

Also the pytest plugin (``pytest --leakcheck``) and ``penstock leaks script.py`` are built on this package, which itself
stands on ``penstock.core`` alone.
"""

from penstock.errors import LeakError
from penstock.leaks._check import Snapshot, find_leaks, find_leaks_async, snapshot
from penstock.leaks._faces.watch import Sample, Watch, watch
from penstock.leaks._ignore import Ignore, ignore
from penstock.leaks._leakcheck import leakcheck
from penstock.leaks._noting.origins import trace_starts
from penstock.leaks._report.model import Leak, LeakReport

__all__ = [
    "Ignore",
    "Leak",
    "LeakError",
    "LeakReport",
    "Sample",
    "Snapshot",
    "Watch",
    "find_leaks",
    "find_leaks_async",
    "ignore",
    "leakcheck",
    "snapshot",
    "trace_starts",
    "watch",
]
