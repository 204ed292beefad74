"""The command line: parse arguments, call the library, choose an exit code. No logic of its own.

Part of the uppermost layer; nothing imports it. ``penstock --help`` imports the parser and nothing else, and a command
imports what it needs when it runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from penstock.cli.arguments import build_parser
from penstock.cli.exit_codes import CLOSED_STDOUT, FAILED, OK, USAGE, code_for_signal
from penstock.cli.streams import UnwritableOutput, flush_output, forget_output, occupy_closed_descriptors, say

__all__ = ["main", "run_and_exit"]

_SIGINT = 2
_HEAP = {  # the number of the parameter in malloc.h, and its value
    "MALLOC_ARENA_MAX": (-8, 1),
    "MALLOC_MMAP_THRESHOLD_": (-3, 32 << 20),
    "MALLOC_TRIM_THRESHOLD_": (-1, 1 << 20),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``docs/cli.md`` lists the codes.

    Args:
        argv: the arguments after the program's name; None takes those of this process.
    """
    try:
        try:
            return _run(argv)
        finally:
            flush_output()  # here, where a reader that has left can be caught, and not at exit
    except BrokenPipeError:  # `penstock --help | head -1`
        forget_output()
        return CLOSED_STDOUT
    except UnwritableOutput as error:
        sys.stderr.write(f"penstock: {error}\n")
        return FAILED
    except KeyboardInterrupt:  # before or after the part that handles it
        return code_for_signal(_SIGINT)


def run_and_exit() -> NoReturn:
    """Run the command line of this process and exit with its code: the entry point of the ``penstock`` command.

    The interpreter is not torn down. Threads of extension modules (obstore's, written in Rust) may be about to enter it
    just then, which would abort the process: measured in one of forty copies to S3 that were stopped by a signal.
    Nothing is left to tear down anyway, because the copy has closed everything when its blocks were left.
    """
    if sys.argv[1:2] != ["leaks"]:  # there the process is that of a script
        _prefer_frugal_libraries()
        occupy_closed_descriptors()
    if sys.argv[1:2] == ["cp"]:
        _configure_heap()
    try:
        code = main()
    except SystemExit as exit_of_argparse:
        code = exit_of_argparse.code if isinstance(exit_of_argparse.code, int) else OK
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        sys.stderr.flush()
    os._exit(code)


def _prefer_frugal_libraries() -> None:
    """Choose and configure Arrow's memory allocator, unless the user has. Must run before Arrow is loaded.

    jemalloc returns memory to the system that Arrow's default, mimalloc, keeps: a tenth to a fifth of the process.
    Without per-thread caches, and set to return memory sooner, its peak does not grow with ten times as many rows
    (docs/performance.md has the figures). Done only here, where the process is ours, and only where Arrow's wheels are
    known to include jemalloc.
    """
    if sys.platform == "linux" and os.uname().machine == "x86_64":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
        os.environ.setdefault("JE_ARROW_MALLOC_CONF", "narenas:1,tcache:false,dirty_decay_ms:50,muzzy_decay_ms:0")
    # numpy's library for matrices starts a thread for each processor, which spins a while. Nobody here has a matrix.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _configure_heap() -> None:
    """Configure the C library's memory, unless the user has, by variables of these names.

    - One heap for all threads: heaps of their own would keep some 10 MB of freed memory in all. Threads wait for the
      interpreter's lock, hardly for that of the heap: writing files was as fast, uploads took up to a tenth more processor
      time (NDJSON, ten million rows).
    - What is free at its end is returned from 1 MiB on. By default that limit rises to twice the size of the largest block
      that was ever freed, and so does the limit above which a block has pages of its own; here the latter is where it would
      end, at 32 MiB. (docs/performance.md has the figures.)
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has one heap anyway
    if mallopt is not None:
        for name, (parameter, value) in _HEAP.items():
            if name not in os.environ:
                mallopt(parameter, value)


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    arguments = parser.parsed(argv)
    if arguments.version:
        say(f"penstock {_version()}\n")
        return OK
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    if arguments.command == "leaks":
        from penstock.cli import leaks

        return leaks.run(arguments)
    if arguments.command == "plan" or arguments.dry_run:
        from penstock.cli import plan

        return plan.run(arguments)
    from penstock.cli import cp

    return cp.run(arguments)


def _version() -> str:
    from importlib import metadata

    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("penstock")
    return "(not installed)"
