"""Tell by its address whether a server is on this machine, so that TLS need not be verified. Resolves nothing."""

from __future__ import annotations

import ipaddress

__all__ = ["is_this_machine"]


def is_this_machine(host: str) -> bool:
    """Return whether ``host`` is ``localhost`` or a loopback address: 127.0.0.0/8, or ``::1``.

    Any other name counts as another machine, whatever it resolves to, because a name server decides that.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_loopback
