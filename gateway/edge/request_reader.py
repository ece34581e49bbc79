"""From the bytes of a connection to its requests: HTTP/1.1 as httptools reads it, and no other protocol."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any, Final, Protocol

import httptools

from gateway.edge.endpoint import Endpoint
from gateway.edge.http_exchange import HttpExchange, Line
from gateway.edge.request_head import KnownHead, RequestHead, known_again

HEAD_BYTES_MAX: Final = 65_536  # of a request line and its headers; eight times what other servers take
LESSONS_MAX: Final = 8  # so many heads of a client are learnt: of one that says something else each time it would be in vain
NoHttp = httptools.HttpParserError
"""What a client sent is no HTTP."""


class HeadTooLarge(NoHttp):
    """More of a head than is read. path, headers: what is known of the request."""

    def __init__(self, path: str, headers: dict[bytes, bytes]) -> None:
        super().__init__(f"a head of more than {HEAD_BYTES_MAX} bytes")
        self.path, self.headers = path, headers


class Receiver(Line, Protocol):
    """The connection, as the reader sees it."""

    def came(self, exchange: HttpExchange) -> None:
        """The head of a request is there, and maybe more of it; the reader fills it on."""
        ...


class RequestReader:
    """receiving: the request whose body is to come. hot: by path, what answers a POST there; looked at when a head is parsed.

    A head that is known is not parsed, nor is the body behind it: the parser does not hear of either, between two requests.
    """

    def __init__(self, connection: Receiver, hot: Mapping[str, Endpoint[Any]]) -> None:
        self._connection, self._hot = connection, hot
        self._parser = self._new_parser()
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self.receiving: HttpExchange | None = None
        self._unread = 0  # bytes since the last that made a head whole, or were of a body
        self._head_size_max = 0  # no head that is made whole by what is read now has more
        self._is_between = True  # two requests, for the parser
        self._parsed: list[HttpExchange] = []  # whose heads were made whole by what is read now
        self._known: KnownHead | None = None
        self._lessons = LESSONS_MAX
        self._missing = 0  # bytes of the body behind a known head

    def feed(self, data: bytes) -> None:
        """Read on. Raises NoHttp; nothing that comes after it can be read."""
        if self._missing:
            data = self._behind_body(data)
            if not data:
                return
        if self._known is None or not self._is_between or self._unread or not self._is_again(self._known, data):
            self._parse(data)

    def close(self) -> None:
        """Nothing more is read."""
        del self._parser  # which knows this reader

    @property
    def is_amid(self) -> bool:
        """Whether a request has begun that is not whole."""
        return self._unread > 0 or self.receiving is not None

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._is_between, self._url, self._headers = False, b"", []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._head_size_max > HEAD_BYTES_MAX and self._head_size() > HEAD_BYTES_MAX:
            raise self._too_large()
        if self._parser.should_upgrade():
            return  # see _stays_http
        self._unread = 0
        head = self._head()
        self._headers = []  # what follows a body in chunks is none of the request's
        self.receiving = HttpExchange(self._connection, head, self._hot.get(head.path) if head.method == "POST" else None)
        self._parsed.append(self.receiving)
        self._connection.came(self.receiving)

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        exchange = self.receiving
        if exchange is not None and not exchange.is_complete:
            exchange.size += len(body)
            exchange.chunks.append(body)

    def on_message_complete(self) -> None:
        self._is_between, self._unread = True, 0
        if self.receiving is not None:
            self.receiving.is_received = True
            self._is_between = self.receiving.head.keeps_alive  # behind the last request nothing is read
            self.receiving = None

    # The rest.

    def _behind_body(self, data: bytes) -> bytes:
        body, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(body)
        self.on_body(body)
        if not self._missing:
            self.on_message_complete()
        return rest

    def _is_again(self, known: KnownHead, data: bytes) -> bool:
        """Whether it is the known head, with nothing behind it but its body, or the beginning of that; then it is read."""
        end = known.end_in(data)
        size = len(data) - end
        if not end or size > known.body_bytes:
            return False
        exchange = HttpExchange(self._connection, known.head, known.endpoint)
        exchange.chunks, exchange.size = [data[end:]], size
        if size == known.body_bytes:
            exchange.is_received = True
        else:
            self.receiving, self._missing = exchange, known.body_bytes - size
        self._connection.came(exchange)
        return True

    def _parse(self, data: bytes) -> None:
        was_between = self._is_between
        self._unread = self._head_size_max = self._unread + len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            self._stays_http(data[exc.args[0] :])
            was_between = False  # the head as it stands was not taken
        except httptools.HttpParserCallbackError as exc:
            raise exc.__context__ or exc from None  # what was raised below
        if self._unread > HEAD_BYTES_MAX:  # or what follows a body in chunks
            raise self._too_large()
        parsed, self._parsed = self._parsed, []
        if was_between and len(parsed) == 1 and self._lessons and (endpoint := parsed[0].endpoint) is not None:
            self._lessons -= 1
            self._known = known_again(parsed[0].head, endpoint, data, parsed[0].size)

    def _head(self) -> RequestHead:
        parser = self._parser
        raw_path, query = self._url, b""
        path = raw_path.decode("latin-1")
        if path not in self._hot:
            url = httptools.parse_url(self._url)
            if url.path is None:
                raise httptools.HttpParserInvalidURLError(f"{self._url[:200]!r} has no path")
            raw_path, query = url.path, url.query or b""
            path = urllib.parse.unquote(raw_path.decode("ascii"))
        is_current = parser.get_http_version() != "1.0"
        return RequestHead(
            parser.get_method().decode("ascii"),
            path,
            raw_path,
            query,
            self._headers,
            keeps_alive=is_current and parser.should_keep_alive(),
            is_chunked=is_current,
        )

    def _head_size(self) -> int:
        return len(self._url) + sum([len(name) + len(value) for name, value in self._headers])

    def _too_large(self) -> HeadTooLarge:
        return HeadTooLarge(self._url.decode("latin-1"), dict(self._headers))

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # What follows a request with `connection: close` does not spoil its answer.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _stays_http(self, rest: bytes) -> None:
        """Who proposes another protocol is answered in this one, as RFC 9110, 7.8 has it: Java's client proposes one each time.

        The parser takes what follows the head for the other protocol, the body with it. So the head is read again, without the
        proposal.
        """
        while True:
            method, version = self._parser.get_method(), self._parser.get_http_version().encode()
            if method == b"CONNECT":
                raise httptools.HttpParserInvalidMethodError("CONNECT asks for a tunnel")
            lines = [b"%b: %b\r\n" % header for header in self._headers if header[0] != b"upgrade"]
            head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self._url, version, b"".join(lines))
            self._parser = self._new_parser()
            try:
                self._parser.feed_data(head + rest)
            except httptools.HttpParserUpgrade as exc:  # another one
                rest = (head + rest)[exc.args[0] :]
            else:
                return
