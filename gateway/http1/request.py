"""The head of a request, encoded once for all that go to the same address with the same headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.http1.address import Origin, address_of, proxy_address
from gateway.http1.failures import BadRequest

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUES: Final = re.compile(r"[\r\n\x00]")
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # which say no length when they have no body
_FRAMING: Final = ("content-length", "transfer-encoding")  # ours alone to say


@dataclass(frozen=True, slots=True)
class Request:
    """All of a request but its body. head: the request line and the headers, without the empty line at their end."""

    origin: Origin
    head: bytes
    is_head: bool
    has_length: bool

    def headed(self, body_bytes: int) -> bytes:
        """The whole head for a body of so many bytes."""
        if body_bytes or self.has_length:
            return b"%bcontent-length: %d\r\n\r\n" % (self.head, body_bytes)
        return self.head + b"\r\n"


def request_of(method: str, url: str, headers: Mapping[str, str], proxy: str | None) -> Request:
    """headers: of two names that differ in case alone the last counts. proxy: the URL of the one that it goes through.

    Raises BadAddress and BadRequest.
    """
    address = address_of(url)
    if not _TOKEN.fullmatch(method):
        raise BadRequest("the method is no word")
    lines = {"host": b"host: " + address.authority}
    if address.credentials:
        if "authorization" in {name.lower() for name in headers}:
            raise BadRequest("both the URL and a header hold credentials")
        lines["authorization"] = b"authorization: " + address.credentials
    target = address.target
    if proxy is not None and not address.is_tls:
        # Through a tunnel the server itself is spoken to. Without one the proxy reads along, and wants the whole address.
        target = b"http://" + address.authority + target
        if credentials := proxy_address(proxy).credentials:
            lines["proxy-authorization"] = b"proxy-authorization: " + credentials
    lines.update((name.lower(), _line(name, value)) for name, value in headers.items() if name.lower() not in _FRAMING)
    head = b"\r\n".join([b"%b %b HTTP/1.1" % (method.encode("ascii"), target), *lines.values(), b""])
    origin = Origin(address.is_tls, address.host, address.port, proxy)
    return Request(origin, head, is_head=method == "HEAD", has_length=method not in _BODILESS)


def _line(name: str, value: str) -> bytes:
    """Values are UTF-8, as most servers read them. Raises BadRequest for what would be more than one header."""
    if not _TOKEN.fullmatch(name):
        raise BadRequest(f"{name[:100]!r} is no header name")
    if _NOT_IN_VALUES.search(value):
        raise BadRequest(f"the value of header {name[:100]!r} has a line break or a null character in it")
    try:
        return f"{name}: {value}".encode()
    except UnicodeEncodeError as exc:
        raise BadRequest(f"the value of header {name[:100]!r} cannot be encoded") from exc
