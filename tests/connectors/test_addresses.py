"""Addresses choose a connector, and are shown without their secrets."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, strategies as st

from penstock import connectors, formats
from penstock.connectors import redact, scheme_of
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Sink, Source
from tests.connectors.parts import SECRET, sink_of, source_of


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://bob:hunter2@db:5432/shop", "postgresql://bob:***@db:5432/shop"),
        ("postgresql+psycopg://bob:hunter2@db/shop", "postgresql+psycopg://bob:***@db/shop"),
        ("postgresql://bob@db/shop", "postgresql://bob@db/shop"),
        ("postgresql://bob:p@ss@db/shop", "postgresql://bob:***@db/shop"),
        ("postgresql://bob:p/w?@db/shop", "postgresql://bob:***@db/shop"),
        ("postgresql://bob:1/2@db/shop", "postgresql://bob:***@db/shop"),
        (
            "postgresql://db/shop?user=bob&password=hunter2&sslmode=require",
            "postgresql://db/shop?user=bob&password=***&sslmode=require",
        ),
        ("postgresql://a:1,b:2/shop", "postgresql://a:1,b:2/shop"),
        ("postgresql://bob:x@[::1]:5432/shop", "postgresql://bob:***@[::1]:5432/shop"),
        ("https://hunter2@host/in", "https://***@host/in"),
        ("https://bob:hunter2@host/in", "https://***@host/in"),
        ("https://host:8443/a/b", "https://host:8443/a/b"),
        ("https://host/a@b", "https://host/a@b"),
        (
            "https://host/in?api_key=k&page=2&X-Amz-Signature=abc#x",
            "https://host/in?api_key=***&page=2&X-Amz-Signature=***#x",
        ),
        ("https://host/in?access_token=abc", "https://host/in?access_token=***"),
        ("s3://bucket/keys/key@version", "s3://bucket/keys/key@version"),
        ("http://[broken:hunter2@host/", "http://***@host/"),
        ("/tmp/a:b@c.csv", "/tmp/a:b@c.csv"),
        ("-", "-"),
        ("", ""),
    ],
)
def test_secrets_are_hidden_and_nothing_else(uri: str, shown: str) -> None:
    """Passwords, tokens and signatures become ***; the rest stays readable."""
    assert redact(uri) == shown


@given(st.sampled_from(["postgresql", "mysql", "http", "https", "mongodb"]), st.text(min_size=1, max_size=20))
def test_no_password_survives_whatever_is_in_it(scheme: str, noise: str) -> None:
    """Also unescaped, with any characters around it, the password is not shown."""
    assert SECRET not in redact(f"{scheme}://bob:{noise.replace('@', '')}{SECRET}@host/database")


@given(st.text(max_size=40))
def test_redacting_never_fails(text: str) -> None:
    """Any text at all can be shown, and what is shown already stays as it is."""
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [("POSTGRESQL+psycopg://x", "postgresql"), ("s3://b/k", "s3"), ("a/b:c", ""), ("C:data", ""), ("-", "-"), ("", "")],
)
def test_schemes(uri: str, scheme: str) -> None:
    """The scheme is what stands before ://, without the driver, in lower case."""
    assert scheme_of(uri) == scheme


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (
            "postgress://bob:hunter2-very-secret@db/x",
            "unknown scheme 'postgress' in postgress://bob:***@db/x: did you mean 'postgres",
        ),
        ("s4://bucket/key", "did you mean 's3' or 'gs'?"),
        ("gopher://x/y", "known are file, sqlite, postgresql, "),
        ("sqlite:data.db", "sqlite:data.db: write sqlite://..."),
    ],
)
def test_unknown_schemes_are_refused_with_help(uri: str, said: str) -> None:
    """In both directions, without the password."""
    for opening in (lambda: source_of(uri, table="t"), lambda: sink_of(uri)):
        with pytest.raises(ConfigurationError) as caught:
            opening()
        assert said in str(caught.value)
        assert SECRET not in str(caught.value)


def test_what_can_only_be_read_is_refused_as_destination() -> None:
    """The message says so."""
    with pytest.raises(ConfigurationError, match="mongodb can not be written to"):
        sink_of("mongodb://host/x")


@pytest.mark.parametrize(
    ("uri", "options", "said"),
    [
        ("sqlite:///x.db", {"table": "t", "query": "SELECT 1"}, "not both"),
        ("sqlite:///x.db", {}, "say what to read"),
        ("sqlite:///x.db", {"query": " ; "}, "the query is empty"),
        ("sqlite:///x.db", {"table": "t", "limit": -1}, "limit must not be below zero"),
        ("sqlite:///x.db", {"table": "t", "format": "csv"}, "format can not be used here: a database"),
        ("sqlite://x.db", {"table": "t"}, "has no path: write sqlite:///relative/path"),
        ("sqlite:///x.db?mode=rw", {"table": "t"}, "unknown parameter 'mode'"),
        ("postgresql://db/x", {"table": "t", "compression": "gzip"}, "compression can not be used here"),
        ("x.csv", {"table": "t"}, "table can not be used here: it is for databases"),
        ("x.dat", {}, "its name does not tell the format; give --source-format"),
        ("-", {}, "its name does not tell the format"),
        ("x.csv", {"format": "cvs"}, "did you mean 'csv'?"),
        ("https:///x.csv", {}, "not a well-formed address"),
        ("https://host/a b.csv", {}, "must be percent-encoded"),
        ("s3://bucket", {}, "write s3://bucket/key"),
        ("s3://bucket/folder/", {"format": "csv"}, "write s3://bucket/key"),
        ("s3://key:secret@bucket/x.csv", {}, "credentials come from the AWS_* environment"),
        ("file://elsewhere/x.csv", {}, "no path on this machine"),
        ("", {}, "an empty path"),
        ("x\0.csv", {}, r"'x\x00.csv': there is a NUL character"),
        ("x\0*.csv", {}, "there is a NUL character"),
        ("file:///x%00.csv", {}, "there is a NUL character"),
        ("sqlite:///x\0.db", {"table": "t"}, "there is a NUL character"),
        ("duckdb:///x\0.db", {"table": "t"}, "there is a NUL character"),
        ("postgresql://bob:hush\0@db/x", {"table": "t"}, "bob:***@db/x': there is a NUL character"),
        (
            "postgresql://db/x",
            {"table": "t\0"},
            "a NUL character in the query, or in the name of the table or a column",
        ),
        ("postgresql://db/x", {"table": "t", "columns": ["c\0"]}, "a NUL character in the query, or in the name"),
        ("mysql://db/x", {"query": "SELECT 1 \0 WHERE 0"}, "a NUL character in the query, or in the name"),
    ],
)
def test_requests_that_make_no_sense_are_refused(uri: str, options: dict[str, object], said: str) -> None:
    """Before anything is touched, with what to write instead."""
    with pytest.raises(ConfigurationError) as caught:
        source_of(uri, **options)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "options", "said"),
    [
        ("x.csv", {"if_exists": "ask"}, "it may be 'fail', 'overwrite', 'skip'"),
        ("x.csv", {"method": "PUT"}, "method is for http(s) destinations"),
        ("-", {"method": "PUT"}, "method is for http(s) destinations"),
        ("https://host/x", {"method": "PATCH"}, "it may be POST or PUT"),
        ("https://host/x", {"if_exists": "skip"}, "nobody can tell whether it exists"),
        ("s3://bucket/key", {"part_size": 1 << 20}, "parts must have at least 5 MiB"),
        ("s3://bucket/", {}, "write s3://bucket/key"),
        ("x\0.csv", {}, "there is a NUL character"),
        ("file:///x%00.csv", {}, "there is a NUL character"),
        ("sqlite:///x\0.db", {"table": "t"}, "there is a NUL character"),
        ("duckdb:///x\0.db", {"table": "t"}, "there is a NUL character"),
        ("sqlite:///x.db", {"table": "t\0"}, "a NUL character in the name of the table"),
    ],
)
def test_destinations_that_make_no_sense_are_refused(uri: str, options: dict[str, object], said: str) -> None:
    """Before anything is touched."""
    with pytest.raises(ConfigurationError) as caught:
        sink_of(uri, **options)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///absent.db",
        "absent.csv",
        "-",
        "postgresql://127.0.0.1:1/x",
        "http://127.0.0.1:1/x.csv",
        "s3://absent/x.csv",
    ],
)
def test_making_a_source_touches_nothing(uri: str) -> None:
    """Nothing is opened, so nothing fails; what is made keeps the contract."""
    database = uri.startswith(("sqlite", "postgresql"))
    made = source_of(uri, **({"table": "t"} if database else {"format": "csv"}))
    assert isinstance(made, Source)
    assert made.rows_read is None


@pytest.mark.parametrize("uri", ["absent/x.csv", "-", "http://127.0.0.1:1/x", "s3://absent/x.csv"])
def test_making_a_sink_touches_nothing(uri: str) -> None:
    """Nothing is opened or created."""
    assert isinstance(sink_of(uri), Sink)
    assert not Path("absent").exists()


def test_a_third_party_adds_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registered module is imported when its scheme is first used, and asked for what was requested."""
    asked: list[connectors.SourceRequest] = []
    module = ModuleType("third_party")
    module.source = lambda request: asked.append(request) or source_of("x.csv")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "third_party", module)
    connectors.register_connector("mine", "third_party")
    try:
        connectors.open_source(connectors.SourceRequest(uri="mine://somewhere", formats=formats, table="t"))
        assert [(request.uri, request.table) for request in asked] == [("mine://somewhere", "t")]
        with pytest.raises(ConfigurationError, match="mine can not be written to"):
            sink_of("mine://somewhere")
    finally:
        connectors._MODULES.pop("mine")
