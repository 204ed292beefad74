"""Whether a server is on this machine, where nobody can stand in between. By the look of its address: nothing is resolved."""

from __future__ import annotations

import ipaddress

__all__ = ["is_this_machine"]


def is_this_machine(host: str) -> bool:
    """Return whether ``host`` is ``localhost`` or a loopback address: 127.0.0.0/8, or ``::1``.

    Any other name is elsewhere, whatever it resolves to: who answers for it is for others to say.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_loopback
