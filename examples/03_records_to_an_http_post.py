"""Records to an HTTP POST in chunks, as they are made: the body of the request is a pipe.

Two ways to hand a pipe to urllib3. As a file it is read in blocks that are full (16 KiB): best for bulk. As an iterator
over `read1` it gives each write as a chunk of its own, at once: best for records that should arrive now. To prove the
"at once", each live record here is made only after the server has received the one before.
"""

from __future__ import annotations

import functools
import json

import urllib3
from _local import Handler, serving

import penstock

arrived, arrivals = penstock.channel(max_buffer_size=1000)  # how the server tells the producer what it has received


class Ingest(Handler):
    """Receives a chunked body; answers with how many chunks and bytes it had."""

    def post(self) -> None:
        chunks = size_bytes = 0
        while chunk_bytes := int(self.rfile.readline(), 16):
            chunk = self.rfile.read(chunk_bytes)
            self.rfile.readline()
            chunks, size_bytes = chunks + 1, size_bytes + chunk_bytes
            if self.path == "/live":
                arrived.send(json.loads(chunk))
        self.rfile.readline()
        self.answer(json.dumps({"chunks": chunks, "bytes": size_bytes}).encode())


def record(number: int) -> dict[str, object]:
    return {"record": number, "kind": "click", "page": f"/item/{number % 97}"}


def write_many(writer: penstock.PipeWriter) -> None:
    for number in range(20_000):
        writer.write(json.dumps(record(number)).encode() + b"\n")


def write_live(writer: penstock.PipeWriter) -> None:
    for number in range(5):
        writer.write(json.dumps(record(number)).encode() + b"\n")
        assert arrivals.receive() == record(number)  # it is there, while the request goes on


def main() -> None:
    with serving(Ingest) as server, urllib3.PoolManager() as http, penstock.fail_after(30):
        with penstock.reading_from(write_many) as reader:
            bulk = http.request("POST", f"{server.url}/bulk", body=reader, chunked=True).json()
        print(f"in bulk: 20,000 records in {bulk['chunks']} chunks, {bulk['bytes']:,} bytes")
        assert bulk["chunks"] == -(-bulk["bytes"] // 16384)

        with penstock.reading_from(write_live) as reader:
            records = iter(functools.partial(reader.read1, 65536), b"")
            live = http.request("POST", f"{server.url}/live", body=records, chunked=True).json()
        print(f"live:    5 records in {live['chunks']} chunks, each received before the next was made")
        assert live["chunks"] == 5

    print(f"connections: {server.connections}")
    assert server.connections == 1
    arrived.close()
    arrivals.close()


if __name__ == "__main__":
    main()
