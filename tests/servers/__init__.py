"""Real servers for tests, demo and examples: private, started on demand, gone afterwards.

Each module holds one server and one context manager that starts it, and says in :class:`Unavailable` why it cannot::

    with run_postgres() as postgres: postgres.new_database().uri
    with run_s3() as s3: s3.create_bucket()
    with HttpServer() as http: http.url

Nothing here pretends: PostgreSQL is PostgreSQL, the object store is OpenStack Swift behind its S3 interface, and
the HTTP server is a plain one over sockets that keeps exact books on what arrived; ``object_stores`` has another S3
server, and says of the others that they are emulators. ``http`` and ``s3`` need the
standard library only, so that ``demo/`` and ``examples/`` can use them; ``postgres`` needs psycopg,
``mariadb`` PyMySQL.
"""

__all__ = ["Unavailable"]


class Unavailable(RuntimeError):
    """A server cannot be had on this machine; the message says why and what would help."""
