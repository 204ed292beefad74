"""Turn pymongo's errors into ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from penstock._extras import need
from penstock.errors import SourceError

__all__ = ["CursorLost", "refuses_no_timeout", "translating"]

_LOGIN = "check user and password, and authSource, in the address"
_ADDRESS = "are host and port right, and is the server running?"

# Codes of the server: what to do, and whether trying again may help.
_HINTS: dict[int, tuple[str, bool]] = {
    13: ("this user may not read it: grant the role 'read' on the database", False),
    18: (_LOGIN, False),
    43: ("the server has forgotten the cursor; mode=all does not keep it open while the destination is slow", True),
    50: ("maxTimeMS of the query ran out", True),
    59: ("this server does not have it", False),
    136: ("documents were overwritten before they were read; make the capped collection larger", False),
    189: ("the primary stepped down", True),
    237: ("somebody killed it", True),
    238: ("this server does not have it", False),
    292: ('let the server use its disk: "allowDiskUse": true in the query', False),
    8000: (_LOGIN, False),
    11600: ("the server is shutting down", True),
    11602: ("the primary stepped down", True),
}
_AUTHENTICATION_FAILED = 18
_ATLAS_LOGIN = "bad auth"
_TAILABLE_ONLY_CAPPED = "non capped collection"

# Words in what pymongo says of a server it cannot reach; what to say, what to do.
_CONNECTING = (
    ("certificate verify failed", "TLS: the server's certificate is not accepted", "see tlsCAFile"),
    ("wrong version number", "TLS: the server does not speak it", "leave out tls=true"),
    ("[SSL", "TLS: no agreement with the server", "see the tls options of the address"),
    ("Connection refused", "connection refused", _ADDRESS),
    ("Errno 111] Connect call failed", "connection refused", _ADDRESS),  # as asyncio says it, on Linux
    ("Errno 61] Connect call failed", "connection refused", _ADDRESS),  # ... on macOS
    ("Name or service not known", "unknown host", _ADDRESS),
    ("nodename nor servname", "unknown host", _ADDRESS),
    ("name resolution", "unknown host", _ADDRESS),
    ("No replica set members", "no member of the replica set answers", _ADDRESS),
    ("connection closed", "the server closes the connection", "does it want TLS (tls=true)?"),
    ("timed out", "no answer in time", _ADDRESS),
    ("No servers found yet", "no answer in time", _ADDRESS),
)


class CursorLost(Exception):
    """The server closed a tailable cursor."""


@contextmanager
def translating(where: str) -> Iterator[None]:
    """Turn pymongo's and bson's errors of the block into :class:`SourceError`."""
    errors, bson_errors = _errors(), need("bson.errors", extra="mongo", why="read MongoDB")
    try:
        yield
    except (errors.OperationFailure, errors.NotPrimaryError) as exc:
        raise _of_server(exc, where) from exc
    except errors.ServerSelectionTimeoutError as exc:
        raise _unreachable(str(exc), where) from exc
    except errors.ConnectionFailure as exc:
        raise SourceError("the connection was lost", where=where, transient=True) from exc
    except errors.PyMongoError as exc:
        raise SourceError(str(exc).partition("\n")[0], where=where) from exc
    except bson_errors.BSONError as exc:
        raise SourceError(
            f"a document can not be read: {exc}", where=where, hint="is there text in it that is not UTF-8?"
        ) from exc
    except CursorLost as exc:
        raise SourceError(
            "the server has closed the cursor",
            where=where,
            hint="documents were overwritten before they were read, or the collection was dropped",
        ) from exc


def refuses_no_timeout(exc: Any) -> bool:
    """Whether the server failed a query because it does not let a cursor live without a time limit."""
    return re.search(r"no_?(cursor_?)?timeout", str(exc), re.IGNORECASE) is not None


def _of_server(exc: Any, where: str) -> SourceError:
    details: dict[str, Any] = exc.details or {}
    message = str(details.get("errmsg") or exc).strip()
    code = details.get("code", 0)
    hint, transient = _HINTS.get(code, ("", False))
    if code == _AUTHENTICATION_FAILED or _ATLAS_LOGIN in message:
        return SourceError("wrong user or password", where=where, hint=_LOGIN)
    if _TAILABLE_ONLY_CAPPED in message:
        hint = "mode=tail reads capped collections, and no others"
    return SourceError(message, where=where, hint=hint, transient=transient)


def _unreachable(text: str, where: str) -> SourceError:
    for words, message, hint in _CONNECTING:
        if words in text:
            return SourceError(message, where=where, hint=hint, transient=True)
    return SourceError("no server answers", where=where, hint=_ADDRESS, transient=True)


def _errors() -> Any:
    return need("pymongo.errors", extra="mongo", why="read MongoDB")
