"""Anthropic's answers in the OpenAI chat dialect: a whole message, or the events of a stream. No I/O.

Thinking becomes `reasoning_content`, and besides, signed, `thinking_blocks`: put back into the assistant message
they let a model that thinks go on after a tool call. Blocks and events of unknown types are passed over, as
Anthropic's versioning asks of clients.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from gateway.chat import sse
from gateway.errors import UpstreamError
from gateway.providers.base import Piece
from gateway.providers.refusal import UNREADABLE, reported, unreadable
from gateway.usage import Usage
from gateway.wire_usage import service_of, token_count, wire_usage

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # cut short in a server tool, which we never ask for: not finished is what matters
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

# Not `Raw | None`, of which msgspec takes only the null.
NOTHING = msgspec.Raw(b"null")

Json = dict[str, Any]


class _Details(msgspec.Struct):
    thinking_tokens: int | float | None = None


class _Kept(msgspec.Struct):
    ephemeral_1h_input_tokens: int | float | None = None


class _Usage(msgspec.Struct):
    """As on the wire: running totals, where a later event may leave out what has not changed."""

    input_tokens: int | float | None = None
    output_tokens: int | float | None = None
    cache_read_input_tokens: int | float | None = None
    cache_creation_input_tokens: int | float | None = None
    cache_creation: _Kept | None = None
    output_tokens_details: _Details | None = None
    service_tier: str | None = None

    def updated(self, later: _Usage) -> _Usage:
        said = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **said)

    def usage(self, *, estimated: bool = False) -> Usage:
        cached_input, cache_write = token_count(self.cache_read_input_tokens), token_count(self.cache_creation_input_tokens)
        details, kept = self.output_tokens_details or _Details(), self.cache_creation or _Kept()
        return Usage(
            input=token_count(token_count(self.input_tokens) + cached_input + cache_write),
            output=token_count(self.output_tokens),
            cached_input=cached_input,
            cache_write=cache_write,
            reasoning=token_count(details.thinking_tokens),
            estimated=estimated,
            cache_write_1h=min(token_count(kept.ephemeral_1h_input_tokens), cache_write),
            service=service_of(self.service_tier),
        )


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    thinking: str = ""
    signature: str | None = None
    data: str | None = None
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _StopDetails(msgspec.Struct):
    explanation: str | None = None


class _Message(msgspec.Struct):
    type: str = ""
    id: str = ""
    model: str = ""
    content: list[_Block] = []
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None
    usage: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_usage = msgspec.json.Decoder(_Usage | None, strict=False).decode


def _read_usage(raw: msgspec.Raw) -> _Usage | None:
    """None where there is none, or none that can be read: an answer is not lost for that."""
    try:
        usage: _Usage | None = _decode_usage(raw)
    except msgspec.DecodeError:
        return None
    return usage


def chat_body(name: str, body: bytes, secret: str | None = None) -> bytes:
    """A whole message as a chat completion. name: the provider's. secret: kept out of errors. Raises UpstreamError."""
    try:
        message = _decode_message(body)
    except UNREADABLE as exc:
        raise unreadable(name, "an Anthropic message", body, exc) from exc
    if bytes(message.error) != b"null":
        raise reported(name, bytes(message.error), secret)
    if message.type != "message":
        raise UpstreamError(f"{name}: the answer is {message.type!r}, not an Anthropic message", fault="malformed")
    if not message.stop_reason:
        raise UpstreamError(f"{name}: the message has no stop_reason, so it is not whole", fault="cut", is_retryable=True)
    usage = _read_usage(message.usage)
    choice = {
        "index": 0,
        "message": _chat_message(message),
        "logprobs": None,
        "finish_reason": FINISH_REASONS.get(message.stop_reason, "stop"),
    }
    fields: Json = {
        "id": message.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": message.model,
        "choices": [choice],
    }
    if usage is not None:
        fields["usage"] = wire_usage(usage.usage())
        if usage.service_tier is not None:
            fields["service_tier"] = usage.service_tier
    return msgspec.json.encode(fields)


def _chat_message(message: _Message) -> Json:
    texts = [block.text for block in message.content if block.type == "text"]
    thoughts = [block.thinking for block in message.content if block.type == "thinking" and block.thinking]
    blocks = [thought for block in message.content if (thought := _thinking_block(block)) is not None]
    calls = [
        {"id": b.id, "type": "function", "function": {"name": b.name, "arguments": bytes(b.input).decode()}}
        for b in message.content
        if b.type == "tool_use"
    ]
    details = message.stop_details
    fields: Json = {
        "role": "assistant",
        "content": "".join(texts) if texts or not calls else None,
        "refusal": details.explanation if details and message.stop_reason == "refusal" else None,
    }
    if thoughts:
        fields["reasoning_content"] = "".join(thoughts)
    if blocks:
        fields["thinking_blocks"] = blocks
    if calls:
        fields["tool_calls"] = calls
    return fields


def _thinking_block(block: _Block) -> Json | None:
    if block.type == "thinking" and block.signature:
        return {"type": "thinking", "thinking": block.thinking, "signature": block.signature}
    if block.type == "redacted_thinking":
        return {"type": "redacted_thinking", "data": block.data}
    return None


class StreamTranslation:
    """One stream: feed it each event's data, in order. secret: kept out of errors."""

    def __init__(self, name: str, secret: str | None = None) -> None:
        self._name, self._secret = name, secret
        self._head: Json = {}
        self._usage: _Usage | None = None
        self._is_counted = False  # to the end; message_start has only the input
        self._blocks: dict[int, _Block] = {}  # those under way
        self._calls: dict[int, int] = {}  # block index → index among the tool calls
        self._spoken: set[int] = set()  # tool blocks whose arguments have begun
        self._is_finished = False

    def feed(self, data: bytes) -> list[Piece]:
        """What the event says to the caller, often one piece. Raises UpstreamError."""
        try:
            event = _decode_event(data)
        except UNREADABLE as exc:
            raise self._malformed(f"a stream event is not Anthropic's: {exc}") from exc
        if event.type == "error" or bytes(event.error) != b"null":
            raise reported(self._name, bytes(event.error), self._secret)
        match event.type:
            case "message_start":
                return self._started(event.message)
            case "content_block_start" if event.content_block is not None:
                return self._block_started(event.index, event.content_block)
            case "content_block_delta" if event.delta is not None:
                return self._block_grown(event.index, event.delta)
            case "content_block_stop":
                return self._block_stopped(event.index)
            case "message_delta":
                return self._message_changed(event)
            case "message_stop":
                return self._ended()
        return []  # ping, and what may come

    def _malformed(self, what: str) -> UpstreamError:
        return UpstreamError(f"{self._name}: {what}", fault="malformed")

    def _event(self, delta: Json, finish_reason: str | None = None) -> bytes:
        if not self._head:
            raise self._malformed("the stream does not begin with message_start")
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return sse({**self._head, "choices": [choice]})

    def _started(self, message: _Message | None) -> list[Piece]:
        if message is None:
            raise self._malformed("message_start holds no message")
        self._head = {
            "id": message.id,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": message.model,
        }
        self._usage = _read_usage(message.usage)
        return [Piece(self._event({"role": "assistant", "content": ""}), usage=self._count())]

    def _block_started(self, index: int, block: _Block) -> list[Piece]:
        self._blocks[index] = block
        if block.type == "text" and block.text:
            return [self._said("content", block.text)]
        if block.type == "thinking" and block.thinking:
            return [self._said("reasoning_content", block.thinking)]
        if block.type != "tool_use":
            return []
        self._calls[index] = len(self._calls)
        given = bytes(block.input).decode()
        given = "" if given == "{}" else given  # as a rule it is empty here and comes in deltas
        function = {"name": block.name, "arguments": given}
        return [self._called(index, {"id": block.id, "type": "function", "function": function}, given)]

    def _block_grown(self, index: int, delta: _Delta) -> list[Piece]:
        block = self._blocks.get(index)
        if block is None:
            raise self._malformed(f"a delta for block {index}, which has not begun")
        if delta.text:
            return [self._said("content", delta.text)]
        if delta.thinking:
            block.thinking += delta.thinking
            return [self._said("reasoning_content", delta.thinking)]
        if delta.signature:
            block.signature = (block.signature or "") + delta.signature
        if delta.partial_json and index in self._calls:
            return [self._called(index, {"function": {"arguments": delta.partial_json}}, delta.partial_json)]
        return []

    def _block_stopped(self, index: int) -> list[Piece]:
        block = self._blocks.pop(index, None)
        if block is None:
            raise self._malformed(f"the end of block {index}, which has not begun")
        if index in self._calls and index not in self._spoken:
            # A tool without parameters: clients parse the arguments as JSON, which "" is not.
            return [self._called(index, {"function": {"arguments": "{}"}}, "{}")]
        thought = _thinking_block(block)
        return [Piece(self._event({"thinking_blocks": [thought]}), has_content=True)] if thought else []

    def _message_changed(self, event: _Event) -> list[Piece]:
        usage = _read_usage(event.usage)
        if usage is not None:
            self._usage = (self._usage or _Usage()).updated(usage)
            self._is_counted = usage.output_tokens is not None
        delta = event.delta or _Delta()
        if not delta.stop_reason or self._is_finished:
            return []
        self._is_finished = True
        finish_reason = FINISH_REASONS.get(delta.stop_reason, "stop")
        details = delta.stop_details or _StopDetails()
        refusal = details.explanation if finish_reason == "content_filter" else None
        data = self._event({"refusal": refusal} if refusal else {}, finish_reason)
        return [Piece(data, has_content=bool(refusal), text=refusal or "", usage=self._count(), finish=finish_reason)]

    def _ended(self) -> list[Piece]:
        if not self._is_finished:
            raise UpstreamError(f"{self._name}: message_stop came without a stop_reason", fault="cut", is_retryable=True)
        usage = self._count()
        if usage is None or usage.estimated:
            return [Piece(is_end=True)]
        data = sse({**self._head, "choices": [], "usage": wire_usage(usage)})
        return [Piece(data, usage=usage, is_usage_only=True), Piece(is_end=True)]

    def _count(self) -> Usage | None:
        """What the provider has counted so far: an estimate, until message_delta has the total."""
        return None if self._usage is None else self._usage.usage(estimated=not self._is_counted)

    def _said(self, field: str, text: str) -> Piece:
        return Piece(self._event({field: text}), has_content=True, text=text)

    def _called(self, index: int, call: Json, arguments: str) -> Piece:
        if arguments:
            self._spoken.add(index)
        data = self._event({"tool_calls": [{"index": self._calls[index], **call}]})
        return Piece(data, has_content=True, text=call["function"].get("name", "") + arguments)
