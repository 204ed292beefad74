"""The parser of the command line: every flag and its help text, and nothing that acts on them."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from penstock.cli.exit_codes import USAGE
from penstock.cli.redaction import Redactor
from penstock.flow.losses import ON_TYPE_LOSS
from penstock.flow.suggest import did_you_mean

__all__ = ["build_parser"]

_DESCRIPTION = "Move data of any size through bounded memory, and leave nothing behind."

_OVERVIEW = """\
examples:
  penstock cp sqlite:///shop.db - -t orders --format ndjson | head
  penstock cp postgresql://db/shop s3://bucket/orders.csv.gz -q 'select * from orders'
  penstock plan postgresql://db/shop s3://bucket/orders.csv.gz -q 'select * from orders'
  penstock leaks script.py

`penstock COMMAND --help` shows the flags of a command.
"""

_CP_DESCRIPTION = """\
Copy a table, a query or a file to a destination, which appears complete or not at all.

SRC  postgresql:// mysql:// mongodb:// sqlite:/// duckdb:///, s3:// gs:// az://, https://, a path, or - (standard input)
DST  s3:// gs:// az://, https:// (the body of a POST), a path, or - (standard output); or, with --to-table, a database:
     postgresql:// mysql:// sqlite:/// duckdb:///

Format and compression follow from the names (.csv .ndjson .parquet, .gz .zst) unless flags say otherwise.
Only data goes to standard output, everything else to standard error.
"""

_CP_EXAMPLES = """\
examples:
  penstock cp sqlite:///shop.db - -t orders                        a table as CSV, to standard output
  penstock cp sqlite:///shop.db orders.ndjson.zst -t orders        ... to a compressed file
  penstock cp postgresql:///shop s3://bucket/big.csv.gz -f big.sql a query to an object store
  penstock cp postgresql:///shop big.csv.gz -t orders --max-file-size 1GiB    several files and a manifest
  penstock cp postgresql:///shop big.parquet -t orders --partitions 4    the same, written four at once
  penstock cp orders.parquet postgresql:///shop --to-table orders            a file into a table
  penstock cp events.csv https://example.org/ingest --format ndjson
  zcat old.csv.gz | penstock cp - new.ndjson --source-format csv

exit codes:
  0 done   1 failed   2 usage   3 source   4 destination   5 deadline or stall   6 verification
  130, 143 stopped by SIGINT, SIGTERM   141 the reader of standard output has left (| head)

Put passwords into ~/.pgpass, PGPASSWORD or AWS_SECRET_ACCESS_KEY rather than into SRC or DST, where other users of this
machine may see them. Sizes are 64MiB, 64M (the same) or 64MB (64,000,000 bytes); durations are 30s, 5m, 1h30m.
`penstock plan` with the same arguments says what would be done.
"""

_PLAN_DESCRIPTION = """\
Say what `penstock cp` would do with the same arguments, and write nothing: how the data is read and why, every column
with its types, whether the destination exists, how memory is divided, and about how much data there is.

This connects to source and destination. The exit code is the one cp would end with, as far as that can be told: 0; 2 if
the request makes no sense; 3 if the source cannot be read; 4 if the destination cannot be written.
"""

_LEAKS_DESCRIPTION = """\
Run a Python script to its end, and report what it leaves behind: threads, tasks, processes, files, sockets and so on.

The script runs as it would under `python`, with its own arguments, standard streams, signals and exit functions. When
it has ended, threads that can still do something are waited for, as Python does. Threads that nothing can wake any more
are not: they are reported, and the process ends in spite of them.
"""

_LEAKS_EXAMPLES = """\
examples:
  penstock leaks script.py --its-own --flags
  penstock leaks -m package.module
  penstock leaks --json script.py 2>/dev/null | jq .counts
  penstock leaks --ignore 'name=heartbeat-*' --ignore 'kind=socket created_by=metrics.connect' script.py

The report goes to standard error. A leak is PROVEN if nothing in the process can reach what a thread or task waits
for, so that it can never wake; anything else that is still there is suspected.

exit codes:
  0 nothing left behind   1 something left behind   2 usage; otherwise the script's own code, if that is not 0
"""


class _Parser(argparse.ArgumentParser):
    """A parser that reports errors in one line, without the secrets that an argument may hold.

    Attributes:
        commands: the parser of each command, by the command's name.
    """

    commands: Mapping[str, _Parser] = {}

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with the code for wrong usage."""
        self.exit(USAGE, Redactor()(f"{self.prog}: {message} (see {self.prog} --help)\n"))

    def parsed(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse the whole command line. Unknown arguments are reported by the command they were given to."""
        arguments, unknown = self.parse_known_args(argv)
        if unknown:
            self.commands.get(arguments.command, self)._refuse(unknown)
        return arguments

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        flag = next((word for word in unknown if word.startswith("--")), "").partition("=")[0]
        meant = did_you_mean(flag, self._option_string_actions) if flag else ""
        self.error(f"unrecognized arguments: {' '.join(unknown)}{meant and '; '}{meant}")


class _Program(argparse.Action):
    """Takes the script and everything after it, which are the script's own arguments."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        program = values[1:] if values[:1] == ["--"] else values
        if not program:
            parser.error("which script? Give its path, or -m and the name of a module")
        setattr(namespace, self.dest, program)


def build_parser() -> _Parser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="penstock",
        description=_DESCRIPTION,
        epilog=_OVERVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _add_cp(commands)
    _add_plan(commands)
    _add_leaks(commands)
    parser.commands = commands.choices
    return parser


def _add_cp(commands: argparse._SubParsersAction[_Parser]) -> None:
    cp = commands.add_parser(
        "cp",
        help="copy a table, a query or a file to a destination",
        description=_CP_DESCRIPTION,
        epilog=_CP_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_copy(cp)
    _add_talk(cp.add_argument_group("what to say"))


def _add_plan(commands: argparse._SubParsersAction[_Parser]) -> None:
    plan = commands.add_parser(
        "plan",
        help="say what cp would do, and write nothing",
        description=_PLAN_DESCRIPTION,
        epilog="Flags of cp that concern a running copy (--progress, --summary, --quiet) are accepted and do nothing.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_copy(plan)
    group = plan.add_argument_group("what to say")
    group.add_argument("--json", action="store_true", help="print the plan as JSON")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more; -vv: tracebacks too")
    for flag in ("--progress", "--summary"):
        plan.add_argument(flag, help=argparse.SUPPRESS)
    for flag in ("--quiet", "--dry-run"):
        plan.add_argument(flag, action="store_true", help=argparse.SUPPRESS)


def _add_copy(command: _Parser) -> None:
    """Add the arguments that describe a copy, which are the same for ``cp`` and ``plan``."""
    command.add_argument("source", metavar="SRC", help="where the data comes from")
    command.add_argument("destination", metavar="DST", help="where the data goes")
    _add_what(command.add_argument_group("what to read"))
    _add_how(command.add_argument_group("what to write"))
    _add_limits(command.add_argument_group("memory and time"))


def _add_what(group: argparse._ArgumentGroup) -> None:
    one = group.add_mutually_exclusive_group()
    one.add_argument("-t", "--table", metavar="NAME", help="table to read")
    one.add_argument("-q", "--query", metavar="SQL", help="query to run instead")
    one.add_argument("-f", "--file", metavar="FILE", help="file that holds the query")
    group.add_argument("--columns", metavar="A,B", type=_names, help="columns to read, in this order; default: all")
    group.add_argument("--where", metavar="SQL", help="condition that rows of the table must meet")
    group.add_argument("--limit", metavar="N", type=_count_or_none, help="the most rows to read; 0: the columns alone")
    group.add_argument("--source-format", metavar="NAME", help="format of SRC, where its name does not tell")
    group.add_argument(
        "--source-compression", metavar="NAME", help="gzip, zstd or none, where the name of SRC does not tell"
    )
    _add_options(group, "--source-format-option", help="an option of the format of SRC, such as delimiter=;")
    _add_options(group, "--source-option", help="an option of this kind of source")
    group.add_argument(
        "--on-type-loss",
        choices=ON_TYPE_LOSS,
        default="error",
        help="when the type of a column cannot hold a value: error fails; warn writes NULL and says so; text makes "
        "text of every column that could hold such values; default: %(default)s",
    )


def _add_how(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format",
        metavar="NAME",
        help="csv, tsv, ndjson, json, parquet, arrow or arrows; default: by the name of DST, else as SRC, else csv",
    )
    group.add_argument(
        "--compression",
        metavar="NAME",
        help="gzip, zstd (either may have a level: zstd:9) or none; default: by the name of DST",
    )
    _add_options(group, "--format-option", help="an option of the format of DST, such as delimiter=;")
    group.add_argument("--to-table", metavar="NAME", help="table to load, if DST is a database; default: that of -t")
    group.add_argument(
        "--if-exists",
        choices=("fail", "overwrite", "skip", "append"),
        default="fail",
        help="what to do if DST exists already; append is for tables only; default: %(default)s",
    )
    _add_options(group, "--destination-option", help="an option of this kind of destination")
    group.add_argument("--method", metavar="METHOD", help="HTTP method of the request, POST or PUT; default: POST")
    group.add_argument(
        "--part-size",
        metavar="SIZE",
        help="size of the first parts of an upload; default: 8MiB for S3, else as large as --max-memory allows",
    )
    group.add_argument("--concurrency", metavar="N", type=_count, help="parts uploaded at once; default: up to 4")
    group.add_argument(
        "--max-file-size",
        metavar="SIZE",
        help="write several files of at most about this size, name.00001.csv and so on, then name.manifest.json",
    )
    _add_partitions(group)


def _add_partitions(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--partitions",
        metavar="N",
        type=_count,
        default=1,
        help="read up to N ranges of a PostgreSQL or MySQL table at once, each into a file of its own, with a manifest",
    )
    group.add_argument(
        "--partition-by",
        metavar="COLUMN",
        help="column of integers, dates or timestamps whose values divide the ranges; default: the place of the rows on "
        "disk (MySQL: the primary key)",
    )
    group.add_argument(
        "--engine", metavar="NAME", default="local", help="what runs the copy; default: %(default)s, the only one"
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-memory",
        metavar="SIZE",
        default="128MiB",
        help="data that may be in flight, read and not yet stored; default: %(default)s",
    )
    group.add_argument("--bwlimit", metavar="RATE", help="bytes per second that DST may take, such as 10MiB/s")
    group.add_argument("--timeout", metavar="TIME", help="give up if the copy takes longer than this")
    group.add_argument("--stall-timeout", metavar="TIME", help="give up if no data moves for this long")


def _add_talk(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--progress",
        choices=("auto", "bar", "log", "json", "none"),
        default="auto",
        help="how to show progress; default: a bar on a terminal, else a line every 10 s",
    )
    group.add_argument("--summary", metavar="FILE", help="write a report as JSON to FILE, also after a failure")
    group.add_argument("--dry-run", action="store_true", help="copy nothing, and do what `penstock plan` does")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more; -vv: tracebacks too")
    group.add_argument("--quiet", action="store_true", help="say nothing unless the copy fails")


def _add_leaks(commands: argparse._SubParsersAction[_Parser]) -> None:
    leaks = commands.add_parser(
        "leaks",
        help="run a script and say what it leaves behind",
        usage="penstock leaks [FLAGS] SCRIPT [ARGUMENTS ...]\n       penstock leaks [FLAGS] -m MODULE [ARGUMENTS ...]",
        description=_LEAKS_DESCRIPTION,
        epilog=_LEAKS_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    leaks.add_argument(
        "program", metavar="SCRIPT", nargs=argparse.REMAINDER, action=_Program, help="what to run, and its arguments"
    )
    leaks.add_argument("-m", dest="module", action="store_true", help="SCRIPT names a module, as with `python -m`")
    _add_check(leaks.add_argument_group("what to report"))
    _add_output(leaks.add_argument_group("how to report it"))


def _add_check(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ignore",
        metavar="RULE",
        action="append",
        default=[],
        help="what not to report: CONDITION=PATTERN, or several separated by spaces, all of which must hold. Conditions: "
        "kind, name, top_function, any_function, created_by; all but kind may hold * and ?. May be repeated",
    )
    group.add_argument(
        "--grace", metavar="TIME", default="0.5", help="how long to wait for what is about to end; default: 0.5 s"
    )
    group.add_argument(
        "--strict", action="store_true", help="report also what will probably end by itself, or is a service"
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--trace",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="report the calls that led to the start of a thread; costs some microseconds per thread",
    )
    group.add_argument(
        "--json",
        action="store_true",
        help="write the report as JSON to standard output; the script's own standard output goes to standard error",
    )
    group.add_argument("--quiet", action="store_true", help="say nothing unless something is left behind")


def _add_options(group: argparse._ArgumentGroup, flag: str, *, help: str) -> None:  # noqa: A002 - argparse's own word
    group.add_argument(
        flag,
        dest=flag.removeprefix("--").replace("-", "_") + "s",
        metavar="NAME=VALUE",
        type=_option,
        action=_Options,
        help=f"{help} (may be repeated)",
    )


class _Options(argparse.Action):
    """Collects NAME=VALUE pairs in a dict; of several with the same name the last one counts."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), values[0]: values[1]})


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("it is not NAME=VALUE")
    option, dot, inner = name.partition(".")  # header.X-Name=value: what follows the dot is left unchanged
    return f"{option.replace('-', '_')}{dot}{inner}", value


def _names(text: str) -> list[str]:
    """Split a list of names as CSV, so that a name with a comma can be quoted."""
    names = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
    if not names or not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names like a,b,c")
    return names


def _count_or_none(text: str) -> int:
    """Parse a number of rows; 0 asks for the columns alone."""
    return 0 if text == "0" else _count(text)


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return number
