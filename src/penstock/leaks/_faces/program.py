"""Run a script or module as ``__main__`` in this process, the way ``python`` itself would. For ``penstock leaks``."""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import io
import os
import pkgutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from penstock.errors import ConfigurationError

__all__ = ["FAILED", "INTERRUPTED", "Program", "show_exception"]

FAILED = 1
INTERRUPTED = 130
_EXIT_CODES = 256
_HERE = (Path(__file__).parent, Path(__file__).parents[1] / "_noting")


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run.

    Attributes:
        target: the path of a script, or of a folder or zip file with a ``__main__.py``; or the name of a module.
        arguments: the program's own arguments.
        is_module: whether ``target`` is the name of a module, as after ``python -m``.
    """

    target: str
    arguments: Sequence[str] = ()
    is_module: bool = False

    def check(self) -> None:
        """Check that the program exists, without running any of it.

        Raises:
            ConfigurationError: it does not exist, or cannot be read.
        """
        if not self.is_module:
            try:
                io.open_code(str(self._file())).close()
            except OSError as error:
                raise ConfigurationError(f"cannot run {self.target}: {error.strerror}") from error
        elif not _exists(self.target.partition(".")[0]):
            raise ConfigurationError(f"cannot run module {self.target}: there is none of that name")

    def run(self) -> int:
        """Run the program's main module to its end, and return the exit code that ``python`` would end with.

        Prints an uncaught exception the way ``python`` does. Leaves ``sys.argv``, ``sys.path[0]`` and
        ``sys.modules["__main__"]`` changed to the program's.
        """
        try:
            code, main = self._prepare()
            exec(code, vars(main))  # noqa: S102  this is what it is for
        except BaseException as error:  # noqa: BLE001  shown below, and reflected in the exit code, as Python does
            ended_by = error
        else:
            return 0
        # No longer inside the except block: it would become the context of what an excepthook raises.
        if isinstance(ended_by, SystemExit):
            return _exit_code(ended_by)
        show_exception(ended_by)
        return INTERRUPTED if isinstance(ended_by, KeyboardInterrupt) else FAILED

    def _file(self) -> Path:
        return Path(self.target) / "__main__.py" if Path(self.target).is_dir() else Path(self.target)

    def _prepare(self) -> tuple[CodeType, ModuleType]:
        sys.argv = [self.target, *self.arguments]
        file = str(Path(self.target).absolute())
        main = ModuleType("__main__")
        vars(main).update(__builtins__=builtins, __annotations__={}, __cached__=None)
        if self.is_module:
            _search_first(str(Path.cwd()))
            code = _load(main, _find(self.target))
            sys.argv[0] = main.__file__ or self.target
        elif pkgutil.get_importer(file) is not None:  # a folder, or a zip file
            _search_first(file)
            code = _load(main, importlib.machinery.PathFinder.find_spec("__main__", [file]))
        else:
            code = _compile(main, file)
        sys.modules["__main__"] = main
        return code, main


def _exit_code(stop: SystemExit) -> int:
    """Return the exit code of ``sys.exit(...)``; a message goes to standard error."""
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code % _EXIT_CODES
    _tell(str(stop.code))
    return FAILED


def show_exception(error: BaseException) -> None:
    """Print an uncaught exception through ``sys.excepthook``, without the frames of this package."""
    error = error.with_traceback(_of_the_program(error.__traceback__))
    try:
        sys.excepthook(type(error), error, error.__traceback__)
        return
    except BaseException as raised:  # noqa: BLE001  told, as Python tells it
        failure = raised.with_traceback(_of_the_program(raised.__traceback__))
    _tell("Error in sys.excepthook:")
    sys.__excepthook__(type(failure), failure, failure.__traceback__)
    _tell("\nOriginal exception was:")
    sys.__excepthook__(type(error), error, error.__traceback__)


def _of_the_program(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and Path(traceback.tb_frame.f_code.co_filename).parent in _HERE:
        traceback = traceback.tb_next
    return traceback


def _tell(line: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
    else:
        os.write(2, f"{line}\n".encode(errors="backslashreplace"))


def _search_first(folder: str) -> None:
    if not sys.flags.safe_path:  # python -P: neither the script's folder nor the current one
        sys.path[:1] = [folder]


def _exists(name: str) -> bool:
    folders = None if sys.flags.safe_path else [str(Path.cwd()), *sys.path[1:]]
    spec = importlib.machinery.PathFinder.find_spec(name, folders) if folders is not None else None
    return spec is not None or importlib.util.find_spec(name) is not None


def _find(name: str) -> importlib.machinery.ModuleSpec | None:
    """Return the module's spec, or that of the package's ``__main__``. Imports the packages it is in."""
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        return importlib.util.find_spec(f"{name}.__main__")
    return spec


def _compile(main: ModuleType, file: str) -> CodeType:
    """Return the code of a script and give ``main`` its attributes."""
    _search_first(str(Path(file).resolve().parent))
    main.__file__ = file
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", file)
    with io.open_code(file) as source:
        return compile(source.read(), file, "exec", dont_inherit=True)


def _load(main: ModuleType, spec: importlib.machinery.ModuleSpec | None) -> CodeType:
    """Return the code of a module and give ``main`` its attributes."""
    loader: Any = spec.loader if spec is not None else None
    code: CodeType | None = None
    if spec is not None and hasattr(loader, "get_code"):
        code = loader.get_code(spec.name)
    if spec is None or code is None:
        raise SystemExit(f"there is no module {sys.argv[0]}, or none that can be run")
    main.__file__ = spec.origin
    main.__spec__ = spec
    main.__loader__ = loader
    main.__package__ = spec.parent
    return code
