"""Any server that speaks OpenAI's dialects: chat, maybe responses and completions. In the caller's own, bytes pass through."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any, Final

import msgspec

from gateway.chat import patched_body
from gateway.errors import UpstreamError
from gateway.offload import offloaded
from gateway.policy.catalog import Model
from gateway.policy.schema_models import WireDialect
from gateway.providers import completions_answer, responses_answer
from gateway.providers.base import Call, Exchange, Piece
from gateway.providers.event_stream import EventReader, EventStream, brings_events
from gateway.providers.http import Destination, HttpClient
from gateway.providers.http_response import HttpResponse
from gateway.providers.openai_events import CompletionsEvents, OpenAIEvents, ResponsesEvents
from gateway.providers.openai_native import NativeEvents
from gateway.providers.openai_request import openai_body
from gateway.providers.openai_server import server_at
from gateway.providers.pieces import sold, whole_pieces
from gateway.providers.refusal import UNREADABLE, no_page, refusal, unreadable
from gateway.providers.responses_request import responses_body
from gateway.providers.token_counting import read_counted
from gateway.providers.unsupported import unsupported
from gateway.request import CHAT, DialectName, Native

_PATHS: Final[dict[WireDialect, str]] = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "completions": "/completions",
}
_CALLERS: Final[dict[DialectName, WireDialect]] = {"openai_responses": "responses", "openai_completions": "completions"}
_NOT_THERE: Final = (404, 405, 501)

ReadWhole = Callable[[bytes], list[Piece]]
Events = Callable[[], EventReader]


class OpenAIProvider:
    """base_url goes up to and with /v1.

    dialects: what it speaks. Without chat, all but its own callers' requests are translated. is_sure: the policy says so; else a
    dialect whose address is not found is not asked for again, and chat takes its place.
    """

    def __init__(
        self,
        name: str,
        http: HttpClient,
        base_url: str,
        *,
        api_key: str | None = None,
        headers: dict[str, str] | None = None,
        unavailable: str | None = None,
        dialects: Collection[WireDialect] = ("chat", "completions"),
        is_sure: bool = False,
    ) -> None:
        self._name, self._http, self._api_key = name, http, api_key
        self._server = server_at(base_url)
        self._urls = {wire: base_url.rstrip("/") + path for wire, path in _PATHS.items()}
        self._headers = {"content-type": "application/json", **(headers or {})}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self.unavailable = unavailable
        self._destinations = {wire: http.destination(url, self._headers) for wire, url in self._urls.items()}
        self._has_chat, self._is_sure = "chat" in dialects, is_sure
        self.dialects: frozenset[DialectName] = frozenset(name for name, wire in _CALLERS.items() if wire in dialects)
        self._chat_events = partial(OpenAIEvents, name, api_key)
        self._read_chats: dict[bool, ReadWhole] = {
            as_stream: partial(whole_pieces, name, as_stream=as_stream, secret=api_key) for as_stream in (True, False)
        }

    def open(self, call: Call) -> Coroutine[Any, Any, Exchange]:
        native, request = call.native, call.request
        if native is not None and native.dialect in self.dialects:
            return self._in_callers(call, native)
        if request.dialect != CHAT or not self._has_chat:
            return self._canonically(call)
        # Chat in and out, as nearly every call: nothing is translated, and no coroutine stands in between.
        body = patched_body(request.body, call.model.id, wants_usage=request.is_stream)
        return self._asked(call, self._destinations["chat"], body, self._chat_events, self._read_chats[request.is_stream])

    async def _in_callers(self, call: Call, native: Native) -> Exchange:
        """In the caller's dialect, or else, when it turns out not to be spoken, in the canonical form."""
        try:
            return await self._natively(call, native)
        except UpstreamError as exc:
            if native.action or not self._is_without(exc):
                raise
            self.dialects -= {native.dialect}
            if native.only:
                raise unsupported(native.only[0], f"cannot be carried: {exc.message}") from exc
        return await self._canonically(call)

    async def count_tokens(self, asked: Native, model: Model, *, connect_s: float) -> int:
        """How many input tokens a Responses question has for this model. Costs nothing. Raises UpstreamError."""
        body = patched_body(asked.body, model.id, wants_usage=False)
        response = await self._http.post(f"{self._urls['responses']}/input_tokens", self._headers, body, connect_s=connect_s)
        try:
            if response.status != 200:
                raise refusal(self._name, response.status, response.headers, await response.read_error(), self._api_key)
            return read_counted(self._name, await response.read_whole())
        finally:
            response.close()

    async def aclose(self) -> None:
        """The client belongs to whoever made it."""

    def _is_without(self, exc: UpstreamError) -> bool:
        """Whether it does not have the dialect, or not for this model, as OpenAI itself says of completions."""
        is_missing = exc.fault == "status" and exc.status in _NOT_THERE and exc.code != "model_not_found"
        return is_missing and self._has_chat and not self._is_sure

    async def _canonically(self, call: Call) -> Exchange:
        """The request, translated: to chat from the canonical form, or to responses for a server that has no chat."""
        request, model_id = call.request, call.model.id
        if not self._has_chat:
            translate = partial(responses_body, model_id=model_id, is_stream=request.is_stream)
            body = await offloaded(translate, request.body)
            events = partial(ResponsesEvents, self._name, self._api_key)
            read = partial(self._read_response, as_stream=request.is_stream)
            return await self._asked(call, self._destinations["responses"], body, events, read)
        translate = partial(openai_body, model_id=model_id, server=self._server, is_stream=request.is_stream)
        body = await offloaded(translate, request.body)
        return await self._asked(call, self._destinations["chat"], body, self._chat_events, self._read_chats[request.is_stream])

    async def _natively(self, call: Call, native: Native) -> Exchange:
        """The caller's own request. Only its model is changed, and a stream of completions is asked for its usage."""
        wire, is_stream = _CALLERS[native.dialect], call.request.is_stream
        body = patched_body(native.body, call.model.id, wants_usage=is_stream and wire == "completions")

        def events() -> NativeEvents:
            if wire == "responses":
                return NativeEvents(ResponsesEvents(self._name, self._api_key, is_native=True))
            return NativeEvents(CompletionsEvents(self._name, self._api_key))

        if wire == "responses":
            read = partial(self._read_response, as_stream=is_stream, is_native=True)
        else:
            read = partial(self._read_completion, as_stream=is_stream)
        destination = self._http.destination(self._urls[wire] + native.action, {**native.headers, **self._headers})
        return await self._asked(call, destination, body, events, read)

    async def _asked(self, call: Call, destination: Destination, body: bytes, events: Events, read: ReadWhole) -> Exchange:
        """events, read: what reads the answer, should it be a stream or not."""
        response = await self._http.ask(destination, body, connect_s=call.connect_s, sending=call.sending)
        try:
            if response.status != 200:
                error = await response.read_error()
                raise refusal(self._name, response.status, response.headers, error, self._api_key)
            no_page(self._name, response.headers)
            if call.request.is_stream and brings_events(response):
                return EventStream(self._name, response, events())
            return OpenAIWhole(response, read)
        except BaseException:
            response.close()
            raise

    def _read_completion(self, body: bytes, *, as_stream: bool) -> list[Piece]:
        try:
            translated = completions_answer.chat_body(body)
        except UNREADABLE as exc:
            raise unreadable(self._name, "a completion", body, exc) from exc
        pieces = self._read_chats[as_stream](translated)
        return pieces if as_stream else [msgspec.structs.replace(pieces[0], native=body)]

    def _read_response(self, body: bytes, *, as_stream: bool, is_native: bool = False) -> list[Piece]:
        is_native = is_native and not as_stream  # events are wanted, and only the canonical form can be turned into some
        translated = responses_answer.chat_body(self._name, body, self._api_key, may_wait=is_native)
        pieces = self._read_chats[as_stream](translated)
        pieces[0] = sold(pieces[0], responses_answer.unpriced(body))
        if not is_native:
            return pieces
        has_content = pieces[0].has_content or responses_answer.holds_more(body)
        return [msgspec.structs.replace(pieces[0], native=body, has_content=has_content)]


class OpenAIWhole:
    """An answer in one body. read: from it to pieces."""

    def __init__(self, response: HttpResponse, read: ReadWhole) -> None:
        self._response, self._read = response, read

    async def read(self) -> list[Piece]:
        return self._read(await self._response.read_whole())

    async def aclose(self) -> None:
        self._response.close()
