"""The head of a response, as bytes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from gateway.reply import Headers

_PHRASES: Final = {int(known): known.phrase for known in HTTPStatus}


def _status_line(status: int) -> bytes:
    phrase = _PHRASES.get(status, "")
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_PLAIN: Final = bytes(range(0x20, 0x7F))
STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 600)}


def plain(value: str) -> str:
    """A header's value may quote what providers and policies say: anything that is not plain text is replaced."""
    if value.isascii() and value.isprintable():
        return value
    return "".join([c if " " <= c <= "~" else "?" for c in value])


def header_lines(headers: Headers) -> bytes:
    """These headers, each with its line's end."""
    if not headers:
        return b""
    # All are looked at together, since nearly always all of them are plain: then what is not are the ends of the lines.
    lines = "\r\n".join(map(": ".join, headers)).encode("ascii", "replace")
    if lines.translate(None, _PLAIN) != b"\r\n" * (len(headers) - 1):
        lines = "\r\n".join([f"{name}: {plain(value)}" for name, value in headers]).encode("ascii")
    return lines + b"\r\n"
