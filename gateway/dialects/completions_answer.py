"""An answer in the canonical form, said in OpenAI's older completions dialect. No I/O.

A refusal is a text like any other there; reasoning has no place in it and is left out.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.chat import DONE, sse, usage_event, with_cost
from gateway.dialects.chat_answer import KEEP_ALIVE
from gateway.dialects.openai_errors import error_body
from gateway.errors import TurnoutError
from gateway.reply import Closing
from gateway.sse import EventParser, event_data

Json = dict[str, Any]

KIND: Final = "text_completion"
_FINISHES: Final = {"tool_calls": "stop", "function_call": "stop"}


class CompletionWriter:
    """wants_usage: whether the caller of a stream asked for the usage event."""

    keep_alive = KEEP_ALIVE

    def __init__(self, *, wants_usage: bool = False) -> None:
        self._wants_usage = wants_usage
        self._first = b""  # events, for the id of a usage event of our own

    def whole(self, body: bytes, native: bytes) -> bytes:
        return native or msgspec.json.encode(_completion(msgspec.json.decode(body), "message"))

    def events(self, data: bytes) -> bytes:
        self._first = self._first or data
        return b"".join(_event(event) for event in EventParser().feed(data))

    def passing(self, native: bytes) -> bytes:
        self._first = self._first or native
        return native

    def end(self, closing: Closing) -> bytes:
        if not self._wants_usage:
            return DONE
        event = closing.native or closing.event
        if not event:
            return _renamed(usage_event(self._first, closing.usage, closing.cost_usd)) + DONE
        return _renamed(with_cost(event, closing.usage, closing.cost_usd)) + DONE

    def broken(self, error: TurnoutError) -> bytes:
        return sse(error_body(error))


def _event(event: bytes) -> bytes:
    """b"" for an event without text or finish."""
    data = event_data(event)
    if not data:
        return b""
    fields = _completion(msgspec.json.decode(data), "delta")
    fields["choices"] = [choice for choice in fields["choices"] if choice["text"] or choice["finish_reason"]]
    return sse(fields) if fields["choices"] else b""


def _renamed(event: bytes) -> bytes:
    """A usage event, whose one difference is what it calls itself."""
    return sse(_completion(msgspec.json.decode(event_data(event) or b"{}"), "delta"))


def _completion(fields: Json, place: str) -> Json:
    """place: where a choice has what was said."""
    choices = [_choice(choice, place) for choice in fields.get("choices") or ()]
    # As OpenAI names the ids of both dialects.
    return {**fields, "id": str(fields.get("id", "")).removeprefix("chat"), "object": KIND, "choices": choices}


def _choice(choice: Json, place: str) -> Json:
    said = choice.get(place) or {}
    finish = choice.get("finish_reason")
    return {
        "text": _text(said.get("content")) + (said.get("refusal") or ""),
        "index": choice.get("index", 0),
        "logprobs": None,
        "finish_reason": _FINISHES.get(finish, finish) if finish else None,
    }


def _text(content: str | list[Json] | None) -> str:
    """The text of a content that may come in parts, from models that think aloud."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""
