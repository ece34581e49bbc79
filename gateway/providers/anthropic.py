"""The Anthropic Messages API over HTTP. What is said in which dialect is decided next door, in anthropic_*.py."""

from __future__ import annotations

import asyncio
import re

from gateway.errors import UpstreamError
from gateway.providers.anthropic_answer import StreamTranslation, chat_body
from gateway.providers.anthropic_request import anthropic_body
from gateway.providers.base import Call, Exchange, Piece
from gateway.providers.http import ERROR_BYTES_MAX, HttpClient, HttpResponse
from gateway.providers.pieces import whole_pieces
from gateway.providers.refusal import refusal
from gateway.providers.sse import EventParser, EventTooLong, event_data

# The version that still takes temperature and top_p; 2026-10-21 refuses them whatever the model.
VERSION = "2023-06-01"
# Translating 64 kB takes 1-2 ms when it is many messages (an image much less); beyond it the loop is not held up.
INLINE_BYTES_MAX = 64 * 1024
# Anthropic answers 400 also where this account or this model is the trouble, and another target would do better.
_NOT_THE_CALLERS = re.compile(
    r"credit balance|(not|n't) support|deprecated for this model|for this model|maximum allowed number of output tokens",
    re.IGNORECASE,
)


class AnthropicProvider:
    """base_url goes without /v1. headers come on top and may name another anthropic-version or anthropic-beta."""

    def __init__(
        self,
        name: str,
        http: HttpClient,
        base_url: str,
        *,
        api_key: str | None = None,
        headers: dict[str, str] | None = None,
        unavailable: str | None = None,
    ) -> None:
        self._name, self._http, self._api_key = name, http, api_key
        self._url = base_url.rstrip("/") + "/v1/messages"
        named = {name.lower(): value for name, value in (headers or {}).items()}
        self._headers = {"content-type": "application/json", "anthropic-version": VERSION, **named}
        if api_key:
            self._headers["x-api-key"] = api_key
        self.unavailable = unavailable

    async def open(self, call: Call) -> Exchange:
        is_stream = call.request.is_stream
        response = await self._http.post(self._url, self._headers, await self._body(call), connect_s=call.connect_s)
        try:
            if response.status != 200:
                error = await response.read_whole(ERROR_BYTES_MAX)
                raise self._refusal(response, error)
            is_events = response.headers.get("content-type", "").startswith("text/event-stream")
        except BaseException:
            response.close()
            raise
        if is_stream and is_events:
            return AnthropicStream(self._name, response)
        return AnthropicWhole(self._name, response, as_stream=is_stream)

    async def aclose(self) -> None:
        """The client belongs to whoever made it."""

    async def _body(self, call: Call) -> bytes:
        body, model_id, is_stream = call.request.body, call.model.id, call.request.is_stream
        if len(body) <= INLINE_BYTES_MAX:
            return anthropic_body(body, model_id, is_stream=is_stream)
        return await asyncio.to_thread(anthropic_body, body, model_id, is_stream=is_stream)

    def _refusal(self, response: HttpResponse, body: bytes) -> UpstreamError:
        error = refusal(self._name, response.status, response.headers, body, self._api_key)
        if error.is_callers_fault and _NOT_THE_CALLERS.search(error.message):
            error.is_callers_fault = False
        return error


class AnthropicStream:
    """A streamed answer, translated event by event. It is whole with message_stop and not before."""

    def __init__(self, name: str, response: HttpResponse) -> None:
        self._name, self._response = name, response
        self._parser = EventParser()
        self._translation = StreamTranslation(name)

    async def read(self) -> list[Piece]:
        while True:
            chunk = await self._response.read_chunk()
            if not chunk:
                raise UpstreamError(f"{self._name}: the stream ended in mid-answer", fault="cut", is_retryable=True)
            try:
                events = self._parser.feed(chunk)
            except EventTooLong as exc:
                raise UpstreamError(f"{self._name}: a stream event is too long", fault="malformed") from exc
            pieces = [piece for event in events for piece in self._pieces(event)]
            if pieces:
                return pieces

    async def aclose(self) -> None:
        self._response.close()

    def _pieces(self, event: bytes) -> list[Piece]:
        data = event_data(event)
        return self._translation.feed(data) if data is not None else []


class AnthropicWhole:
    """An answer in one body. as_stream: the caller asked for a stream and the server did not give one."""

    def __init__(self, name: str, response: HttpResponse, *, as_stream: bool) -> None:
        self._name, self._response, self._as_stream = name, response, as_stream

    async def read(self) -> list[Piece]:
        body = chat_body(self._name, await self._response.read_whole())
        return whole_pieces(self._name, body, as_stream=self._as_stream)

    async def aclose(self) -> None:
        self._response.close()
