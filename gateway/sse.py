"""Server-sent events out of bytes. No I/O.

A network chunk is not an event: events arrive split and joined in any way. Format after the WHATWG HTML
standard, 9.2.6 "Interpreting an event stream" (data, comments, CRLF, LF and CR line ends, byte order mark).
"""

from __future__ import annotations

import re
from typing import Final

BOM = b"\xef\xbb\xbf"
EVENT_BYTES_MAX = 16 * 1024 * 1024
CR: Final = ord("\r")  # a number is looked for ten times as fast as a bytes object
# After a CR at the very end of what has arrived, an LF may still belong to it; the pattern waits for it.
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r(?=[^\n])|\n\r\n|\r\n\n|\n\r(?=[^\n])|\r\r\n")


class EventTooLong(Exception):
    """One event is larger than EVENT_BYTES_MAX."""


class EventParser:
    """Feed it bytes, get whole events; holds at most one unfinished event."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._is_first = True

    def lines(self, chunk: bytes) -> list[bytes] | None:
        """The data of the events in `chunk`, where each is one line of data and nothing else; None: it is to be fed.

        Nearly every read is so, of one event or of many, and is read without a step of Python for each.
        """
        if self._rest or CR in chunk or not chunk.startswith(b"data: ") or not chunk.endswith(b"\n\n"):
            return None
        lines = chunk[6:-2].split(b"\n\ndata: ")
        if chunk.count(b"\n") != 2 * len(lines):  # there are other lines, and others' ends
            return None
        self._is_first = False  # what begins with data has no byte order mark
        return lines

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
        if not self._rest and chunk.endswith(b"\n\n") and CR not in chunk:
            if chunk.find(b"\n\n") == len(chunk) - 2:
                return [chunk]  # exactly one event, which is what most reads bring
            *whole, rest_of_it = chunk.split(b"\n\n")
            if not rest_of_it:
                return [event + b"\n\n" for event in whole]
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


def line_event(*lines: bytes) -> bytes:
    """Events of one line of data each, for these data."""
    return b"data: " + b"\n\ndata: ".join(lines) + b"\n\n"


def event_data(event: bytes) -> bytes | None:
    """The joined data lines of an event; None for comments and events without data."""
    if event.find(b"\n") == len(event) - 2 and event.startswith(b"data: ") and event.endswith(b"\n\n") and CR not in event:
        return event[6:-2]  # one line of data and nothing else, as nearly every one is
    lines = [_value(line) for line in event.splitlines() if line.startswith(b"data:") or line == b"data"]
    return b"\n".join(lines) if lines else None


def event_name(event: bytes) -> str:
    """The event's type; "message" where it has none."""
    names = [_value(line) for line in event.splitlines() if line.startswith(b"event:") or line == b"event"]
    return (names[-1].decode("utf-8", "replace") if names else "") or "message"


def _value(line: bytes) -> bytes:
    value = line.partition(b":")[2]
    return value.removeprefix(b" ")
