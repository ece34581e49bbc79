"""Who may come in while no virtual key exists: programs on this machine, but no web page.

A page that its user visits can send requests to loopback: plain ones from its own origin, and, once its name is made
to point here (DNS rebinding), any, and read the answers. Both show in the headers that a browser sets by itself.
"""

from __future__ import annotations

import functools
import urllib.parse
from typing import Final

from gateway.errors import ClientError
from gateway.loopback import is_loopback

FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")  # what proxies say


def refused(headers: dict[bytes, bytes]) -> ClientError | None:
    """Why this request is not let in, None if it is: its Host and, if any, its Origin must be this machine."""
    host = headers.get(b"host", b"localhost").decode("latin-1")
    origin = headers.get(b"origin")
    if not _is_local(f"//{host}"):
        return _error("Host", host)
    if origin is not None and not _is_local(origin.decode("latin-1")):
        return _error("Origin", origin.decode("latin-1"))
    return None


def is_here(client: tuple[str, int] | None, headers: dict[bytes, bytes]) -> bool:
    """Whether a program on this machine asks for itself: not a web page, and not a proxy for somebody elsewhere.

    client: the address that the connection comes from.
    """
    is_forwarded = any(name in headers for name in FORWARDED)
    return client is not None and is_loopback(client[0]) and not is_forwarded and refused(headers) is None


@functools.lru_cache(maxsize=256)  # callers send the same few values with every request
def _is_local(url: str) -> bool:
    try:
        return is_loopback(urllib.parse.urlsplit(url).hostname or "")
    except ValueError:
        return False


def _error(header: str, value: str) -> ClientError:
    message = (
        f"{header} {value[:200]!r} is not this machine. Without virtual keys only programs on this machine are served; "
        "make one with `turnout keys create`, or give --insecure if something in front of the gateway keeps others out"
    )
    return ClientError(message, status=403, code="not_local")
