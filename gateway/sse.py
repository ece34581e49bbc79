"""Server-sent events out of bytes. No I/O.

A network chunk is not an event: events arrive split and joined in any way. Format after the WHATWG HTML
standard, 9.2.6 "Interpreting an event stream" (data, comments, CRLF, LF and CR line ends, byte order mark).
"""

from __future__ import annotations

import re

BOM = b"\xef\xbb\xbf"
EVENT_BYTES_MAX = 16 * 1024 * 1024
# After a CR at the very end of what has arrived, an LF may still belong to it; the pattern waits for it.
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r(?=[^\n])|\n\r\n|\r\n\n|\n\r(?=[^\n])|\r\r\n")


class EventTooLong(Exception):
    """One event is larger than EVENT_BYTES_MAX."""


class EventParser:
    """Feed it bytes, get whole events; holds at most one unfinished event."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._is_first = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes, each with its blank line. Raises EventTooLong."""
        if self._is_first:
            chunk = bytes(self._rest) + chunk
            self._rest.clear()
            if BOM.startswith(chunk):
                self._rest += chunk  # a byte order mark, or the beginning of one
                return []
            self._is_first = False
            chunk = chunk.removeprefix(BOM)
        if not self._rest and chunk.endswith(b"\n\n") and chunk.count(b"\n\n") == 1 and b"\r" not in chunk:
            return [chunk]  # exactly one event, which is what most reads bring
        rest = self._rest
        # A separator is up to four bytes long and may straddle two chunks.
        search = max(len(rest) - 3, 0)
        rest += chunk
        events: list[bytes] = []
        start = 0
        while found := _END.search(rest, search):
            events.append(bytes(rest[start : found.end()]))
            start = search = found.end()
        del rest[:start]
        if len(rest) > EVENT_BYTES_MAX:
            raise EventTooLong
        return events

    @property
    def rest(self) -> bytes:
        """What has arrived of an event that never ended."""
        return bytes(self._rest)


def event_data(event: bytes) -> bytes | None:
    """The joined data lines of an event; None for comments and events without data."""
    if event.startswith(b"data: ") and event.count(b"\n") == 2 and b"\r" not in event:
        return event[6:-2]  # what nearly every event looks like
    lines = [_value(line) for line in event.splitlines() if line.startswith(b"data:") or line == b"data"]
    return b"\n".join(lines) if lines else None


def event_name(event: bytes) -> str:
    """The event's type; "message" where it has none."""
    names = [_value(line) for line in event.splitlines() if line.startswith(b"event:") or line == b"event"]
    return (names[-1].decode("utf-8", "replace") if names else "") or "message"


def _value(line: bytes) -> bytes:
    value = line.partition(b":")[2]
    return value.removeprefix(b" ")
