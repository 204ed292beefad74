"""Find what outlived its scope, from the outside, and prove of threads and tasks that they will never wake.

goleak for Python. It asks nothing of the code it watches and needs the standard library only::

    from penstock.leaks import leakcheck

    with leakcheck():
        code_that_must_leave_nothing_behind()

What is reported is either *proven*, as nothing in the process can reach what a thread or task waits on, or
*suspected*. ``docs/leaks.md`` has the argument, the rules and the limits.
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
