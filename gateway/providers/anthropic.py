"""The Anthropic Messages API over HTTP. What is said in which dialect is decided next door, in anthropic_*.py."""

from __future__ import annotations

import functools
import re

from gateway.errors import UpstreamError
from gateway.providers.anthropic_answer import StreamTranslation, chat_body
from gateway.providers.anthropic_request import anthropic_body
from gateway.providers.base import Call, Exchange, Piece
from gateway.providers.event_stream import EventStream, brings_events
from gateway.providers.http import HttpClient, HttpResponse
from gateway.providers.offload import offloaded
from gateway.providers.pieces import whole_pieces
from gateway.providers.refusal import refusal
from gateway.providers.sse import event_data

# The version that still takes temperature and top_p; 2026-10-21 refuses them whatever the model.
VERSION = "2023-06-01"
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
        translate = functools.partial(anthropic_body, model_id=call.model.id, is_stream=is_stream)
        body = await offloaded(translate, call.request.body)
        response = await self._http.post(self._url, self._headers, body, connect_s=call.connect_s, sending=call.sending)
        try:
            if response.status != 200:
                error = await response.read_error()
                raise self._refusal(response, error)
            has_events = brings_events(self._name, response)
        except BaseException:
            response.close()
            raise
        if is_stream and has_events:
            return EventStream(self._name, response, AnthropicEvents(self._name, self._api_key))
        return AnthropicWhole(self._name, response, as_stream=is_stream, secret=self._api_key)

    async def aclose(self) -> None:
        """The client belongs to whoever made it."""

    def _refusal(self, response: HttpResponse, body: bytes) -> UpstreamError:
        error = refusal(self._name, response.status, response.headers, body, self._api_key)
        if error.is_callers_fault and _NOT_THE_CALLERS.search(error.message):
            error.is_callers_fault = False
        return error


class AnthropicEvents:
    """Reads a stream's events, translating each. The answer is whole with message_stop and not before."""

    is_whole = False

    def __init__(self, name: str, secret: str | None = None) -> None:
        self._name = name
        self._translation = StreamTranslation(name, secret)

    def read(self, event: bytes) -> list[Piece]:
        data = event_data(event)
        return [] if data is None else self._translation.feed(data)

    def end(self) -> Piece:
        raise UpstreamError(f"{self._name}: the stream ended in mid-answer", fault="cut", is_retryable=True)


class AnthropicWhole:
    """An answer in one body. as_stream: the caller asked for a stream and the server did not give one."""

    def __init__(self, name: str, response: HttpResponse, *, as_stream: bool, secret: str | None = None) -> None:
        self._name, self._response, self._as_stream, self._secret = name, response, as_stream, secret

    async def read(self) -> list[Piece]:
        body = chat_body(self._name, await self._response.read_whole(), self._secret)
        return whole_pieces(self._name, body, as_stream=self._as_stream, secret=self._secret)

    async def aclose(self) -> None:
        self._response.close()
