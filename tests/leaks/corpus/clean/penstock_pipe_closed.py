"""A penstock pipe between two threads, read to its end and closed on both sides."""

import threading

from penstock.core.pipe import PipeWriter, pipe


def produce(writer: PipeWriter) -> None:
    with writer:
        for _ in range(10):
            writer.write(b"x" * 1000)


def program() -> None:
    with pipe() as (reader, writer):
        producer = threading.Thread(target=produce, args=(writer,))
        producer.start()
        assert len(reader.read()) == 10_000
        producer.join()
