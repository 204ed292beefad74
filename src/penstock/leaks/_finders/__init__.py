"""The finders: one for each family of things that can leak (threads, tasks, processes, descriptors and so on).

Descriptors come last, as some belong to things that another finder has found, and are reported with those.
"""

from __future__ import annotations

from penstock.leaks._finders.descriptors import DescriptorFinder
from penstock.leaks._finders.generators import GeneratorFinder
from penstock.leaks._finders.own import OwnFinder
from penstock.leaks._finders.processes import ProcessFinder
from penstock.leaks._finders.resources import CursorFinder, ResponseFinder
from penstock.leaks._finders.tasks import TaskFinder
from penstock.leaks._finders.threads import ThreadFinder
from penstock.leaks._finders.trio_tasks import TrioTaskFinder
from penstock.leaks._straggler import Finder

__all__ = ["FINDERS"]

FINDERS: tuple[Finder, ...] = (
    ThreadFinder(),
    TaskFinder(),
    TrioTaskFinder(),
    ProcessFinder(),
    OwnFinder(),
    CursorFinder(),
    ResponseFinder(),
    GeneratorFinder(),
    DescriptorFinder(),
)
