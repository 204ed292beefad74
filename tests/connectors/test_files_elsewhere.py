"""Destinations whose name leads to something else: an open descriptor, a socket, a link to nowhere, a folder."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from penstock.errors import SinkError, SourceError
from tests.connectors.parts import data_stream, read_bytes, sink_of, source_of

DATA = b"a,b\n1,x\n"


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)


def names() -> list[str]:
    return sorted(entry.name for entry in Path().iterdir())


@pytest.mark.parametrize("path", ["/dev/fd/{}", "/proc/self/fd/{}"])
@pytest.mark.parametrize("if_exists", ["fail", "overwrite", "skip"])
def test_an_open_file_is_written_to_where_it_stands(path: str, if_exists: str) -> None:
    """As with ``>>`` in a shell: what was there stays, the name is that of the same file, and it stays open."""
    Path("log.txt").write_bytes(b"before\n")
    with Path("log.txt").open("ab") as file:
        sink = sink_of(path.format(file.fileno()), if_exists=if_exists)
        assert sink.check() is True
        assert sink.store(data_stream(DATA)).bytes_stored == len(DATA)
        assert os.fstat(file.fileno()).st_ino == Path("log.txt").stat().st_ino
        file.write(b"after\n")
    assert Path("log.txt").read_bytes() == b"before\n" + DATA + b"after\n"
    assert names() == ["log.txt"]


def test_an_open_socket_is_written_to() -> None:
    """It can not be opened a second time, and waiting for that would never end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sink = sink_of(f"/dev/fd/{ours.fileno()}")
        assert sink.check() is True
        sink.store(data_stream(DATA))
        ours.close()
        assert theirs.recv(100) == DATA


def test_a_descriptor_that_is_not_open_is_an_error() -> None:
    """Said before anything is read."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.close(descriptor)
    with pytest.raises(SinkError, match=rf"^/dev/fd/{descriptor}: Bad file descriptor$"):
        sink_of(f"/dev/fd/{descriptor}").check()


def test_a_socket_by_its_name_is_an_error() -> None:
    """Nobody waits for it to become a FIFO that has a reader."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("peer")
        server.listen()
        with pytest.raises(SinkError, match=r"^peer: it is a socket, not a file"):
            sink_of("peer").check()
        with pytest.raises(SinkError, match=r"^peer: No such device or address"):
            sink_of("peer").store(data_stream(DATA))


@pytest.mark.parametrize("path", ["new/", "folder/new/", "file.csv/"])
def test_a_name_with_a_slash_at_its_end_is_that_of_a_folder(path: str) -> None:
    """No file is made whose name is another one."""
    Path("folder").mkdir()
    Path("file.csv").touch()
    with pytest.raises(SinkError):
        sink_of(path, if_exists="overwrite").check()
    assert names() == ["file.csv", "folder"]


def test_a_link_into_a_folder_that_is_not_there() -> None:
    """The message has the folder that is missing, not that of the link."""
    Path("link.csv").symlink_to("absent/real.csv")
    with pytest.raises(SinkError, match=r"^link.csv: there is no folder '.*/absent' \(create it first\)$"):
        sink_of("link.csv").check()


def test_a_link_to_nothing_is_no_file() -> None:
    """The message says where it leads, and does not offer the link itself as what was meant."""
    Path("link.csv").symlink_to("absent.csv")
    with pytest.raises(
        SourceError, match=r"^link.csv: no such file \(it is a link to 'absent.csv', which is not there"
    ):
        read_bytes(source_of("link.csv"))
