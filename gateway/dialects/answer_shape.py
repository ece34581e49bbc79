"""The types that a chat answer's fields have where they are said in another dialect. Bytes to values, no I/O.

Callers of the chat dialect get what a provider sends as it is; whoever translates it has to read it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.errors import UpstreamError
from gateway.sse import EventParser, event_data

Json = dict[str, Any]


class _Called(msgspec.Struct):
    name: str | None = None
    arguments: str | Json | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Called | None = None


class _Block(msgspec.Struct):
    thinking: str | None = None
    signature: str | None = None


class _Text(msgspec.Struct):
    """thinking: of any shape."""

    text: str | None = None


class _Said(msgspec.Struct):
    content: str | list[_Text] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    thinking_blocks: list[_Block] | None = None
    reasoning_details: list[Json] | None = None
    annotations: list[Json] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Said | None = None
    message: _Said | None = None


class _Answer(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None


UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_check = msgspec.json.Decoder(_Answer).decode
_decode = msgspec.json.Decoder(Json).decode


def answer(data: bytes) -> Json:
    """A chat chunk, or a whole completion, of these types. Raises UpstreamError for any other."""
    try:
        _check(data)
        return _decode(data)
    except UNREADABLE as exc:
        raise UpstreamError(f"the answer cannot be told in another dialect: {exc}", fault="malformed") from exc


def check_stream(events: bytes) -> None:
    """The same of all chunks in these events. Raises UpstreamError."""
    for event in EventParser().feed(events):
        data = event_data(event)
        if data is not None and data != b"[DONE]":
            answer(data)
