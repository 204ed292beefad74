"""Turn errors of MySQL and of the network into ours, with hints. Source and sink let no other error through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar, final

from penstock.connectors.mysql._wire import LostConnection, ServerError
from penstock.errors import ConnectorError

__all__ = [
    "BAD_FIELD",
    "DENIED",
    "LOCK_TIMEOUT",
    "NOT_LOCKED",
    "NO_SUCH_DATABASE",
    "NO_SUCH_TABLE",
    "TABLE_EXISTS",
    "Seam",
]

NO_SUCH_DATABASE = 1049
NO_SUCH_TABLE = 1146
TABLE_EXISTS = 1050
BAD_FIELD = 1054
NOT_LOCKED = 1100  # after LOCK TABLES: what is read is not one of those
LOCK_TIMEOUT = 1205
DENIED = frozenset({1044, 1142})  # on the database, on the table

_LOGIN = "check user and password: in the address, MYSQL_PWD, or ~/.my.cnf"
_ADDRESS = "are host and port right, and is the server running?"
# What to add to the address. A server on another machine is verified by default, so many will read these.
_NO_TLS = "?ssl-mode=disabled goes without, unencrypted"
_AUTHORITY = "?ssl-ca=FILE has its authority's certificate; ?ssl-mode=required encrypts, but verifies nothing"
_NAME = "use a name that is; ?ssl-mode=verify-ca takes any of that authority, ?ssl-mode=required takes any"
_PACKET = (
    "a row is longer than the server's max_allowed_packet: raise it there, SET GLOBAL max_allowed_packet = 1073741824"
)
_KILLED = "somebody killed the query, or it ran into a time limit of the server"

# Words of a failure without a number, what to say, what to do, whether trying again may help.
_LOST = (
    ("unknown host", "unknown host", _ADDRESS, False),
    ("Connection refused", "connection refused", _ADDRESS, True),
    ("No such file or directory", "no server at this socket", _ADDRESS, False),
    ("timed out", "no answer in time", _ADDRESS, True),
    ("mismatch, certificate is not valid for", "TLS: this name is not in the server's certificate", _NAME, False),
    ("certificate verify failed", "TLS: the server's certificate is not accepted", _AUTHORITY, False),
    ("SSL is required", "TLS: the server does not offer it", _NO_TLS, False),
    ("password in clear", "the server asks for the password in clear, and there is no TLS", "see ssl-mode", False),
    ("cryptography", "this login needs a further package", "pip install 'penstock[mysql]'", False),
    ("PyNaCl", "this login needs a further package", "pip install pynacl", False),
)

# Numbers of the server: what to do, whether trying again may help.
_HINTS = {
    1040: ("the server has no free connection; try again later", True),
    1044: ("ask the administrator for rights on this database", False),
    1045: (_LOGIN, False),
    1049: ("is the name of the database right?", False),
    1064: ("is it one SELECT, as this server writes it?", False),
    1114: ("the server's disk or tablespace is full", False),
    1021: ("the server's disk is full", False),
    1028: ("the server's temporary folder is full", False),
    1053: ("the server is shutting down", True),
    1118: ("InnoDB takes rows of about 8,000 bytes, most of long texts aside: load fewer columns", False),
    1130: ("the server does not let anybody in from this machine; ask its administrator", False),
    1142: ("ask the administrator for rights on this table", False),
    1143: ("ask the administrator for rights on this column", False),
    1153: (_PACKET, False),
    1205: ("another transaction holds it; try again", True),
    1213: ("another transaction was in the way; try again", True),
    1317: (_KILLED, True),
    1698: (_LOGIN, False),
    1792: ("sources are only read", False),
    1927: (_KILLED, True),
    1969: ("max_statement_time of this user or server", True),
    3024: ("max_execution_time of this user or server", True),
    3750: ("every table needs a primary key there: make the table first, with one, and append to it", False),
    1451: ("other tables refer to its rows", False),
    1452: ("a foreign key refers to a row that is not there", False),
    1419: ("the server does not allow this with its binary log", False),
}

E = TypeVar("E", bound=ConnectorError)


@final
class Seam(Generic[E]):
    """Translates what the server and the network do into one kind of error.

    Args:
        kind: ``SourceError`` or ``SinkError``.
        where: the address, for messages.
    """

    def __init__(self, kind: type[E], where: str) -> None:
        self._kind = kind
        self._where = where

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Raise what goes wrong in the block as an error of our own. Must not span a ``yield`` of data."""
        try:
            yield
        except ServerError as exc:
            raise self.of_server(exc) from exc
        except LostConnection as exc:
            raise self.of_connection(exc) from exc

    def of_server(self, exc: ServerError, *, hint: str = "") -> E:
        """Translate what the server said; ``hint`` knows better than the number."""
        usual, transient = _HINTS.get(exc.code, ("", False))
        text = " ".join(str(exc).split())  # it may quote lines of the statement
        return self._kind(text, where=self._where, hint=hint or usual, transient=transient)

    def of_connection(self, exc: LostConnection) -> E:
        """Translate a failure to connect, or to stay connected."""
        text = str(exc)
        if text.startswith("TLS: "):
            return self._kind(text, where=self._where)
        for words, message, hint, transient in _LOST:
            if words in text:
                return self._kind(message, where=self._where, hint=hint, transient=transient)
        return self._kind(f"the connection was lost: {text}", where=self._where, transient=True)

    def error(self, message: str, *, hint: str = "", transient: bool = False) -> E:
        """Return an error of our own finding."""
        return self._kind(message, where=self._where, hint=hint, transient=transient)
