"""A class of TLS sockets that are closed if creating them fails, which ``ssl`` leaves to the garbage collector."""

from __future__ import annotations

import errno
import ssl

__all__ = ["TlsSocket"]

_NOT_YET = {errno.ENOTCONN, errno.EINVAL, errno.EAGAIN}


class TlsSocket(ssl.SSLSocket):
    """For ``SSLContext.sslsocket_class``: closed when the peer resets the connection before the handshake begins.

    ``wrap_socket`` takes the descriptor over, looks whether the other side has gone, by reading a byte, raises what that
    raised, and leaves the new socket, which nobody else has, to the garbage collector.
    """

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive as ``ssl.SSLSocket`` does."""
        try:
            return super().recv(buflen, flags)
        except OSError as exc:
            if getattr(self, "_sslobj", None) is None and exc.errno not in _NOT_YET:
                self.close()
            raise
