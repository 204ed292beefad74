"""A database table to S3, in memory that does not grow with the table.

Runs against a private object store; or against your own, if PENSTOCK_EXAMPLE_BUCKET names a bucket of it and the usual
AWS_* variables say where it is. `penstock cp sqlite:///events.db s3://bucket/events.csv -t events` does the same.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from _local import s3_bucket

import penstock

# Arrow has three allocators, and takes one when it is loaded. Its default keeps more of what was freed than this one, which
# the command line takes by itself: in a process of your own it is yours to choose.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")

MIB = 1024 * 1024

MAKE_EVENTS = """
insert into events
with recursive n(i) as (select 1 union all select i + 1 from n limit ?)
select i, datetime(1735689600 + i, 'unixepoch'), i * 7919 % 50000, printf('{"page": "/item/%d", "seen": %d}', i % 977, i)
from n
"""


def make_database(path: Path, rows: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table events (id integer primary key, at text, user_id integer, payload text)")
        connection.execute(MAKE_EVENTS, [rows])


def upload(database: Path, bucket: str, rows: int) -> penstock.Report:
    report = penstock.copy(
        f"sqlite:///{database}",
        f"s3://{bucket}/penstock-example/{rows}-events.csv",
        table="events",
        limit=rows,
        max_memory="32MiB",
        if_exists="overwrite",
    )
    peak_mib = (report.peak_memory_bytes or 0) / MIB
    print(
        f"{report.rows:>9,} rows, {report.bytes / MIB:5.1f} MiB in {report.details['parts']} parts: "
        f"{report.rows / report.seconds:,.0f} rows/s, peak memory {peak_mib:.0f} MiB"
    )
    assert report.rows == rows
    assert not report.leaks
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder, s3_bucket() as bucket:
        database = Path(folder) / "events.db"
        make_database(database, rows)
        some = upload(database, bucket, rows // 5)  # this process so far: code, buffers
        all_of_them = upload(database, bucket, rows)
    growth = (all_of_them.peak_memory_bytes or 0) / (some.peak_memory_bytes or 1)
    print(f"5 times the rows, {growth:.2f} times the memory")
    assert growth < 1.15


if __name__ == "__main__":
    main()
