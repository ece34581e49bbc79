"""Any server that speaks OpenAI's dialects: chat, maybe responses and completions. In the caller's own, bytes pass through."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any, Final

import msgspec

from gateway.chat import Choice, patched_body, read_chunk
from gateway.errors import UpstreamError
from gateway.offload import offloaded
from gateway.policy.catalog import Model
from gateway.policy.schema_models import WireDialect
from gateway.providers import completions_answer, responses_answer
from gateway.providers.base import Call, Exchange, Piece
from gateway.providers.event_stream import EventReader, EventStream, brings_events
from gateway.providers.http import HttpClient, HttpResponse
from gateway.providers.openai_native import NativeEvents
from gateway.providers.openai_request import openai_body
from gateway.providers.openai_server import server_at
from gateway.providers.pieces import piece_of, sold, whole_pieces
from gateway.providers.refusal import UNREADABLE, refusal, reported, unreadable
from gateway.providers.responses_request import responses_body
from gateway.providers.responses_stream import ResponsesTranslation
from gateway.providers.token_counting import read_counted
from gateway.providers.unsupported import unsupported
from gateway.request import CHAT, DialectName, Native
from gateway.sse import PLAIN_BYTES, event_name
from gateway.wire_usage import ABSENT

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
        self._read_chats = {as_stream: partial(self._read_chat, as_stream=as_stream) for as_stream in (True, False)}

    def open(self, call: Call) -> Coroutine[Any, Any, Exchange]:
        native, request = call.native, call.request
        if native is not None and native.dialect in self.dialects:
            return self._in_callers(call, native)
        if request.dialect != CHAT or not self._has_chat:
            return self._canonically(call)
        # Chat in and out, as nearly every call: nothing is translated, and no coroutine stands in between.
        body = patched_body(request.body, call.model.id, wants_usage=request.is_stream)
        return self._asked(call, "chat", body, self._chat_events, self._read_chats[request.is_stream])

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
            return await self._asked(call, "responses", body, events, partial(self._read_response, as_stream=request.is_stream))
        translate = partial(openai_body, model_id=model_id, server=self._server, is_stream=request.is_stream)
        body = await offloaded(translate, request.body)
        return await self._asked(call, "chat", body, self._chat_events, self._read_chats[request.is_stream])

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
        return await self._asked(call, wire, body, events, read, native)

    async def _asked(
        self, call: Call, wire: WireDialect, body: bytes, events: Events, read: ReadWhole, native: Native | None = None
    ) -> Exchange:
        """events, read: what reads the answer, should it be a stream or not."""
        if native is None:
            destination = self._destinations[wire]
        else:
            destination = self._http.destination(self._urls[wire] + native.action, {**native.headers, **self._headers})
        response = await self._http.ask(destination, body, connect_s=call.connect_s, sending=call.sending)
        try:
            if response.status != 200:
                error = await response.read_error()
                raise refusal(self._name, response.status, response.headers, error, self._api_key)
            has_events = brings_events(self._name, response)
        except BaseException:
            response.close()
            raise
        if call.request.is_stream and has_events:
            return EventStream(self._name, response, events())
        return OpenAIWhole(response, read)

    def _read_chat(self, body: bytes, *, as_stream: bool) -> list[Piece]:
        return whole_pieces(self._name, body, as_stream=as_stream, secret=self._api_key)

    def _read_completion(self, body: bytes, *, as_stream: bool) -> list[Piece]:
        try:
            translated = completions_answer.chat_body(body)
        except UNREADABLE as exc:
            raise unreadable(self._name, "a completion", body, exc) from exc
        pieces = self._read_chat(translated, as_stream=as_stream)
        return pieces if as_stream else [msgspec.structs.replace(pieces[0], native=body)]

    def _read_response(self, body: bytes, *, as_stream: bool, is_native: bool = False) -> list[Piece]:
        is_native = is_native and not as_stream  # events are wanted, and only the canonical form can be turned into some
        translated = responses_answer.chat_body(self._name, body, self._api_key, may_wait=is_native)
        pieces = self._read_chat(translated, as_stream=as_stream)
        pieces[0] = sold(pieces[0], responses_answer.unpriced(body))
        if not is_native:
            return pieces
        has_content = pieces[0].has_content or responses_answer.holds_more(body)
        return [msgspec.structs.replace(pieces[0], native=body, has_content=has_content)]


class OpenAIEvents:
    """Reads a stream's events. Each is parsed as far as Chunk goes, so that a broken one is never passed on."""

    def __init__(self, name: str, secret: str | None = None) -> None:
        self._name, self._secret = name, secret
        self._seen: set[int] = set()  # choices
        self._finished: set[int] = set()  # those with a finish_reason; what comes after it (usage, mostly) opens none anew
        self.is_whole = False

    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        if not data:
            return []  # a comment, or an event without data
        if data == b"[DONE]":
            return [self.end(has_done=True)]
        if len(event) != len(data) + PLAIN_BYTES and _is_error(event):  # what is nothing but a line of data has no name
            raise reported(self._name, data, self._secret)
        try:
            chunk = read_chunk(data)
        except UNREADABLE as exc:
            raise UpstreamError(f"{self._name}: a stream event is not a chat chunk: {exc}", fault="malformed") from exc
        if chunk.error != ABSENT:
            raise reported(self._name, bytes(chunk.error), self._secret)
        choices = chunk.choices or ()
        for choice in choices:
            if choice.finish_reason or choice.index not in self._seen:
                self._follow(choice)
        if len(choices) == 1 and chunk.usage == ABSENT and not choice.finish_reason and choice.delta is not None:
            said = choice.delta.said()  # as nearly every event: so much more of the one answer
            return [Piece(data=event, has_content=said is not None, text=said or "")]
        return [piece_of(event, chunk)]

    def _follow(self, choice: Choice) -> None:
        """It begins, or ends."""
        self._seen.add(choice.index)
        if choice.finish_reason:  # "" is none: some servers have it in every event but the last
            self._finished.add(choice.index)
        self.is_whole = bool(self._finished) and self._seen == self._finished

    def end(self, *, has_done: bool = False) -> Piece:
        if not self.is_whole:
            how = "ended with [DONE] but no finish_reason" if has_done else "ended in mid-answer"
            raise UpstreamError(f"{self._name}: the stream {how}", fault="cut", is_retryable=True)
        return Piece(is_end=True)


class CompletionsEvents(OpenAIEvents):
    """Reads a stream of completions as one of chat chunks."""

    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        if not data or data == b"[DONE]" or _is_error(event):
            return super().read(event, data)
        try:
            translated = completions_answer.chat_chunk(data)
        except UNREADABLE as exc:
            raise UpstreamError(f"{self._name}: a stream event is not a completion: {exc}", fault="malformed") from exc
        return super().read(b"data: " + translated + b"\n\n", translated)


def _is_error(event: bytes) -> bool:
    """Whether the event's name says so."""
    return b"event:" in event and event_name(event) == "error"


class ResponsesEvents:
    """Reads a stream of Responses events, translating each. The answer is whole with its last event and not before."""

    is_whole = False

    def __init__(self, name: str, secret: str | None = None, *, is_native: bool = False) -> None:
        self._name = name
        self._translation = ResponsesTranslation(name, secret, is_native=is_native)

    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        if not data:
            return []
        if data == b"[DONE]":  # which some servers send, in vain after the last event
            return [self.end()]
        return self._translation.feed(data)

    def end(self) -> Piece:
        raise UpstreamError(f"{self._name}: the stream ended in mid-answer", fault="cut", is_retryable=True)


class OpenAIWhole:
    """An answer in one body. read: from it to pieces."""

    def __init__(self, response: HttpResponse, read: ReadWhole) -> None:
        self._response, self._read = response, read

    async def read(self) -> list[Piece]:
        return self._read(await self._response.read_whole())

    async def aclose(self) -> None:
        self._response.close()
