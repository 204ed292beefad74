"""What is done with rows between a database and a file: kept or not, looked up in eight threads, and handed to a loop.

A flow is put together a step at a time and touches nothing until it is written or iterated over. Each lookup waits for
somebody; eight wait at once, and the rows come out in their order all the same. When one fails, its own exception is
raised, and there is no file. Leaving a loop early stops the query.
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import penstock

Row = dict[str, Any]


def make_shop(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
        connection.execute("create table orders (id integer primary key, customer integer, paid boolean)")
        rows = ((number, number % 40, number % 2) for number in range(1, 2001))
        connection.executemany("insert into orders values (?, ?, ?)", rows)
    return f"sqlite:///{folder / 'shop.db'}"


def with_name(row: Row) -> Row:
    """Look up a customer; here it only takes as long as that."""
    penstock.sleep(0.001)
    if row["customer"] > 100:
        raise LookupError(f"no customer {row['customer']}")
    return {"id": row["id"], "name": f"customer {row['customer']}"}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        orders = penstock.read(make_shop(folder), table="orders")
        paid = orders.filter(lambda row: row["paid"]).map(with_name, workers=8)

        report = paid.write(folder / "paid.parquet")
        print(f"{report.rows:,} paid orders with names of customers, in Parquet")

        strange = orders.map(lambda row: {**row, "customer": 120 if row["id"] == 1500 else row["customer"]})
        try:
            strange.map(with_name, workers=8).write(folder / "none.parquet")
        except LookupError as error:
            (note,) = error.__notes__
            print(f"{error}: {note.partition(' of ')[0]}, row {note.rpartition(' ')[2]}")
        print(f"a file appeared: {(folder / 'none.parquet').exists()}")

        for batch in paid.batched(100):
            print(f"a batch of {batch.num_rows} rows, and that is enough")
            break
        print(f"threads left: {threading.active_count() - 1}")


if __name__ == "__main__":
    main()
