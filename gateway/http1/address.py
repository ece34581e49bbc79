"""A URL taken apart, once: where to connect to, and what the request line and the host header say."""

from __future__ import annotations

import base64
import ipaddress
import re
import urllib.parse
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.http1.failures import BadAddress

PORTS: Final = {"http": 80, "https": 443}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_HOST: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%-]+")
_PATH: Final = "!$&'()*+,;=:@/%~"  # what stays as it is
_QUERY: Final = _PATH + "?[]"
_KNOWN_CHARS_MAX: Final = 1024  # longer ones hold what some caller asked for, and seldom come again


@dataclass(frozen=True, slots=True)
class Address:
    """host: a name in ASCII, or an address without brackets. authority: host and port, the port if it is not the scheme's own,
    and the host without the dot that may end a full name.

    target: path and query. credentials: the value of a Basic authorization, from user and password in the URL; b"" for none.
    """

    is_tls: bool
    host: str
    port: int
    authority: bytes
    target: bytes
    credentials: bytes


class Origin(NamedTuple):
    """What connections have in common that can stand in for each other. proxy: the URL of the one they go through.

    A tuple, since connections are looked for by it, and its hash is made in C.
    """

    is_tls: bool
    host: str
    port: int
    proxy: str | None = None


def address_of(url: str) -> Address:
    """What is not ASCII, and spaces, are quoted; all else goes out as it stands. Raises BadAddress."""
    return _known_address(url) if len(url) <= _KNOWN_CHARS_MAX else _address(url)


def _address(url: str) -> Address:
    if _CONTROL.search(url):
        raise BadAddress("a URL holds no control characters")
    try:
        parts = urllib.parse.urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        default_port = PORTS[scheme]
        host = _ascii(host)
    except (KeyError, ValueError) as exc:
        raise BadAddress("not an http or https URL with a host") from exc
    port = default_port if port is None else port
    if not port:
        raise BadAddress("port 0 cannot be called")
    shown = f"[{host}]" if ":" in host else host.removesuffix(".")  # which few servers know as their name
    if not shown:
        raise BadAddress("the host is a dot")
    target = urllib.parse.quote(parts.path or "/", safe=_PATH)
    if parts.query:
        target += "?" + urllib.parse.quote(parts.query, safe=_QUERY)
    return Address(
        is_tls=scheme == "https",
        host=host,
        port=port,
        authority=(shown if port == default_port else f"{shown}:{port}").encode("ascii"),
        target=target.encode("ascii"),
        credentials=_basic(parts),
    )


_known_address: Final = lru_cache(maxsize=1024)(_address)


def _ascii(host: str) -> str:
    """Raises ValueError (UnicodeError is one)."""
    if ":" in host:
        ipaddress.IPv6Address(host.partition("%")[0])  # a zone may follow
        return host
    name = host if host.isascii() else _international(host)
    if not _HOST.fullmatch(name):
        raise ValueError("no host")
    return name


def _international(name: str) -> str:
    """As browsers read it (UTS 46), which Python's own codec does not: ß is no ss, but another's host. Raises UnicodeError."""
    import idna  # few have such a name, and its tables are large

    return idna.encode(name, uts46=True).decode("ascii")


def _basic(parts: urllib.parse.SplitResult) -> bytes:
    if parts.username is None and parts.password is None:
        return b""
    user, password = urllib.parse.unquote(parts.username or ""), urllib.parse.unquote(parts.password or "")
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def proxy_address(url: str) -> Address:
    """Of a proxy, whose URL may stand without a scheme, as in http_proxy=proxy:3128. Raises BadAddress."""
    try:
        return address_of(url if "://" in url else f"http://{url}")
    except BadAddress as exc:
        raise BadAddress(f"the proxy's address is {exc}") from exc
