"""Readers of the streams of OpenAI's dialects: chat, completions and responses. No I/O."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from gateway.chat import Delta, read_chunk
from gateway.errors import UpstreamError
from gateway.providers import completions_answer
from gateway.providers.base import Piece
from gateway.providers.event_stream import EventReader
from gateway.providers.pieces import piece_of
from gateway.providers.refusal import UNREADABLE, reported
from gateway.providers.responses_stream import ResponsesTranslation
from gateway.sse import event_name, line_event
from gateway.wire_usage import ABSENT


class _Choice(msgspec.Struct, gc=False):
    """One that goes on: its end is not decoded as one."""

    delta: Delta
    index: int = 0
    finish_reason: Literal[""] | None = None


class _More(msgspec.Struct, gc=False):
    """An event that says more of one choice and nothing else, as nearly all do. That it is one, the decoder finds out."""

    choices: tuple[_Choice]
    usage: None = None
    error: None = None


_read_more: Final = msgspec.json.Decoder(_More).decode


class OpenAIEvents(EventReader):
    """Reads a stream's events. Each is parsed as far as Chunk goes, so that a broken one is never passed on."""

    def __init__(self, name: str, secret: str | None = None) -> None:
        self._name, self._secret = name, secret
        self._seen: set[int] = set()  # choices
        self._finished: set[int] = set()  # those with a finish_reason; what comes after it (usage, mostly) opens none anew

    def read_lines(self, events: bytes, lines: list[bytes], into: list[Piece]) -> None:
        """As `read` for each, but those that say more of a choice that has begun, as nearly all do, become one piece together."""
        said: list[str] = []
        for n, data in enumerate(lines):
            try:
                [choice] = _read_more(data).choices
                text = choice.delta.said() if choice.index in self._seen else None
            except UNREADABLE:
                text = None
            if text is not None:
                said.append(text)
                continue
            if said:
                into.append(_run(line_event(*lines[n - len(said) : n]), said))
                said = []
            into += self.read(line_event(data), data)
            if into and into[-1].is_end:
                return
        if said:
            if len(said) < len(lines):
                events = line_event(*lines[-len(said) :])
            into.append(_run(events, said))

    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        if not data:
            return []  # a comment, or an event without data
        if data == b"[DONE]":
            return [self.end(has_done=True)]
        if _is_error(event):
            raise reported(self._name, data, self._secret)
        try:
            chunk = read_chunk(data)
        except UNREADABLE as exc:
            raise UpstreamError(f"{self._name}: a stream event is not a chat chunk: {exc}", fault="malformed") from exc
        if chunk.error != ABSENT:
            raise reported(self._name, bytes(chunk.error), self._secret)
        for choice in chunk.choices or ():
            self._seen.add(choice.index)
            if choice.finish_reason:  # "" is none: some servers have it in every event but the last
                self._finished.add(choice.index)
        self.is_whole = bool(self._finished) and self._seen == self._finished
        return [piece_of(event, chunk)]

    def end(self, *, has_done: bool = False) -> Piece:
        if not self.is_whole:
            how = "ended with [DONE] but no finish_reason" if has_done else "ended in mid-answer"
            raise UpstreamError(f"{self._name}: the stream {how}", fault="cut", is_retryable=True)
        return Piece(is_end=True)


class CompletionsEvents(OpenAIEvents):
    """Reads a stream of completions as one of chat chunks."""

    read_lines = EventReader.read_lines  # each is translated

    def read(self, event: bytes, data: bytes | None) -> list[Piece]:
        if not data or data == b"[DONE]" or _is_error(event):
            return super().read(event, data)
        try:
            translated = completions_answer.chat_chunk(data)
        except UNREADABLE as exc:
            raise UpstreamError(f"{self._name}: a stream event is not a completion: {exc}", fault="malformed") from exc
        return super().read(b"data: " + translated + b"\n\n", translated)


def _run(events: bytes, said: list[str]) -> Piece:
    """Of events that say more of an answer and nothing else."""
    return Piece(events, has_content=True, text="".join(said), events=len(said))


def _is_error(event: bytes) -> bool:
    """Whether the event's name says so."""
    return b"event:" in event and event_name(event) == "error"


class ResponsesEvents(EventReader):
    """Reads a stream of Responses events, translating each. The answer is whole with its last event and not before."""

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
