"""The head of a request: what was read of it, and the same head when it comes again, which is known by its bytes."""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.edge.auth import Admission
from gateway.edge.endpoint import Endpoint
from gateway.edge.error_response import speaks_anthropic
from gateway.edge.request_headers import given_id

DIGITS_MAX: Final = 12  # of a length
KNOWN_BYTES_MAX: Final = 8_192  # of a head that is known again: each connection may have one
KNOWN_LINES_MAX: Final = 64  # of it: what is held of a line weighs more than a short line itself
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,%d})\r\n" % DIGITS_MAX, re.IGNORECASE)


class RequestHead:
    """raw_headers: as they came first, in order, names in lower case. headers: as they came last, of several of a name the last.

    keeps_alive: the connection stays open after the answer. is_chunked: a stream is framed in chunks, and not by the connection's
    end, as in HTTP/1.0. awaits_word: the client sends the body when it is told to, and else maybe never. is_plain: neither is
    otherwise than usual, nor is the body encoded. given_id: the caller's for the request. admission: whose it was when it came
    last.
    """

    admission: Admission | None = None

    def __init__(
        self,
        method: str,
        path: str,
        raw_path: bytes,
        query: bytes,
        raw_headers: list[tuple[bytes, bytes]],
        *,
        keeps_alive: bool,
        is_chunked: bool,
    ) -> None:
        self.method, self.path, self.raw_path, self.query = method, path, raw_path, query
        self.raw_headers, self.headers = raw_headers, dict(raw_headers)
        self.keeps_alive, self.is_chunked = keeps_alive, is_chunked
        self.awaits_word = is_chunked and self.headers.get(b"expect", b"").lower() == b"100-continue"
        is_usual = keeps_alive and is_chunked and not self.awaits_word
        self.is_plain = is_usual and b"content-encoding" not in self.headers
        self.given_id = given_id(self.headers)
        self.speaks_anthropic = speaks_anthropic(path, self.headers)


class KnownHead:
    """A head that a client has sent on its connection, and will send again: only the body's length is another each time.

    body_bytes: that length. before, after: the head's bytes around it. INVARIANT: they are all that the parser took for this
    head, from its first to its last. It keeps nothing of a request for the next one, so it would read them the same way again.
    """

    def __init__(self, head: RequestHead, endpoint: Endpoint[Any], before: bytes, digits: bytes, after: bytes) -> None:
        self.head, self.endpoint, self.body_bytes = head, endpoint, int(digits)
        self._before, self._after = before, after
        self._bytes = before + digits + after

    def end_in(self, data: bytes) -> int:
        """Where the head ends with which data begins, `head` and `body_bytes` being this request's; 0 if it is another one."""
        if data.startswith(self._bytes) or (data.startswith(self._before) and self._has_another_length(data)):
            return len(self._bytes)
        return 0

    def _has_another_length(self, data: bytes) -> bool:
        start = len(self._before)
        end = data.find(b"\r", start, start + DIGITS_MAX + 1)
        digits = data[start:end]
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return False
        self.body_bytes, self._bytes = int(digits), data[: end + len(self._after)]
        self.head.headers = {**self.head.headers, b"content-length": digits}  # the requests before keep their own
        return True


def known_again(head: RequestHead, endpoint: Endpoint[Any], data: bytes, body_bytes: int) -> KnownHead | None:
    """The head by which the client's next request may be known. data: what the parser has read: this head alone, and so much of
    its body. None for a head that is not simply followed by a body of its length, to be answered on the same connection.
    """
    end = data.find(b"\r\n\r\n") + 4
    found = _LENGTH.search(data, 0, end)
    if found is None or found[1] != head.headers.get(b"content-length") or end + body_bytes != len(data):
        return None
    # Another way to end a line might have ended the head before.
    line_ends = data.count(b"\r\n", 0, end)
    if not data.count(b"\r", 0, end) == data.count(b"\n", 0, end) == line_ends:
        return None
    if not head.is_plain or end > KNOWN_BYTES_MAX or line_ends > KNOWN_LINES_MAX:
        return None
    return KnownHead(head, endpoint, data[: found.start(1)], found[1], data[found.end(1) : end])
