"""Pages over HTTP: every record once, over one connection, or an error that says which page."""

from __future__ import annotations

import gzip
import json
import socket
import traceback
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import penstock
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.contracts import Describable
from tests.connectors.parts import SECRET, Cancellable, read_bytes, read_rows, read_table, source_of
from tests.core.threads import start
from tests.servers.http import HttpServer, Reply, Request

PAGES = 10
PER_PAGE = 3
JSON = {"Content-Type": "application/json"}
NOT_NOW = Reply(503, headers={"Retry-After": "0"}, body=b"not now")


def records(page: int) -> list[dict[str, Any]]:
    """The records of one page, counted from 0."""
    return [{"id": page * PER_PAGE + each, "name": f"n{each}"} for each in range(PER_PAGE)]


EVERYTHING = [record for page in range(PAGES) for record in records(page)]


def reply(body: object, **headers: str) -> Reply:
    """A page."""
    return Reply(body=json.dumps(body).encode(), headers={**JSON, **headers})


def page_number(request: Request, name: str = "p") -> int:
    """Which page a request is for."""
    return int(parse_qs(urlsplit(request.target).query).get(name, ["0"])[0])


def with_link(request: Request) -> Reply:
    """Pages that are arrays, with the next one in the Link header, among others."""
    page = page_number(request)
    links = ['</items?p=0>; rel="first"; title="a, b; <c>"', f'</items?p={page + 1}>; type=x; rel="last next"']
    return reply(records(page), Link=", ".join(links if page < PAGES - 1 else links[:1]))


def with_field(request: Request) -> Reply:
    """Pages that name the address of the next one."""
    page = page_number(request)
    following = f"?p={page + 1}" if page < PAGES - 1 else None
    return reply({"meta": {"next_url": following}, "data": {"items": records(page)}})


def with_cursor(request: Request) -> Reply:
    """Pages whose cursor goes into a parameter."""
    page = page_number(request, "after")
    return reply({"items": records(page), "cursor": page + 1 if page < PAGES - 1 else ""})


def with_last_id(request: Request) -> Reply:
    """Pages that go on after the id of the last record."""
    after = page_number(request, "starting_after")
    page = 0 if not after else (after + 1) // PER_PAGE
    return reply({"data": records(page) if page < PAGES else []})


def with_number(request: Request) -> Reply:
    """Pages that are counted, from 1."""
    assert "size=3&q=a%20b" in request.target
    page = page_number(request, "page") - 1
    return reply({"items": records(page) if page < PAGES else []})


def with_offset(request: Request) -> Reply:
    """Pages that begin after so many records."""
    offset = page_number(request, "offset")
    return reply(EVERYTHING[offset : offset + PER_PAGE])


WAYS: list[tuple[Callable[[Request], Reply], str, dict[str, str], int]] = [
    (with_link, "", {"next": "link"}, PAGES),
    (with_field, "", {"next": "field:meta.next_url", "records": "data.items"}, PAGES),
    (with_cursor, "", {"cursor": "after:cursor", "records": "items"}, PAGES),
    (with_last_id, "", {"cursor": "starting_after:data.-1.id", "records": "data"}, PAGES + 1),
    (with_number, "?size=3&q=a%20b", {"page": "page", "records": "items"}, PAGES + 1),
    (with_offset, "", {"offset": "offset"}, PAGES + 1),
]


@pytest.fixture
def items(http_server: HttpServer) -> str:
    """Where the pages are."""
    return f"{http_server.url}/items"


@pytest.mark.parametrize(
    ("way", "query", "options", "requests"), WAYS, ids=lambda value: getattr(value, "__name__", "")
)
def test_every_record_arrives_once_over_one_connection(
    http_server: HttpServer,
    items: str,
    way: Callable[[Request], Reply],
    query: str,
    options: dict[str, str],
    requests: int,
) -> None:
    """Whichever way leads from page to page; as rows and as bytes."""
    http_server.reply("/items", way)
    source = source_of(items + query, options=options)
    assert read_rows(source) == EVERYTHING
    assert source.rows_read == len(EVERYTHING)
    assert (len(http_server.requests), http_server.connections) == (requests, 1)
    source = source_of(items + query, options=options)
    assert [json.loads(line) for line in read_bytes(source).splitlines()] == EVERYTHING
    assert source.rows_read == len(EVERYTHING)
    http_server.wait_until(lambda: http_server.connections == 2 and http_server.open_connections == 0)


def test_a_copy_of_ten_pages_uses_one_connection(http_server: HttpServer, items: str, tmp_path: Path) -> None:
    """Through the engine; the records stay as they are written, letter by letter."""
    http_server.reply("/items", with_link)
    report = penstock.copy(items, tmp_path / "out.ndjson", source_options={"next": "link"})
    assert (tmp_path / "out.ndjson").read_text().splitlines() == [json.dumps(record) for record in EVERYTHING]
    assert report.rows == len(EVERYTHING)
    assert (len(http_server.requests), http_server.connections) == (PAGES, 1)


def test_numbers_and_layout_are_not_touched(http_server: HttpServer, items: str) -> None:
    """A number is not rounded, text not decoded; a record that is laid out over lines becomes one."""
    body = '[\r\n {"a": 0.10000000000000000000001,\n  "b": "\\u00e9 \\n ] }"},\n{"a":1E+2,"b":"é"} ]\n'
    http_server.reply("/items", Reply(body=body.encode(), headers=JSON))
    data = read_bytes(source_of(items, options={"next": "link"}))
    assert data.decode() == '{"a": 0.10000000000000000000001,   "b": "\\u00e9 \\n ] }"}\n{"a":1E+2,"b":"é"}\n'


def test_pages_of_lines_are_read_too(http_server: HttpServer, items: str) -> None:
    """NDJSON by its media type; whether the last line ends or not."""

    def page(request: Request) -> Reply:
        number = page_number(request)
        link = {"Link": f'<?p={number + 1}>; rel=next, <?p=7>; rel="prev"'} if number < 2 else {}
        return Reply(body=b'{"a":1}\n{"a":2}', headers={"Content-Type": "application/x-ndjson", **link})

    http_server.reply("/items", page)
    source = source_of(items, options={"next": "link"})
    assert [row["a"] for row in read_rows(source)] == [1, 2] * 3


@pytest.mark.parametrize("options", [{"cursor": "after:-1.a"}, {"cursor": "after:a"}, {"next": "field:next"}])
def test_lines_have_no_field_to_go_on_from(http_server: HttpServer, items: str, options: dict[str, str]) -> None:
    """A page of NDJSON is not taken for the last one because nothing is around its records."""
    http_server.reply("/items", Reply(body=b'{"a":1}\n{"a":2}\n', headers={"Content-Type": "application/x-ndjson"}))
    with pytest.raises(SourceError, match=r"no next page can be made of this one: it is NDJSON, with records and no"):
        read_rows(source_of(items, options=options))
    with pytest.raises(SourceError, match=r"the page is NDJSON: there is no 'data' around its records"):
        read_rows(source_of(items, options={"next": "link", "records": "data"}))


def test_columns_come_from_more_than_the_first_page(http_server: HttpServer, items: str) -> None:
    """A field that is null at first has a type later; one that only a later page has is a column, too."""
    http_server.reply("/items", reply([{"a": None}], Link="<?2>;rel=next"), reply([{"a": 1, "b": "x"}]))
    table = read_table(source_of(items, options={"next": "link"}))
    assert table.to_pylist() == [{"a": None, "b": None}, {"a": 1, "b": "x"}]
    assert [str(field.type) for field in table.schema] == ["int64", "string"]


def test_columns_and_limit_are_chosen_here(http_server: HttpServer, items: str) -> None:
    """As of every stored source."""
    http_server.reply("/items", with_link)
    source = source_of(items, options={"next": "link"}, columns=["name"], limit=2)
    assert source.byte_formats == frozenset()
    assert read_rows(source) == [{"name": "n0"}, {"name": "n1"}]


@pytest.mark.parametrize(("limit", "requests"), [(0, 1), (1, 1), (PER_PAGE, 1), (PER_PAGE + 1, 2), (1000, PAGES)])
def test_no_more_pages_are_fetched_than_the_limit_takes(
    http_server: HttpServer, items: str, limit: int, requests: int
) -> None:
    """Who asks for a few records does not have the server make all of them; the columns are those of the pages read."""
    http_server.reply("/items", with_link)
    table = read_table(source_of(items, options={"next": "link"}, limit=limit))
    assert table.to_pylist() == EVERYTHING[:limit]
    assert table.column_names == ["id", "name"]
    assert len(http_server.requests) == requests


@pytest.mark.parametrize("kind", ["json", "x-ndjson"])
def test_small_records_are_not_held_one_by_one(http_server: HttpServer, items: str, kind: str) -> None:
    """A page takes its size and that of its lines, however many records it has: an object for each would be ten times that."""
    records = [b'{"a":1}'] * 50_000
    body = b"[" + b",".join(records) + b"]" if kind == "json" else b"\n".join(records)
    http_server.reply("/items", Reply(body=body, headers={"Content-Type": f"application/{kind}"}))
    with source_of(items, options={"next": "link"}).open_bytes("ndjson") as chunks:
        tracemalloc.start()
        try:
            assert next(chunks).startswith(b'{"a":1}\n')
            assert tracemalloc.get_traced_memory()[1] < 4 * len(body)
        finally:
            tracemalloc.stop()


def test_pages_may_be_compressed(http_server: HttpServer, items: str) -> None:
    """If we say so; what is bounded is what they become."""
    body = gzip.compress(json.dumps([{"a": "x" * 100_000}]).encode())
    http_server.reply("/items", Reply(body=body, headers={**JSON, "Content-Encoding": "gzip"}))
    options = {"next": "link", "accept_encoding": "gzip"}
    assert len(read_rows(source_of(items, options=options))) == 1
    with pytest.raises(SourceError, match=r"the page is larger than 64\.0 KiB"):
        read_rows(source_of(items, options={**options, "page_bytes": "64KiB"}))


# --- pages that fail ---


def test_a_page_is_fetched_again(http_server: HttpServer, items: str) -> None:
    """Where the server is busy, and where the connection is lost, after the head or in the middle of the body."""
    body = json.dumps(records(0)).encode()
    lost, lost_at_once = Reply(body=body, cut_after=10), Reply(body=body, cut_after=0)
    replies: list[Any] = [with_link, NOT_NOW, with_link, lost, with_link, with_link, lost_at_once, with_link]
    http_server.reply("/items", *replies)
    assert read_rows(source_of(items, options={"next": "link"})) == EVERYTHING
    assert http_server.connections == 3


def test_a_page_that_stays_away_is_an_error(http_server: HttpServer, items: str) -> None:
    """It says which page, and how often it was tried; nothing that came before it counts."""
    http_server.reply("/items", with_link, with_link, NOT_NOW)
    with pytest.raises(SourceError, match=r"/items\?p=2: 3 times in a row: the server answered 503 .*: not now"):
        read_rows(source_of(items, options={"next": "link", "retries": "2"}))
    assert len(http_server.requests) == 5


def test_a_server_that_hangs_up_is_asked_again(items: str) -> None:
    """Once for nothing where the connection had been used before; the address is right, so it is tried again."""
    page = json.dumps([{"a": 1}])
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\nLink: </2>; rel=next\r\n\r\n{page}".encode()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reading = start(
            read_rows, source_of(f"http://127.0.0.1:{listener.getsockname()[1]}/1", options={"next": "link"})
        )
        with listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(answer)
            connection.recv(65536)  # the request for the second page, which gets no answer
        for _ in range(3):
            listener.accept()[0].close()
        with listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(answer.replace(b"Link", b"Knil"))
        assert reading.result() == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize("kind", ["json", "x-ndjson"])
def test_a_page_that_is_cut_politely_is_fetched_again(kind: str) -> None:
    """Its length promised more than came before the connection was closed; what came may look like a page."""
    body = b'{"a":1}\n{"a":2}\n' if kind == "x-ndjson" else b'[{"a":1},{"a":2}]'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/%b\r\nContent-Length: %d\r\n\r\n" % (kind.encode(), len(body))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in (head + body[:8], head + body):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        server = start(serve)
        source = source_of(f"http://127.0.0.1:{listener.getsockname()[1]}/", options={"next": "link"})
        assert read_rows(source) == [{"a": 1}, {"a": 2}]
        server.result()


def test_a_page_that_is_too_large_is_an_error(http_server: HttpServer, items: str) -> None:
    """Memory is bounded by it; the bound comes from that of the copy."""
    http_server.reply("/items", Reply(body=b"[" + b" " * 3_000_000 + b"]", headers=JSON))
    with pytest.raises(SourceError, match=r"the page is larger than 64\.0 KiB .*page_bytes=") as caught:
        read_rows(source_of(items, options={"next": "link", "page_bytes": 65536}))
    assert str(caught.value).startswith(items)
    with pytest.raises(SourceError, match=r"the page is larger than 2\.0 MiB"):
        penstock.copy(items, "out.ndjson", source_options={"next": "link"}, max_memory="16MiB")


@pytest.mark.parametrize("back_to", [2, 1, 0])
def test_pages_in_a_circle_are_an_error(http_server: HttpServer, items: str, back_to: int) -> None:
    """At the first page that comes twice, so nothing is read for ever."""

    def circle(request: Request) -> Reply:
        page = page_number(request)
        return reply(records(page), Link=f"</items?p={page + 1 if page < 2 else back_to}>; rel=next")

    http_server.reply("/items", circle)
    with pytest.raises(SourceError, match=rf"\?p={back_to}: the pages go in a circle") as caught:
        read_rows(source_of(f"{items}?p=0", options={"next": "link"}))
    assert not caught.value.transient
    assert len(http_server.requests) == 3


@pytest.mark.parametrize("option", ["page", "offset"])
def test_a_page_that_repeats_is_an_error(http_server: HttpServer, items: str, option: str) -> None:
    """A server that does not know the parameter, or has its last page for every later one, is not read for ever."""
    http_server.reply("/items", reply(records(0)))
    with pytest.raises(SourceError, match=r"the same records as the page before; does the server know .* 'nr'\?"):
        read_rows(source_of(items, options={option: "nr"}))
    assert len(http_server.requests) == 2


def test_a_link_may_lead_to_the_same_records(http_server: HttpServer, items: str) -> None:
    """Where the server itself says what comes next, it is believed."""
    http_server.reply("/items", reply([{"a": 1}], Link="<?2>;rel=next"), reply([{"a": 1}]))
    assert read_rows(source_of(items, options={"next": "link"})) == [{"a": 1}] * 2


def test_another_server_is_for_the_user_to_allow(http_server: HttpServer, items: str) -> None:
    """And even then it gets no password, no token, no header of ours."""
    with HttpServer() as other:
        http_server.reply("/items", reply(records(0), Link=f"<{other.url}/more>; rel=next"))
        other.reply("/more", reply(records(1), Link=f"<{items}/last>; rel=next"))
        http_server.reply("/items/last", reply(records(2)))
        uri = items.replace("//", f"//bob:{SECRET}@")
        options = {"next": "link", "header.X-Key": SECRET}
        with pytest.raises(SourceError, match=rf"is at another server: {other.url}/more .*other_servers=true"):
            read_rows(source_of(uri, options=options))
        assert other.requests == []
        assert read_rows(source_of(uri, options={**options, "other_servers": "true"})) == EVERYTHING[: 3 * PER_PAGE]
        (there,) = other.requests
        assert "authorization" not in there.headers
        assert "x-key" not in there.headers
        assert "authorization" not in http_server.requests[-1].headers  # whoever led there is no friend of ours


@pytest.mark.parametrize(
    ("body", "options", "said"),
    [
        (b'{"data": []}', {}, "the page is an object, not an array of records"),
        (b'{"data": {"x": 1}}', {"records": "data.items"}, r"there is no 'data\.items'; there is x"),
        (b'{"data": 5}', {"records": "data"}, "'data' is 5, not an array"),
        (b"<html>", {}, "the page is <html>, not an array"),
        (b'{"data": [1, 2', {"records": "data"}, "not JSON: it ends where"),
        (b'{"data": [{"a": 1}], "next_url": "/it', {"records": "data"}, "not JSON: a value should be at byte"),
        (b'{"data": [{"a": 1}]', {"records": "data"}, "not JSON: it ends where"),
        (b'[{"a": 1}]\n[{"a": 2}]', {}, r"not JSON: the end should be at byte 11, where there is '\[{"),
        (b'{"data": [{"a": 1}]}{"data": [{"a": 2}]}', {"records": "data"}, "not JSON: the end should be at byte 20"),
        (b'{"data": null}[]', {"records": "data"}, "not JSON: the end should be at byte 14"),
        ('[{"a": "é"}]'.encode("latin-1"), {}, "not JSON: it is not UTF-8"),
        ('[{"a": "é"}]'.encode("utf-16"), {}, "not JSON: it is not UTF-8"),
        (b"", {}, "not JSON: it ends where a value should be"),
        (b"[1]", {}, "not a JSON object"),
        (b'[{"a": nonsense}]', {}, "line 1: not JSON"),
        (b'[{"a": "a line\nand another"}]', {}, "not JSON: a record of several lines: Invalid control character"),
    ],
)
def test_what_is_no_page_is_an_error(
    http_server: HttpServer, items: str, body: bytes, options: dict[str, str], said: str
) -> None:
    """It says what there is instead."""
    http_server.reply("/items", Reply(body=body, headers=JSON))
    with pytest.raises(SourceError, match=said) as caught:
        read_rows(source_of(items, options={"next": "link", **options}))
    assert str(caught.value).startswith(items)


def test_a_next_page_that_is_no_address_is_an_error(http_server: HttpServer, items: str) -> None:
    """Where the server says nonsense, it is the server's fault."""
    http_server.reply("/items", reply(records(0), Link="<ftp://elsewhere/x>; rel=next"))
    with pytest.raises(SourceError, match="no next page can be made of this one"):
        read_rows(source_of(items, options={"next": "link"}))
    http_server.reply("/items", reply({"items": [], "next": ["x"]}))
    with pytest.raises(SourceError, match="the field 'next' holds neither text nor a number"):
        read_rows(source_of(items, options={"next": "field:next", "records": "items"}))


@pytest.mark.parametrize("value", ['"\\ud800"', "nonsense", '"a\nb"', '"http://[x/"'])
def test_a_next_page_of_broken_text_is_an_error(http_server: HttpServer, items: str, value: str) -> None:
    """Half of a character, what is no JSON, an address that is none: nothing of it is guessed at."""
    http_server.reply("/items", Reply(body=b'{"items": [], "next": %b}' % value.encode(), headers=JSON))
    with pytest.raises(SourceError, match="no next page can be made of this one: ") as caught:
        read_rows(source_of(items, options={"next": "field:next", "records": "items"}))
    assert str(caught.value).startswith(items)


@pytest.mark.parametrize(
    "link",
    [
        "</items?2>; rel='next'",
        '</items?2>; rel="next',
        '</items?2>; title="a; rel=prev"; rel=next',
        "</items?2>; REL=NEXT; rel=prev",
        "</items?a,b;c>; rel=prev, </items?2>;rel=next",
    ],
)
def test_links_are_understood_however_they_are_written(http_server: HttpServer, items: str, link: str) -> None:
    """Also those that are not quite as they should be."""
    http_server.reply("/items", reply([{"a": 1}], Link=link), reply([{"a": 2}]))
    assert read_rows(source_of(items, options={"next": "link"})) == [{"a": 1}, {"a": 2}]
    assert http_server.requests[-1].target == "/items?2"


def test_a_link_that_can_not_be_understood_is_an_error(http_server: HttpServer, items: str) -> None:
    """It may well be the next page, without which data would be missing."""
    http_server.reply("/items", reply([{"a": 1}], Link=f"/items?token={SECRET}; rel=next"))
    with pytest.raises(SourceError, match="its Link header can not be understood") as caught:
        read_rows(source_of(items, options={"next": "link"}))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("last", [{}, {"next": None}, {"next": ""}, {"next": False}])
def test_reading_ends_where_there_is_no_next(http_server: HttpServer, items: str, last: dict[str, Any]) -> None:
    """Missing, null, empty, false. An array that is null has no records."""
    http_server.reply("/items", reply({"data": [{"a": 1}], "next": "/items?2"}), reply({"data": None, **last}))
    assert read_rows(source_of(items, options={"next": "field:next", "records": "data"})) == [{"a": 1}]
    assert len(http_server.requests) == 2


def test_a_name_with_dots_is_found(http_server: HttpServer, items: str) -> None:
    """OData has such."""
    http_server.reply("/items", reply({"value": [{"a": 1}], "@odata.nextLink": f"{items}?2"}), reply({"value": []}))
    assert read_rows(source_of(items, options={"next": "field:@odata.nextLink", "records": "value"})) == [{"a": 1}]


# --- the rest of the contract ---


def test_a_cancel_ends_the_wait_for_a_page(http_server: HttpServer, items: str) -> None:
    """For its head, in the middle of it, and between two attempts."""
    http_server.reply("/items", with_link, Reply(hold="answer"))
    call = Cancellable(lambda: read_rows(source_of(items, options={"next": "link"})))
    http_server.wait_until(lambda: len(http_server.requests) == 2)
    assert call.cancel() < 0.5
    http_server.release()


def test_a_cancel_ends_the_search_for_records(http_server: HttpServer, items: str) -> None:
    """A large page of small records takes seconds to go through; nobody waits for that."""
    body = b"[" + b",".join([b'{"a":[1]}'] * 1_000_000) + b"]"
    http_server.reply("/items", Reply(body=body, headers=JSON))
    source = source_of(items, options={"next": "link", "page_bytes": "16MiB"})
    call = Cancellable(lambda: read_bytes(source))
    http_server.finished(1)
    assert call.cancel() < 0.5


def test_what_it_would_read_is_described(http_server: HttpServer, items: str) -> None:
    """One page is fetched, no more."""
    http_server.reply("/items", with_link)
    source = source_of(items, options={"next": "link"})
    assert isinstance(source, Describable)
    described = source.describe(None)
    assert [(column.name, column.arrow_type) for column in described.columns] == [("id", "int64"), ("name", "string")]
    assert "page by page" in described.reading
    assert len(http_server.requests) == 1
    assert read_rows(source) == EVERYTHING


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"next": "link", "page": "p"}, "give only one of next, page"),
        ({"next": "header"}, "next=link for the Link header"),
        ({"next": "field:"}, "next=link for the Link header"),
        ({"cursor": "after"}, "cursor=PARAMETER:field.path"),
        ({"page": ""}, "it may not be empty"),
        ({"next": "link", "other_servers": "maybe"}, "it may be true or false"),
        ({"next": "link", "page_bytes": "big"}, "is not a size"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, str], said: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigurationError, match=said):
        source_of("http://host/items", options=options)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"format": "csv"}, "pages are read as json"), ({"compression": "gzip"}, "accept_encoding=gzip")],
)
def test_what_pages_do_not_have_is_refused(given: dict[str, str], said: str) -> None:
    """A page is JSON, and its compression is between us and the server."""
    with pytest.raises(ConfigurationError, match=said):
        source_of("http://host/items", options={"next": "link"}, **given)


def test_a_page_that_there_is_no_memory_for_is_refused() -> None:
    """It is held whole, and once more as lines; so one may be 5/16 of the memory, and no larger."""
    memory = 32 << 20
    source_of("http://host/items", options={"next": "link", "page_bytes": "10MiB"}, max_row_bytes=memory)
    with pytest.raises(ConfigurationError, match=r"page_bytes 11\.0 MiB does not fit .* room for 10\.0 MiB"):
        source_of("http://host/items", options={"next": "link", "page_bytes": "11MiB"}, max_row_bytes=memory)


def test_no_secret_is_shown(http_server: HttpServer, items: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not of the address, of a header, nor of the address of the next page."""
    caplog.set_level(0)
    http_server.reply("/items", reply(records(0), Link=f"</items?token={SECRET}>; rel=next"), NOT_NOW, Reply(403))
    source = source_of(items.replace("//", f"//bob:{SECRET}@"), options={"next": "link", "header.X-Key": SECRET})
    with pytest.raises(SourceError, match="answered 403") as caught:
        read_rows(source)
    assert http_server.requests[1].target == f"/items?token={SECRET}"
    shown = [repr(source), repr(vars(source)), *traceback.format_exception(caught.value), caplog.text]
    assert SECRET not in "".join(shown)
