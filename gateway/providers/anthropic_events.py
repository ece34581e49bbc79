"""Readers of Anthropic's answers over HTTP: streams and whole bodies, translated, and on their way to who speaks the dialect."""

from __future__ import annotations

import msgspec

from gateway.errors import UpstreamError
from gateway.providers.anthropic_answer import chat_body, read_message, unpriced
from gateway.providers.anthropic_stream import StreamTranslation
from gateway.providers.anthropic_wire import Event
from gateway.providers.base import Piece
from gateway.providers.event_stream import EventReader
from gateway.providers.http_response import HttpResponse
from gateway.providers.pieces import sold, whole_pieces


class AnthropicEvents(EventReader):
    """Reads a stream's events, translating each. The answer is whole with message_stop and not before."""

    def __init__(self, name: str, secret: str | None = None) -> None:
        self._name = name
        self._translation = StreamTranslation(name, secret)

    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        return [] if data is None else self._translation.feed(data)

    def end(self) -> Piece:
        raise UpstreamError(f"{self._name}: the stream ended in mid-answer", fault="cut", is_retryable=True)


class NativeEvents(AnthropicEvents):
    """The same for a caller who speaks the dialect: each event goes on as it came, beside what it means.

    Its last ones, from the first message_delta on, wait for message_stop: they tell the usage.
    """

    def __init__(self, name: str, secret: str | None = None) -> None:
        super().__init__(name, secret)
        self._closing = b""

    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        if data is None:
            return []  # a comment, which no SDK sees
        read = self._translation.read(data)
        pieces = self._translation.pieces(read)
        if read.type == "message_delta":
            self._closing += event
            return pieces
        if read.type == "message_stop":
            return [*self._closed(pieces, event)]
        if not pieces:
            return [self._unread(read, event)]
        return [msgspec.structs.replace(pieces[0], native=event), *pieces[1:]]

    def _closed(self, pieces: list[Piece], event: bytes) -> list[Piece]:
        usage = pieces[0] if pieces[0].is_usage_only else Piece(is_usage_only=True)
        return [msgspec.structs.replace(usage, native=self._closing + event), pieces[-1]]

    def _unread(self, read: Event, event: bytes) -> Piece:
        if not self._translation.is_foreign(read):
            return Piece(native=event)
        text = read.delta.partial_json if read.delta is not None else ""
        # With the count, which knows from here on of a tool that is paid for, should the stream be cut.
        return Piece(native=event, has_content=True, text=text, usage=self._translation.count())


class AnthropicWhole:
    """An answer in one body. as_stream: the caller asked for a stream and the server did not give one.

    is_native: the caller speaks the dialect, and gets the body as it came.
    """

    def __init__(
        self, name: str, response: HttpResponse, *, as_stream: bool, is_native: bool = False, secret: str | None = None
    ) -> None:
        self._name, self._response, self._secret = name, response, secret
        self._as_stream, self._is_native = as_stream, is_native

    async def read(self) -> list[Piece]:
        body = await self._response.read_whole()
        message = read_message(self._name, body, self._secret)
        pieces = whole_pieces(self._name, chat_body(message), as_stream=self._as_stream, secret=self._secret)
        pieces[0] = sold(pieces[0], unpriced(message))
        if not self._is_native or self._as_stream:
            return pieces
        # A block that has no place in the chat dialect is an answer all the same.
        return [msgspec.structs.replace(pieces[0], native=body, has_content=pieces[0].has_content or bool(message.content))]

    async def aclose(self) -> None:
        self._response.close()
