"""Answers in Anthropic's Messages dialect. No I/O."""

from __future__ import annotations

import msgspec

from gateway.dialects.answer_shape import answer
from gateway.dialects.anthropic_errors import error_body
from gateway.dialects.fields import Raw, RawObject
from gateway.dialects.messages_answer import message
from gateway.dialects.messages_stream import PING, MessageStream, event
from gateway.errors import TurnoutError
from gateway.reply import Closing
from gateway.sse import EventParser, event_data

_decode_raw = msgspec.json.Decoder(RawObject).decode


class MessagesWriter:
    """tokens_in: what the question is taken to have, for the beginning of a stream, where Anthropic's tells it."""

    keep_alive = PING

    def __init__(self, request_id: str, tokens_in: int) -> None:
        self._request_id = request_id
        self._stream = MessageStream(tokens_in)

    def whole(self, body: bytes, native: bytes) -> bytes:
        return native or msgspec.json.encode(message(body))

    def events(self, data: bytes) -> bytes:
        said: list[bytes] = []
        for one in EventParser().feed(data):
            payload = event_data(one)
            if payload and payload != b"[DONE]":
                said += self._stream.feed(answer(payload))
        return b"".join(said)

    def passing(self, native: bytes) -> bytes:
        return native

    def end(self, closing: Closing) -> bytes:
        if closing.native:
            return _with_cost(closing.native, closing.cost_usd)
        return b"".join(self._stream.end(closing.usage, closing.cost_usd))

    def broken(self, error: TurnoutError) -> bytes:
        fields = error_body(error, self._request_id)
        return event(fields.pop("type"), **fields)


def _with_cost(native: bytes, cost_usd: float | None) -> bytes:
    """A stream's last events with what the answer cost in the last `message_delta`; all else keeps its bytes."""
    events = EventParser().feed(native)
    for i in range(len(events) - 1, -1, -1):
        data = event_data(events[i])
        fields = _decode_raw(data) if data else {}
        if bytes(fields.get("type", Raw(b"null"))) == b'"message_delta"':
            told = bytes(fields.get("usage", Raw(b"null")))
            usage = _decode_raw(told) if told.startswith(b"{") else {}
            usage["cost"] = Raw(msgspec.json.encode(cost_usd))
            fields["usage"] = Raw(msgspec.json.encode(usage))
            events[i] = b"event: message_delta\ndata: " + msgspec.json.encode(fields) + b"\n\n"
            break
    return b"".join(events)
