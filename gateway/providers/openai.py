"""Any server that speaks the OpenAI chat API: the same dialect as the caller's, so bytes pass through."""

from __future__ import annotations

from gateway.chat import Chunk, patched_body, read_chunk
from gateway.errors import UpstreamError
from gateway.providers.base import Call, Exchange, Piece
from gateway.providers.event_stream import EventStream, brings_events
from gateway.providers.http import HttpClient, HttpResponse
from gateway.providers.pieces import piece_of, whole_pieces
from gateway.providers.refusal import UNREADABLE, refusal, reported
from gateway.providers.sse import event_data, event_name


class OpenAIProvider:
    """base_url goes up to and with /v1."""

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
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._headers = {"content-type": "application/json", **(headers or {})}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self.unavailable = unavailable

    async def open(self, call: Call) -> Exchange:
        is_stream = call.request.is_stream
        body = patched_body(call.request.body, call.model.id, wants_usage=is_stream)
        response = await self._http.post(self._url, self._headers, body, connect_s=call.connect_s, sending=call.sending)
        try:
            if response.status != 200:
                error = await response.read_error()
                raise refusal(self._name, response.status, response.headers, error, self._api_key)
            has_events = brings_events(self._name, response)
        except BaseException:
            response.close()
            raise
        if is_stream and has_events:
            return EventStream(self._name, response, OpenAIEvents(self._name, self._api_key))
        return OpenAIWhole(self._name, response, as_stream=is_stream, secret=self._api_key)

    async def aclose(self) -> None:
        """The client belongs to whoever made it."""


class OpenAIEvents:
    """Reads a stream's events. Each is parsed as far as Chunk goes, so that a broken one is never passed on."""

    def __init__(self, name: str, secret: str | None = None) -> None:
        self._name, self._secret = name, secret
        self._seen: set[int] = set()  # choices
        self._finished: set[int] = set()  # those with a finish_reason; what comes after it (usage, mostly) opens none anew

    @property
    def is_whole(self) -> bool:
        return bool(self._finished) and self._seen == self._finished

    def read(self, event: bytes) -> list[Piece]:
        data = event_data(event)
        if not data:
            return []  # a comment, or an event without data
        if data == b"[DONE]":
            return [self.end(has_done=True)]
        if b"event:" in event and event_name(event) == "error":
            raise reported(self._name, data, self._secret)
        chunk = self._parsed(data)
        if chunk.error is not None and bytes(chunk.error) != b"null":
            raise reported(self._name, bytes(chunk.error), self._secret)
        for choice in chunk.choices or ():
            self._seen.add(choice.index)
            if choice.finish_reason is not None:
                self._finished.add(choice.index)
        return [piece_of(event, chunk)]

    def end(self, *, has_done: bool = False) -> Piece:
        if not self.is_whole:
            how = "ended with [DONE] but no finish_reason" if has_done else "ended in mid-answer"
            raise UpstreamError(f"{self._name}: the stream {how}", fault="cut", is_retryable=True)
        return Piece(is_end=True)

    def _parsed(self, data: bytes) -> Chunk:
        try:
            return read_chunk(data)
        except UNREADABLE as exc:
            raise UpstreamError(f"{self._name}: a stream event is not a chat chunk: {exc}", fault="malformed") from exc


class OpenAIWhole:
    """An answer in one body. as_stream: the caller asked for a stream and the server did not give one."""

    def __init__(self, name: str, response: HttpResponse, *, as_stream: bool, secret: str | None = None) -> None:
        self._name, self._response, self._as_stream, self._secret = name, response, as_stream, secret

    async def read(self) -> list[Piece]:
        body = await self._response.read_whole()
        return whole_pieces(self._name, body, as_stream=self._as_stream, secret=self._secret)

    async def aclose(self) -> None:
        self._response.close()
