"""How each mover is told to do a job: a function for each, which says why when it cannot."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from bench.tables.jobs import Command, Job, NotRunError
from bench.tables.systems import PEERS

__all__ = ["adbc", "apitap", "connectorx", "cursor_loop", "dlt", "own_tool", "penstock", "sling"]

NOT_INSTALLED = "as it is not installed, which `make .venvs/peers` does"
SCRIPTS = Path(__file__).parent / "peers"


def penstock(job: Job) -> Command:
    """Penstock's own command line."""
    arguments = [sys.executable, "-m", "penstock", "cp", job.place.uri, job.target, "--table", job.table]
    return Command([*arguments, "--format", job.format, "--if-exists", "overwrite", "--quiet"])


# --- what each database brings ------------------------------------------------------------------------------------


def own_tool(kind: str) -> Callable[[Job], Command | None]:
    """Return what the database of this ``kind`` brings itself; it takes no part elsewhere."""
    tools = {"postgres": _psql, "mysql": _mariadb, "sqlite": _sqlite3, "duckdb": _duckdb}

    def command(job: Job) -> Command | None:
        return tools[kind](job) if job.place.kind == kind else None

    return command


def _psql(job: Job) -> Command | None:
    if job.format != "csv":
        return None
    statement = f"COPY (SELECT * FROM {job.table}) TO STDOUT (FORMAT csv, HEADER)"
    return _written(job, [_program("psql"), job.place.uri, "--no-psqlrc", "-c", statement], {})


def _mariadb(job: Job) -> Command | None:
    if job.format != "csv":
        return None
    place = urlsplit(job.place.uri)
    reached = ["--protocol=tcp", f"--host={place.hostname}", f"--port={place.port}", f"--user={place.username}"]
    program = [_program("mariadb", "mysql"), "--no-defaults", "--batch", "--quick"]
    statement = f"SELECT * FROM {job.table}"
    arguments = [*program, *reached, f"--execute={statement}", place.path[1:]]
    return _written(job, arguments, {"MYSQL_PWD": place.password or ""})


def _sqlite3(job: Job) -> Command | None:
    if job.format != "csv":
        return None
    path = job.place.uri.removeprefix("sqlite:///")
    return _written(job, [_program("sqlite3"), "-readonly", "-csv", "-header", path, f"SELECT * FROM {job.table}"], {})


def _duckdb(job: Job) -> Command:
    target = job.target if job.sink == "file" else "/dev/stdout"
    arguments = [*_python("duckdb_.py"), job.place.uri, job.table, job.format, target]
    return Command(arguments) if job.sink == "file" else _written(job, arguments, {})


def _written(job: Job, arguments: list[str], environment: dict[str, str]) -> Command:
    """Return a command whose standard output becomes the file, or is put into the object by obstore."""
    if job.sink == "file":
        return Command(arguments, environment, to_stdout=True)
    return Command([*_python("upload.py"), job.target, *arguments], environment)


def _program(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise NotRunError("as it is not installed")


# --- peers --------------------------------------------------------------------------------------------------------


def adbc(job: Job) -> Command:
    """ADBC's drivers, and the writers of pyarrow."""
    _refuse(job.format == "ndjson", "to NDJSON: pyarrow does not write it")
    _refuse(job.place.kind == "mysql", "from MySQL: its driver is in no package, an installer of its own fetches it")
    return _script("adbc.py", job)


def connectorx(job: Job) -> Command:
    """ConnectorX, and the writers of pyarrow."""
    _refuse(job.format == "ndjson", "to NDJSON: pyarrow does not write it")
    _refuse(job.place.kind == "duckdb", "from DuckDB: it does not read it")
    return _script("connectorx_.py", job)


def apitap(job: Job) -> Command:
    """The reader of apitap to files, its transfer to objects."""
    _refuse(job.format != "parquet", "to CSV and NDJSON: it writes Parquet")
    _refuse(job.place.kind in {"sqlite", "duckdb"}, "from SQLite and DuckDB: it does not read them")
    return _script("apitap_.py", job)


def dlt(backend: str) -> Callable[[Job], Command]:
    """Return dlt with a ``backend`` of its SQL source."""

    def command(job: Job) -> Command:
        narrow = backend == "sqlalchemy" and (job.place.kind, job.sink) != ("postgres", "file")
        _refuse(narrow, "other than from PostgreSQL to a file: for want of time")
        return _script("dlt_.py", job, backend, f"{job.scratch}/dlt")

    return command


def cursor_loop(job: Job) -> Command:
    """A loop over a cursor that does not hold the result."""
    _refuse(job.format == "parquet", "to Parquet: the standard library does not write it")
    return _script("naive.py", job)


def sling(job: Job) -> Command:
    """The binary of sling itself: its Python wrapper starts itself without end."""
    _refuse(
        job.place.kind == "duckdb",
        "from DuckDB: it fetches DuckDB 1.3 from the network, which cannot read files of 2.0",
    )
    program = next(PEERS.parent.glob("lib/python*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"), None)
    if program is None:
        raise NotRunError(NOT_INSTALLED)
    uri, table = _as_sling_says(job)
    kind = {"ndjson": "jsonlines"}.get(job.format, job.format)
    arguments = [str(program), "run", "--src-conn", uri, "--src-stream", table]
    arguments += ["--tgt-options", f"{{format: {kind}, file_max_bytes: 0}}"]
    # Its own writer of Parquet: otherwise it fetches DuckDB for that.
    environment = {
        "SLING_DUCKDB_COMPUTE": "false",
        "SLING_HOME_DIR": f"{job.scratch}/sling",
        "SLING_DISABLE_TELEMETRY": "true",
    }
    if job.sink == "file":
        return Command([*arguments, "--tgt-object", f"file://{Path(job.target).resolve()}"], environment)
    environment["BENCH_STORE"] = _store_of_sling(job)
    return Command([*arguments, "--tgt-conn", "BENCH_STORE", "--tgt-object", job.target], environment)


def _as_sling_says(job: Job) -> tuple[str, str]:
    uri = job.place.uri
    if job.place.kind == "postgres":
        return f"{uri}?sslmode=disable", f"public.{job.table}"
    if job.place.kind == "sqlite":
        return uri.replace("sqlite:////", "sqlite:///"), f"main.{job.table}"  # it takes a path for absolute as it is
    return uri, f"{urlsplit(uri).path[1:]}.{job.table}"


def _store_of_sling(job: Job) -> str:
    found = job.environment
    connection = {
        "type": "s3",
        "bucket": urlsplit(job.target).netloc,
        "access_key_id": found["AWS_ACCESS_KEY_ID"],
        "secret_access_key": found["AWS_SECRET_ACCESS_KEY"],
        "endpoint": found["AWS_ENDPOINT_URL"],
        "region": found["AWS_REGION"],
    }
    return json.dumps(connection)


def _refuse(condition: bool, why: str) -> None:
    if condition:
        raise NotRunError(why)


def _script(name: str, job: Job, *more: str) -> Command:
    return Command([*_python(name), job.place.uri, job.table, job.format, job.target, *more])


def _python(name: str) -> list[str]:
    python = PEERS / "python"
    if not python.exists():
        raise NotRunError(NOT_INSTALLED)
    return [str(python), "-W", "ignore", str(SCRIPTS / name)]
