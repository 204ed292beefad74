"""Whatever goes wrong, and however much is said about it: no secret in any output, summary, traceback or repr."""

from __future__ import annotations

import logging
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import penstock as library
from penstock.cli import main
from tests.cli.conftest import clean_environment
from tests.servers.http import HttpServer, Reply, Request
from tests.servers.postgres import PostgresDatabase
from tests.servers.s3 import S3Server

SECRET = "hunter2/S3cret+Key"  # with characters that addresses have to escape
ESCAPED = quote(SECRET, safe="")
FORMS = (SECRET, ESCAPED, quote(SECRET))


@dataclass(frozen=True)
class Case:
    """A copy that fails.

    Attributes:
        source: an address with fields such as ``{refusing}``.
        destination: likewise.
        keywords: of `penstock.copy`; on the command line they are flags.
        variables: of the environment.
        needs: fixtures of servers.
        code: the exit code.
        echoes: the server itself repeats the secret, so only the command line, which knows it, can mask it.
    """

    source: str = "in.csv"
    destination: str = "out.csv"
    keywords: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    code: int = 3
    echoes: bool = False


TABLE = {"table": "orders"}
BEARER = {"header.Authorization": f"Bearer {SECRET}"}

CASES = {
    # -- addresses that make no sense
    "unknown scheme": Case(f"oracle://bob:{ESCAPED}@host/db", keywords=TABLE, code=2),
    "unescaped password": Case(f"postgresql://bob:{SECRET}@nowhere.invalid/db", keywords=TABLE, code=2),
    "password as port": Case(f"postgresql://nowhere.invalid:{ESCAPED}/db", keywords=TABLE, code=2),
    "no table": Case(f"postgresql://bob:{ESCAPED}@nowhere.invalid/db", code=2),
    "unknown option": Case(
        f"https://bob:{ESCAPED}@nowhere.invalid/in.csv", keywords={"source_options": {"pasword": SECRET}}, code=2
    ),
    "s3 with credentials": Case(destination=f"s3://key:{ESCAPED}@bucket/out.csv", code=2),
    # -- PostgreSQL
    "postgres: refused": Case(f"postgresql://bob:{ESCAPED}@{{refusing}}/db", keywords=TABLE),
    "postgres: unknown host": Case(f"postgresql://bob:{ESCAPED}@nowhere.invalid/db", keywords=TABLE),
    "postgres: password in the query": Case(
        f"postgresql://{{refusing}}/db?user=bob&password={ESCAPED}", keywords=TABLE
    ),
    "postgres: refused, PGPASSWORD": Case(
        "postgresql://bob@{refusing}/db", keywords=TABLE, variables={"PGPASSWORD": SECRET}
    ),
    "postgres: wrong password": Case(
        f"postgresql://{{pg_user}}:{ESCAPED}@{{pg_host}}:{{pg_port}}/{{pg_name}}", keywords=TABLE, needs=("postgres",)
    ),
    "postgres: wrong PGPASSWORD": Case(
        "postgresql://{pg_user}@{pg_host}:{pg_port}/{pg_name}",
        keywords=TABLE,
        variables={"PGPASSWORD": SECRET},
        needs=("postgres",),
    ),
    "postgres: no TLS there": Case(
        f"postgresql://bob:{ESCAPED}@{{pg_host}}:{{pg_port}}/{{pg_name}}?sslmode=require",
        keywords=TABLE,
        needs=("postgres",),
    ),
    "postgres: as destination": Case(
        destination=f"postgresql://bob:{ESCAPED}@{{refusing}}/db", keywords={"to_table": "orders"}, code=4
    ),
    # -- MySQL and MongoDB
    "mysql: refused": Case(f"mysql://bob:{ESCAPED}@{{refusing}}/db", keywords=TABLE),
    "mysql: as destination": Case(
        destination=f"mysql://bob:{ESCAPED}@{{refusing}}/db", keywords={"to_table": "orders"}, code=4
    ),
    "mongodb: refused": Case(f"mongodb://bob:{ESCAPED}@{{refusing}}/db?serverSelectionTimeoutMS=300", keywords=TABLE),
    # -- HTTP
    "http: refused": Case(f"http://bob:{ESCAPED}@{{refusing}}/in.csv"),
    "http: unknown host": Case(f"http://bob:{ESCAPED}@nowhere.invalid/in.csv"),
    "http: refused body": Case(f"http://bob:{ESCAPED}@{{http}}/in.csv", needs=("http_server",)),
    "http: token in the query": Case(f"http://{{http}}/in.csv?api_key={ESCAPED}", needs=("http_server",)),
    "http: header": Case("http://{http}/in.csv", keywords={"source_options": BEARER}, needs=("http_server",)),
    "http: header that is none": Case(
        "http://{http}/in.csv", keywords={"source_options": {"header.X Y": SECRET}}, needs=("http_server",), code=2
    ),
    "http: token from the environment": Case(
        "http://{http}/in.csv",
        keywords={"source_options": {"token_env": "MY_TOKEN"}},
        variables={"MY_TOKEN": SECRET},
        needs=("http_server",),
    ),
    "http: a server that repeats what it was sent": Case(
        "http://{http}/echo.csv", keywords={"source_options": BEARER}, needs=("http_server",), echoes=True
    ),
    "http: no TLS there": Case(f"https://bob:{ESCAPED}@{{http}}/in.csv", needs=("http_server",)),
    "http: as destination": Case(destination=f"http://bob:{ESCAPED}@{{http}}/in", needs=("http_server",), code=4),
    "http: as destination, refused": Case(destination=f"http://bob:{ESCAPED}@{{refusing}}/in", code=4),
    # -- S3
    "s3: wrong key": Case(
        destination="s3://{bucket}/out.csv",
        variables={"AWS_SECRET_ACCESS_KEY": SECRET},
        needs=("s3_server", "bucket"),
        code=4,
    ),
    "s3: source, wrong key": Case(
        "s3://{bucket}/in.csv", variables={"AWS_SECRET_ACCESS_KEY": SECRET}, needs=("s3_server", "bucket")
    ),
    "s3: refused": Case(
        destination="s3://bucket/out.csv",
        variables={
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": f"token of {SECRET}",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_ENDPOINT_URL": "http://{refusing}",
        },
        code=4,
    ),
}


@dataclass(frozen=True)
class Prepared:
    """A case with its servers running."""

    source: str
    destination: str
    keywords: dict[str, Any]
    variables: dict[str, str]
    code: int


@pytest.fixture
def refusing() -> Iterator[str]:
    """Host and port of nobody."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{nobody.getsockname()[1]}"


@pytest.fixture
def prepare(request: pytest.FixtureRequest, refusing: str) -> Callable[[Case], Prepared]:
    """Starts what a case needs."""

    def prepared(case: Case) -> Prepared:
        fields = {"refusing": refusing}
        variables: dict[str, str] = {}
        if "postgres" in case.needs:
            database: PostgresDatabase = request.getfixturevalue("postgres")
            fields |= {"pg_user": database.user, "pg_host": database.host, "pg_port": str(database.port)}
            fields |= {"pg_name": database.name}
        if "http_server" in case.needs:
            server: HttpServer = request.getfixturevalue("http_server")
            server.reply("*", Reply(403, b"you may not"))
            server.reply("/echo.csv", _echo)
            fields["http"] = server.url.partition("://")[2]
        if "s3_server" in case.needs:
            store: S3Server = request.getfixturevalue("s3_server")
            variables |= store.environment
            fields["bucket"] = request.getfixturevalue("bucket")
        variables |= {name: value.format(**fields) for name, value in case.variables.items()}
        return Prepared(
            case.source.format(**fields), case.destination.format(**fields), case.keywords, variables, case.code
        )

    return prepared


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file to copy; and no connection variables but those of the case."""
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text("a\n1\n")
    for name in list(os.environ.keys() - clean_environment().keys()):
        monkeypatch.delenv(name)
    return tmp_path


def _echo(request: Request) -> Reply:
    return Reply(401, f"who is {request.headers['authorization']}?".encode())


def needing(name: str, case: Case) -> Any:
    marks = [pytest.mark.service] if {"postgres", "bucket"} & set(case.needs) else []
    return pytest.param(case, id=name, marks=marks)


def flags_of(keywords: dict[str, Any]) -> list[str]:
    flags = []
    for name, value in keywords.items():
        flag = "--" + name.replace("_", "-")
        for each in value.items() if isinstance(value, dict) else [value]:
            text = "=".join(each) if isinstance(each, tuple) else each
            flags += [flag.removesuffix("s") if isinstance(value, dict) else flag, text]
    return flags


def assert_silent(*texts: str) -> None:
    for text in texts:
        for form in FORMS:
            assert form not in text, text


@pytest.mark.parametrize("case", [needing(name, case) for name, case in CASES.items()])
def test_no_secret_on_the_command_line(
    prepare: Callable[[Case], Prepared],
    case: Case,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Standard output and error with tracebacks and debug log, as text and for programs, and the summary."""
    run = prepare(case)
    for name, value in run.variables.items():
        monkeypatch.setenv(name, value)
    copy = ["cp", run.source, run.destination, *flags_of(run.keywords), "-vv"]
    assert main([*copy, "--progress", "json", "--summary", "summary.json"]) == run.code
    for_programs = capsys.readouterr()
    assert "Traceback" in for_programs.err
    code = main([*copy, "--dry-run"])
    for_people = capsys.readouterr()
    assert code in {run.code, 0}  # looking at a web server asks it for nothing that it could refuse
    assert ("\nTraceback" in for_people.err) == (code != 0)
    assert_silent(*for_programs, *for_people, (folder / "summary.json").read_text())


@pytest.mark.parametrize("case", [needing(name, case) for name, case in CASES.items() if not case.echoes])
def test_no_secret_in_a_program(
    prepare: Callable[[Case], Prepared],
    case: Case,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where nobody masks anything: the exception, those it was raised from, the log, and the plan."""
    run = prepare(case)
    for name, value in run.variables.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG, "penstock")
    plans = []
    with pytest.raises(library.PenstockError) as caught:
        plans.append(library.plan(run.source, run.destination, **run.keywords))
        library.copy(run.source, run.destination, **run.keywords)
    assert_silent(
        "".join(traceback.format_exception(caught.value)),
        repr(caught.value),
        caplog.text,
        *map(repr, plans),
        *map(str, plans),
    )


def test_requests_and_options_do_not_show_secrets() -> None:
    """Where a debugger or an error tracker prints them."""
    from penstock import formats
    from penstock.connectors import SinkRequest, SourceRequest

    secret = {"password": SECRET}
    address = f"postgresql://bob:{ESCAPED}@host/db"
    assert_silent(
        repr(SourceRequest(uri=address, formats=formats, options=secret)),
        repr(SinkRequest(uri=address, formats=formats, options=secret)),
        repr(library.CopyOptions(source_options=secret, destination_options=secret)),
    )
