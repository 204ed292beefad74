"""From PostgreSQL's errors to ours: the one seam, for reading and for loading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import final

from penstock.connectors.postgres._libpq import LostConnection, ServerError
from penstock.errors import SinkError, SourceError

__all__ = ["DUPLICATE_TYPE", "NO_SNAPSHOT", "UNDEFINED_COLUMN", "UNDEFINED_TABLE", "Seam", "is_there_already"]

UNDEFINED_COLUMN = "42703"
UNDEFINED_TABLE = "42P01"
DUPLICATE_TYPE = "42710"
_DUPLICATE_TABLE = "42P07"
_UNIQUE_VIOLATION = "23505"
# Of the server's own tables: who makes a table while another transaction, which then commits, has made it, breaks these.
_NAMES_OF_TABLES = ('"pg_type_typname_nsp_index"', '"pg_class_relname_nsp_index"')
NO_SNAPSHOT = frozenset({"22023", "42704"})  # the one before and the one since PostgreSQL 17

_LOGIN = "check user and password: in the address, PGUSER and PGPASSWORD, or ~/.pgpass"
_ADDRESS = "are host and port right, and is the server running?"
# What to add to the address. A server on another machine is verified by default, so many will read these.
_NO_TLS = "?sslmode=disable goes without, unencrypted"
_AUTHORITY = "?sslrootcert=FILE has its authority's certificate; ?sslmode=require encrypts, but verifies nothing"
_NAME = "use that name, with ?hostaddr=IP if it leads elsewhere; ?sslmode=require encrypts, but verifies nothing"
_NO_NAME = "?sslmode=verify-ca&sslrootcert=FILE asks for none; ?sslmode=require encrypts, but verifies nothing"

# Words in libpq's message, what to say ("" for its own words from there on), what to do, whether trying again may help.
_CONNECTING = (
    ("password authentication failed", "wrong user or password", _LOGIN, False),
    ("no password supplied", "the server wants a password", _LOGIN, False),
    ("no pg_hba.conf entry", "the server does not let this user in from here", "ask its administrator", False),
    ("server does not support SSL", "TLS: the server does not offer it", _NO_TLS, False),
    ("server certificate for", "", _NAME, False),
    ("from server certificate", "TLS: the server's certificate has no name", _NO_NAME, False),
    ("certificate verify failed", "TLS: the server's certificate is not accepted", _AUTHORITY, False),
    ("root certificate file", "TLS: the file of authorities can not be used", _AUTHORITY, False),
    ("could not translate host name", "unknown host", _ADDRESS, False),
    ("Connection refused", "connection refused", _ADDRESS, True),
    ("No such file or directory", "no server at this socket", _ADDRESS, True),
    ("timeout expired", "no answer in time", _ADDRESS, True),
    ("too many clients", "the server has no free connection", "try again later", True),
    ("starting up", "the server is starting up", "try again in a moment", True),
    ("shutting down", "the server is shutting down", "try again later", True),
    ("definition of service", "no such service", "is it in ~/.pg_service.conf?", False),
)

# By SQLSTATE: what to do, whether trying again may help.
_ALWAYS: Mapping[str, tuple[str, bool]] = {
    "57014": ("statement_timeout of this user or database, perhaps", True),
    "53200": ("the server is out of memory", True),
    "53100": ("the server's disk is full", False),
    "57P01": ("the server is shutting down", True),
    "57P03": ("the server is starting up", True),
}
_READING: Mapping[str, tuple[str, bool]] = {
    **_ALWAYS,
    "42501": ("this user may not read it: GRANT SELECT", False),
    "42601": ("is it one SELECT?", False),
    "25006": ("sources are only read", False),
    "55P03": ("somebody waits to change the table: ALTER, TRUNCATE, VACUUM FULL; try again", True),
    "40001": ("a standby cancels long reads; read from the primary, or raise max_standby_streaming_delay", True),
}
_LOADING: Mapping[str, tuple[str, bool]] = {
    **_ALWAYS,
    "42501": ("this user may not write it: GRANT INSERT on the table, or CREATE on the schema", False),
    "3F000": ("CREATE SCHEMA makes one", False),
    "25006": ("the server is a standby, or the database is set to be read only", False),
    "22P02": ("the column has another type than the data", False),
    "22021": ("PostgreSQL's text holds no NUL character", False),
    "23502": ("the column takes no NULL", False),
    "40P01": ("somebody else locks the same tables in another order; try again", True),
    "2BP01": ("its columns differ, so it was to be replaced, but other objects depend on it: drop those, or it", False),
}


def is_there_already(exc: ServerError) -> bool:
    """Whether a table could not be made because there is one of its name by now."""
    is_broken = any(index in str(exc) for index in _NAMES_OF_TABLES)
    return exc.sqlstate == _DUPLICATE_TABLE or (exc.sqlstate == _UNIQUE_VIOLATION and is_broken)


@final
class Seam:
    """Where errors of one connection become ours.

    Args:
        where: the address, without secrets.
        error: ``SourceError`` when reading, ``SinkError`` when loading.
    """

    def __init__(self, where: str, error: type[SourceError] | type[SinkError]) -> None:
        self._where = where
        self._error = error
        self._hints = _READING if error is SourceError else _LOADING

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Translate whatever the connection raises in the block."""
        try:
            with self.lost_translated():
                yield
        except ServerError as exc:
            raise self.refused(exc) from exc

    @contextmanager
    def lost_translated(self) -> Iterator[None]:
        """Translate a failure to connect, or to stay connected; leave alone what the server refuses."""
        try:
            yield
        except LostConnection as exc:
            raise self._lost(exc) from exc

    def refused(self, exc: ServerError, *, hint: str = "") -> SourceError | SinkError:
        """Return our error for what the server said; ``hint`` is better than any known here."""
        known, transient = self._hints.get(exc.sqlstate, ("", False))
        said = ": ".join(filter(None, (str(exc), exc.detail)))
        context = exc.context.partition("\n")[0]
        if context.startswith("COPY") and self._error is SinkError:
            said = f"{said}: {context}"
        return self._error(_one_line(said), where=self._where, hint=hint or known or exc.hint, transient=transient)

    def _lost(self, exc: LostConnection) -> SourceError | SinkError:
        text = str(exc)
        for words, message, hint, transient in _CONNECTING:
            if words in text:
                message = message or f"TLS: {words}{text.partition(words)[2]}".partition("\n")[0]
                return self._error(message, where=self._where, hint=hint, transient=transient)
        fatal = text.rpartition("FATAL:")[2].strip()
        message = fatal.partition("\n")[0] or "the connection was lost"
        return self._error(message, where=self._where, transient=True)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
