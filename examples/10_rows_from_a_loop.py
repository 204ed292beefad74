"""Rows from a loop of yours, and from an API that hands them out in pages, to files: any iterable is a source.

A generator of dicts needs no list of all of them, no schema and no clean-up: the first rows tell the columns, a later
one that does not fit is an error that names row and field, and the loop is closed whatever happens. Pages are followed
by their `Link` header over one connection, and fetched again when the server is busy.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from _local import Handler, serving

import penstock

PAGES = 10


class Api(Handler):
    """Ten pages of a hundred users each; the header of each but the last says where the next one is."""

    def get(self) -> None:
        page = int(self.path.partition("?page=")[2] or 1)
        users = [{"user": page * 100 + number, "name": f"user {number}"} for number in range(100)]
        body = json.dumps(users).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if page < PAGES:
            self.send_header("Link", f'</users?page={page + 1}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)


class Readings:
    """Makes rows; knows when it was closed."""

    is_closed = False

    def rows(self, count: int) -> Iterator[dict[str, object]]:
        try:
            for number in range(count):
                celsius: object = 20 + number % 10 / 10 if number != 150_000 else "warm"
                yield {"reading": number, "celsius": celsius}
        finally:
            self.is_closed = True


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        good = Readings()
        report = penstock.copy(good.rows(100_000), Path(folder, "readings.parquet"))
        print(f"{report.rows:,} rows of a generator, in Parquet; the generator is closed: {good.is_closed}")
        assert good.is_closed

        bad = Readings()
        try:
            penstock.copy(bad.rows(200_000), Path(folder, "bad.csv"))
        except penstock.SourceError as error:
            print(f"a row that does not fit: {str(error).partition(' (columns')[0]}")
        print(f"the generator is closed: {bad.is_closed}; a file appeared: {Path(folder, 'bad.csv').exists()}")
        assert bad.is_closed
        assert not Path(folder, "bad.csv").exists()

        with serving(Api) as server:
            report = penstock.copy(f"{server.url}/users", Path(folder, "users.csv.gz"), source_options={"next": "link"})
        print(f"{report.rows:,} rows of {PAGES} pages; connections: {server.connections}")
        assert report.rows == PAGES * 100
        assert server.connections == 1


if __name__ == "__main__":
    main()
