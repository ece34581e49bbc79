"""Is an address this machine's own?"""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """host: a name or an address, without brackets and port. Names are not looked up, only `localhost` is known."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
