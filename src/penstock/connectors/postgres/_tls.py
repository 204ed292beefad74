"""What is asked of a server's TLS where nobody has said: on another machine, that the server proves who it is.

libpq's own default, ``prefer``, takes any certificate, and clear text where the server offers no TLS. That stays so for
servers on this machine, and for whoever asks for it: in the address, ``PGSSLMODE``, or a service file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.connectors._this_machine import is_this_machine

if TYPE_CHECKING:
    from psycopg.pq.misc import ConninfoOption

__all__ = ["verified_elsewhere"]

_KNOWS_SYSTEM = 160000  # the first libpq that understands sslrootcert=system
_ROOT_CERTIFICATE = "~/.postgresql/root.crt"
# Where systems keep their authorities, for a Python whose OpenSSL was built to look elsewhere.
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)


def verified_elsewhere(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return what to add to ``parameters`` of a connection so that servers on other machines are verified.

    Where somebody has chosen an ``sslmode``, that stays. But ``verify-full``, chosen or not, is by the system's
    authorities where no other are named; libpq would know none. Connects to nothing.
    """
    known = _put_together(parameters)
    added = {} if _is_chosen(parameters, known) else _verifying(known)
    mode = added.get("sslmode", _text(known, "sslmode"))
    if mode == "verify-full" and not _text(known, "sslrootcert") and not _has_root_certificate():
        added |= _authorities()
    return added


def _verifying(known: Mapping[str, ConninfoOption]) -> dict[str, str]:
    """Return what to add so that the servers are verified; nothing where every one is on this machine.

    If one of several is not, all are verified: libpq has one ``sslmode`` for all. It never applies to Unix sockets.
    """
    hosts, addresses = _text(known, "host").split(","), _text(known, "hostaddr").split(",")
    count = max(len(hosts), len(addresses))
    hosts, addresses = (given * count if given == [""] else given for given in (hosts, addresses))
    if len(hosts) != len(addresses) or all(map(_is_here, hosts, addresses)):
        return {}  # of the former libpq itself has something to say
    added = {"sslmode": "verify-full"}
    if any(addresses):
        # A server without a name proves its address: else libpq would have nothing to compare.
        added["host"] = ",".join(host or address for host, address in zip(hosts, addresses, strict=True))
    return added


def _put_together(parameters: Mapping[str, Any]) -> dict[str, ConninfoOption]:
    """Return what libpq makes of the address, service files, ``PG*`` variables and its defaults together.

    libpq does that first of all. Then it refuses a value it does not know, before it looks for any host. Nothing, when
    it does not even get so far; then it will not connect either.
    """
    psycopg = need("psycopg", extra="postgres", why="talk to PostgreSQL")
    refused = {**parameters, "target_session_attrs": "none that exist"}
    connection = psycopg.pq.PGconn.connect_start(psycopg.conninfo.make_conninfo(**refused).encode())
    try:
        return {option.keyword.decode(): option for option in connection.info}
    finally:
        connection.finish()


def _is_chosen(parameters: Mapping[str, Any], known: Mapping[str, ConninfoOption]) -> bool:
    if "sslmode" in parameters or "PGSSLMODE" in os.environ:
        return True
    option = known.get("sslmode")
    if option is None or option.val != option.compiled:
        return True
    # It may still be a service file that says what is libpq's default. With sslrootcert=system libpq's default is
    # stricter, and a choice stays what it is. An older libpq tells no difference: then it is the default.
    stricter = _put_together({**parameters, "sslrootcert": "system"})["sslmode"]
    return _libpq_version() >= _KNOWS_SYSTEM and stricter.val == option.val


def _is_here(host: str, address: str) -> bool:
    place = address or host  # hostaddr is where, host then is only who
    return not place or place.startswith(("/", "@")) or is_this_machine(place)


def _has_root_certificate() -> bool:
    """Whether there is the file that libpq looks for when ``sslrootcert`` names none."""
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        return Path(_ROOT_CERTIFICATE).expanduser().exists()
    return False


def _authorities() -> dict[str, str]:
    """Return ``sslrootcert`` for the authorities of this system.

    As a file, where one is found: the libpq of psycopg's wheels has an OpenSSL of its own, which takes ``system`` for a
    folder that is on no system.
    """
    import ssl

    for file in (ssl.get_default_verify_paths().cafile, *_AUTHORITIES):
        if file is not None and Path(file).is_file():
            return {"sslrootcert": file}
    return {"sslrootcert": "system"} if _libpq_version() >= _KNOWS_SYSTEM else {}


def _libpq_version() -> int:
    return int(need("psycopg", extra="postgres", why="talk to PostgreSQL").pq.version())


def _text(known: Mapping[str, ConninfoOption], keyword: str) -> str:
    option = known.get(keyword)
    return "" if option is None or option.val is None else option.val.decode()
