"""The loop people write first: a server-side cursor and a writer of the standard library. naive.py URI TABLE FORMAT TARGET.

An object is written through smart_open.
"""

import csv
import json
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

uri, table, kind, target = sys.argv[1:]
statement = f"SELECT * FROM {table}"


def rows():
    if uri.startswith("postgresql"):
        import psycopg

        with psycopg.connect(uri) as connection, connection.cursor("naive") as cursor:
            cursor.itersize = 10_000
            cursor.execute(statement)
            yield [column.name for column in cursor.description]
            yield from cursor
    elif uri.startswith("mysql"):
        import pymysql
        from pymysql.cursors import SSCursor

        parts = urlsplit(uri)
        login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
        with closing(pymysql.connect(**login, database=parts.path[1:], cursorclass=SSCursor)) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            yield [column[0] for column in cursor.description]
            yield from cursor
    elif uri.startswith("sqlite"):
        import sqlite3

        with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
            cursor = connection.execute(statement)
            yield [column[0] for column in cursor.description]
            yield from cursor
    else:
        import duckdb

        with duckdb.connect(uri.removeprefix("duckdb:///"), read_only=True) as connection:
            cursor = connection.execute(statement)
            yield [column[0] for column in cursor.description]
            while some := cursor.fetchmany(10_000):
                yield from some


def opened():
    if target.startswith("s3://"):
        import smart_open

        return smart_open.open(target, "w", encoding="utf-8", newline="")
    return Path(target).open("w", encoding="utf-8", newline="")


given = rows()
names = next(given)
with opened() as file:
    if kind == "csv":
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(given)
    else:
        file.writelines(json.dumps(dict(zip(names, row, strict=True)), default=str) + "\n" for row in given)
