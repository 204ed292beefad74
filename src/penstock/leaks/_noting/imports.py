"""Extend recording to modules that are imported later.

``origins`` wraps the modules that are loaded when watching begins, but a script imports most of its modules after that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from penstock.leaks._noting.origins import note_starts
from penstock.leaks._noting.targets import MAKERS, RESOURCES, STARTERS

__all__ = ["noting_imports"]


@contextmanager
def noting_imports() -> Iterator[None]:
    """While the block runs, wrap what a module starts and makes as soon as the module has been imported."""
    finder: Any = _Finder(frozenset(target.module for target in (*STARTERS, *MAKERS, *RESOURCES)))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)


class _Finder:
    """Leaves the finding to the others, and has a look at what they have found."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._wanted:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                _call_after_loading(spec.loader, lambda: self._loaded(name))
                return spec
        return None

    def _loaded(self, name: str) -> None:
        # One that is still being executed, and has imported this one, may not have its classes yet. Its turn comes.
        if not any(_is_loading(sys.modules.get(each)) for each in self._wanted if each != name):
            note_starts()


def _is_loading(module: ModuleType | None) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _call_after_loading(loader: Any, callback: Callable[[], None]) -> None:
    """Have ``loader``, which is made for one module, call ``callback`` when it has executed it."""
    if isinstance(loader, type) or not hasattr(loader, "exec_module"):
        return  # of built-in and frozen modules: one for all of them
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module  # its own again
        execute(module)
        callback()

    loader.exec_module = exec_module
