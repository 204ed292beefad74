"""``python -m bench.faults``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.faults.commands import PROGRAMS, TARGETS, left_by
from tests.servers.postgres import PostgresServer, run_postgres
from tests.servers.s3 import S3Server, run_s3

PEERS = Path(".venvs/peers/bin/python")
WRITERS = Path(__file__).with_name("writers.py")
PATIENCE_SECONDS = 60.0

FAULTS = {"none": "nothing", "source": "the source fails", "sigterm": "SIGTERM", "refused": "a part is refused"}
NAMES = {
    "penstock_copy": "`penstock.copy`",
    "penstock_pipe_and_boto3": "`penstock.reading_from` and boto3 `upload_fileobj`",
    "smart_open_with": "smart_open, `with`",
    "smart_open_gzip": "smart_open, `with`, .gz",
    "smart_open_finally_close": "smart_open, `try` ... `finally: close()`",
    "obstore_writer": "obstore `open_writer`",
    "obstore_put_iterator": "obstore `put(iterator)`",
    "boto3_upload_fileobj": "boto3 `upload_fileobj`",
    "pyarrow_output_stream": "pyarrow `open_output_stream`",
    "pyarrow_parquet_writer": "pyarrow `ParquetWriter`",
    "s3fs_open": "s3fs `open`",
    "s3fs_transaction": "s3fs `transaction`",
    "fsspec_gzip": 'fsspec `compression="gzip"`',
}


@dataclass(frozen=True)
class Aftermath:
    """What was there afterwards."""

    code: int | None
    objects: dict[str, int]
    uploads: list[str]

    def __str__(self) -> str:
        seen = [f"**{size / (1 << 20):.0f} MiB visible**" for size in self.objects.values()]
        left = [f"**{len(self.uploads)} upload open**"] if self.uploads else []
        said = {None: ["**did not end**"], 0: ["**exit code 0**"]}.get(self.code, [])
        return ", ".join(seen + left + said) or "nothing"


def main() -> int:
    """Run every writer against every fault and print the table."""
    print(machine.sentence(machine.facts()))
    with run_s3() as store, run_postgres() as server:
        return int(not (_writers(store) & _programs(store, server)))


def _programs(store: S3Server, server: PostgresServer) -> bool:
    """Print what whole programs leave; return whether ours left nothing."""
    clean = True
    database = server.new_database()
    for fault, shown in (("source", "the query fails"), ("sigterm", "SIGTERM while the query waits")):
        print(f"\n| {shown} | {' | '.join(TARGETS)} |\n| --- |{' --- |' * len(TARGETS)}")
        for program in PROGRAMS:
            found = [left_by(program, what, fault, database, store) for what in TARGETS]
            print(f"| {program} | {' | '.join('' if each is None else str(each) for each in found)} |", flush=True)
            clean &= "penstock" not in program or all(str(each) == "nothing" for each in found)
    return clean


def _writers(store: S3Server) -> bool:
    """Print what writers leave; return whether ours left nothing that it could have removed."""
    print(f"\n| Writer | {' | '.join(FAULTS.values())} |\n| --- |{' --- |' * len(FAULTS)}")
    clean = True
    for name, shown in NAMES.items():
        found = [aftermath(store, name, fault) for fault in FAULTS]
        print(f"| {shown} | {' | '.join(map(str, found))} |", flush=True)
        # SIGTERM ends Python at once unless a program handles it, as `penstock cp` does; no library can.
        clean &= not name.startswith("penstock") or str(found[1]) == str(found[3]) == "nothing"
    return clean


def aftermath(store: S3Server, name: str, fault: str) -> Aftermath:
    """Run one writer; return what the store holds afterwards."""
    bucket = store.create_bucket()
    if fault == "refused":
        store.refuse("UploadPart", times=1, status=403, code="AccessDenied")
    python = sys.executable if name.startswith("penstock") else str(PEERS)
    process = subprocess.Popen(
        [python, str(WRITERS), name, fault, bucket],
        env={**os.environ, **store.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()  # half-way, or over
        if fault == "sigterm":
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = None
    store.heal()
    return Aftermath(code, store.objects(bucket), store.uploads(bucket))


if __name__ == "__main__":
    sys.exit(main())
