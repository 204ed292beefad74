"""Describe a descriptor in words. It may be closed at any moment; then the description says so."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

__all__ = ["LISTING", "descriptor_name", "is_socket"]

#: The folder in which the system lists the descriptors of this process; None where there is none.
LISTING = next((folder for folder in ("/proc/self/fd", "/dev/fd") if Path(folder).is_dir()), None)

_PROTOCOLS: dict[int, str] = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}
_KERNEL_OBJECT = "anon_inode:"


def is_socket(mode: int) -> bool:
    """Whether a descriptor of this ``st_mode`` is a socket."""
    return stat.S_ISSOCK(mode)


def descriptor_name(descriptor: int) -> str:
    """Return the path of a file; for others what they are and, of sockets, with whom they are connected."""
    try:
        mode = os.fstat(descriptor).st_mode
        if is_socket(mode):
            return _socket_name(descriptor)
        target = _target(descriptor)
        if stat.S_ISFIFO(mode):
            end = ("read end", "write end", "both ends")[_access(descriptor)]
            return f"pipe, {end}" if target is None or target.startswith("pipe:") else f"{target} (FIFO, {end})"
    except OSError:
        return f"descriptor {descriptor}, closed meanwhile"
    if target is None:
        return f"descriptor {descriptor}"
    if target.startswith(_KERNEL_OBJECT):
        return target.removeprefix(_KERNEL_OBJECT).strip("[]").replace("eventpoll", "epoll")
    return target


def _target(descriptor: int) -> str | None:
    """Return the path, or what stands for one; None where the system does not tell."""
    if LISTING != "/proc/self/fd":
        return _path_on_macos(descriptor)
    return str(Path(LISTING, str(descriptor)).readlink())


def _path_on_macos(descriptor: int) -> str | None:
    import fcntl

    get_path = getattr(fcntl, "F_GETPATH", None)
    if get_path is None:
        return None
    return os.fsdecode(fcntl.fcntl(descriptor, get_path, bytes(1024)).rstrip(b"\0"))


def _access(descriptor: int) -> int:
    """Return 0 for reading, 1 for writing, 2 for both."""
    import fcntl

    return min(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE, 2)


def _socket_name(descriptor: int) -> str:
    # A socket object closes its descriptor in the end, so it gets one of its own. It is made by the class below
    # socket.socket, whose making is not noted.
    found = socket.SocketType(fileno=os.dup(descriptor))
    try:
        local, peer = _address(found.getsockname), _address(found.getpeername)
        if found.family == getattr(socket, "AF_UNIX", None):
            return _unix_name(found, local or peer)
        kind = _PROTOCOLS.get(found.type, "socket")
        if _listens(found):
            return f"listening on {kind} {local}"
        if peer is not None:
            return f"{kind} {local} -> {peer}"
        return f"{kind} {local}, not connected" if local else f"{kind} socket, not connected"
    finally:
        found.close()


def _unix_name(found: Any, path: str | None) -> str:
    if not path:
        return "unix socket pair"
    return f"listening on unix socket {path}" if _listens(found) else f"unix socket {path}"


def _listens(found: Any) -> bool:
    option = getattr(socket, "SO_ACCEPTCONN", None)
    try:
        return option is not None and bool(found.getsockopt(socket.SOL_SOCKET, option))
    except OSError:
        return False  # a kind of socket, or a system, that does not know the question


def _address(ask: Any) -> str | None:
    try:
        address = ask()
    except OSError:
        return None  # not connected
    if isinstance(address, tuple) and len(address) >= 2:  # host and port, and two more with IPv6
        host, port = address[:2]
        if not port and host in ("0.0.0.0", "::"):  # noqa: S104  not bound
            return None
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return os.fsdecode(address).replace("\0", "@") if isinstance(address, str | bytes) else str(address)
