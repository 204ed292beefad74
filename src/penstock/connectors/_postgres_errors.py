"""From PostgreSQL's errors to ours."""

from __future__ import annotations

from penstock.connectors._libpq import LostConnection, ServerError
from penstock.errors import SourceError

__all__ = ["UNDEFINED_TABLE", "of_connection", "of_statement"]

UNDEFINED_TABLE = "42P01"

_LOGIN = "check user and password: in the address, PGUSER and PGPASSWORD, or ~/.pgpass"
_ADDRESS = "are host and port right, and is the server running?"

# Words in libpq's message, what to say, what to do, whether trying again may help.
_CONNECTING = (
    ("password authentication failed", "wrong user or password", _LOGIN, False),
    ("no password supplied", "the server wants a password", _LOGIN, False),
    ("no pg_hba.conf entry", "the server does not let this user in from here", "ask its administrator", False),
    ("could not translate host name", "unknown host", _ADDRESS, False),
    ("Connection refused", "connection refused", _ADDRESS, True),
    ("No such file or directory", "no server at this socket", _ADDRESS, True),
    ("timeout expired", "no answer in time", _ADDRESS, True),
    ("too many clients", "the server has no free connection", "try again later", True),
    ("starting up", "the server is starting up", "try again in a moment", True),
    ("shutting down", "the server is shutting down", "try again later", True),
    ("certificate", "TLS: the server's certificate is not accepted", "see sslmode and sslrootcert", False),
    ("definition of service", "no such service", "is it in ~/.pg_service.conf?", False),
)

_STATEMENTS = {
    "42501": ("this user may not read it: GRANT SELECT", False),
    "42601": ("is it one SELECT?", False),
    "25006": ("sources are only read", False),
    "57014": ("statement_timeout of this user or database, perhaps", True),
    "40001": ("a standby cancels long reads; read from the primary, or raise max_standby_streaming_delay", True),
    "53200": ("the server is out of memory", True),
    "53100": ("the server's disk is full", False),
    "57P01": ("the server is shutting down", True),
    "57P03": ("the server is starting up", True),
}


def of_connection(exc: LostConnection, where: str) -> SourceError:
    """Translate a failure to connect, or to stay connected."""
    text = str(exc)
    for words, message, hint, transient in _CONNECTING:
        if words in text:
            return SourceError(message, where=where, hint=hint, transient=transient)
    fatal = text.rpartition("FATAL:")[2].strip()
    return SourceError(fatal.partition("\n")[0] or "the connection was lost", where=where, transient=True)


def of_statement(exc: ServerError, where: str, *, similar: str = "") -> SourceError:
    """Translate what the server said of a statement; ``similar`` is a hint that names similar tables."""
    hint, transient = _STATEMENTS.get(exc.sqlstate, ("", False))
    return SourceError(str(exc), where=where, hint=similar or exc.server_hint or hint, transient=transient)
