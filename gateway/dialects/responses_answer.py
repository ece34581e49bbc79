"""Answers as OpenAI's Responses API gives them: the Response object, and the events of a stream. No I/O.

Streams are as the official SDKs read them: named events, each with a sequence number, no [DONE]. One that breaks off says so
twice, since clients look for either: `response.failed` with what there is of the response, and an `error` that SDKs raise.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.dialects.chat_answer import KEEP_ALIVE
from gateway.dialects.openai_errors import error_body
from gateway.dialects.responses_delta import Delta
from gateway.dialects.responses_fields import Json
from gateway.dialects.responses_items import Output
from gateway.errors import CONTEXT_LENGTH, TurnoutError, UpstreamError, status_of
from gateway.reply import Closing
from gateway.sse import EventParser, event_data, event_name
from gateway.usage import Usage
from gateway.wire_usage import read_usage

ID_PREFIX: Final = "resp_turnout_"  # by which one of ours is known from a provider's
INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_SEQUENCE: Final = re.compile(rb'"sequence_number" *: *(\d+)')
# What a response says again of its request, and what it says where the request did not.
_ECHOED: Final[Json] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}

_encode = msgspec.json.encode
_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Logprobs(msgspec.Struct):
    content: list[Json] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    """A chat chunk, or a whole completion."""

    model: str | None = None
    created: float | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ResponsesWriter:
    """One answer. given: the request's fields, of which a response says some again. has_logprobs: whether they are wanted.

    replaced_id: the previous_response_id that a provider which speaks this dialect was not sent, and so cannot say again.
    response: the finished Response object as the caller gets it, b"" until then. clock: seconds since 1970.
    """

    keep_alive = KEEP_ALIVE

    def __init__(
        self, given: Json, *, has_logprobs: bool, replaced_id: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.response = b""
        self._replaced_id = replaced_id
        self._clock = clock
        self._output = Output(has_logprobs=has_logprobs)
        self._echoed = {name: value if (said := given.get(name)) is None else said for name, value in _ECHOED.items()}
        if isinstance(given.get("text"), dict):
            self._echoed["text"] = {"format": {"type": "text"}, **given["text"]}
        self._head: Json = {
            "id": ID_PREFIX + secrets.token_hex(20),
            "object": "response",
            "created_at": 0,
            "model": given.get("model", "auto"),
        }
        self._sequence = 0
        self._has_begun = False
        self._finish: str | None = None
        self._parser = EventParser()
        self._created = b""  # the first event of a stream that came in this dialect

    def whole(self, body: bytes, native: bytes) -> bytes:
        if native:
            self.response = native if self._replaced_id is None else _encode(self._completed(_decode_raw(native)))
            return self.response
        chunk = _read(body)
        self._begin(chunk)
        self._grow(chunk)
        self._output.close(self._status)
        usage = read_usage(chunk.usage)
        self.response = _encode(self._finished(None if usage is None else _wire_usage(usage)))
        return self.response

    def events(self, data: bytes) -> bytes:
        said: list[Json] = []
        for event in self._parser.feed(data):
            payload = event_data(event)
            if payload is None:
                continue
            chunk = _read(payload)
            said += self._begin(chunk) + self._grow(chunk)
        return self._said(said)

    def passing(self, native: bytes) -> bytes:
        if not self._created:
            self._created = native
        numbers = _SEQUENCE.findall(native)
        if numbers:
            self._sequence = int(numbers[-1]) + 1
        if self._replaced_id is None or b'"previous_response_id"' not in native:
            return native
        return b"".join(self._again(event) for event in EventParser().feed(native))

    def end(self, closing: Closing) -> bytes:
        if closing.native:
            return self._end_native(closing)
        events = self._begin(_Chunk()) + self._output.close(self._status)
        finished = self._finished({**_wire_usage(closing.usage), "cost": closing.cost_usd})
        self.response = _encode(finished)
        return self._said([*events, {"type": f"response.{finished['status']}", "response": finished}])

    def broken(self, error: TurnoutError) -> bytes:
        said: Json = error_body(error)["error"]
        failed = {**self._so_far(), "status": "failed", "error": {"code": _failure(error), "message": error.message}}
        told = {name: said.get(name) for name in ("code", "message", "param")}
        return self._said([{"type": "response.failed", "response": failed}, {"type": "error", **told, "error": said}])

    @property
    def _status(self) -> str:
        return "incomplete" if self._finish in INCOMPLETE else "completed"

    def _begin(self, chunk: _Chunk) -> list[Json]:
        """The first two events, once: it is known now who answers."""
        if self._has_begun:
            return []
        self._has_begun = True
        self._head["created_at"] = int(chunk.created or self._clock())
        self._head["model"] = chunk.model or self._head["model"]
        begun = self._object("in_progress", None)
        return [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]

    def _grow(self, chunk: _Chunk) -> list[Json]:
        if chunk.service_tier is not None:
            self._echoed["service_tier"] = chunk.service_tier
        events: list[Json] = []
        for choice in chunk.choices or ():
            if choice.index:
                continue  # no Response has more than one
            self._finish = choice.finish_reason or self._finish
            delta = choice.delta or choice.message
            if delta is not None:
                logprobs = choice.logprobs.content if choice.logprobs is not None else None
                events += self._output.grow(delta, logprobs or [])
        return events

    def _finished(self, usage: Json | None) -> Json:
        status = self._status
        finished = self._object(status, usage)
        if status == "incomplete":
            finished["incomplete_details"] = {"reason": INCOMPLETE[self._finish or ""]}
        else:
            finished["completed_at"] = int(self._clock())
        return finished

    def _object(self, status: str, usage: Json | None) -> Json:
        rest: Json = {"error": None, "incomplete_details": None, "output": self._output.items, "usage": usage}
        return {**self._head, "status": status, **self._echoed, **rest}

    def _so_far(self) -> Json:
        """The response of a stream that breaks off."""
        data = next((data for event in EventParser().feed(self._created) if (data := event_data(event))), None)
        if data is not None:
            begun: Any = msgspec.json.decode(data).get("response")
            if isinstance(begun, dict):
                return begun
        if not self._head["created_at"]:
            self._head["created_at"] = int(self._clock())
        return self._object("failed", None)

    def _said(self, events: list[Json]) -> bytes:
        said = []
        for event in events:
            said.append(_event(event["type"], {**event, "sequence_number": self._sequence}))
            self._sequence += 1
        return b"".join(said)

    def _again(self, event: bytes) -> bytes:
        """An event of a provider's, with what it cannot say again in its response, if it has one."""
        fields = _fields_of(event)
        if "response" not in fields:
            return event
        response = self._completed(_decode_raw(fields["response"]))
        return _event(event_name(event), {**fields, "response": response})

    def _completed(self, response: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        """A provider's response with what it cannot say again."""
        said = {} if self._replaced_id is None else {"previous_response_id": msgspec.Raw(_encode(self._replaced_id))}
        return {**response, **said}

    def _end_native(self, closing: Closing) -> bytes:
        """The provider's last events, with the cost in the usage of the one that has the response."""
        said = []
        for event in EventParser().feed(closing.native):
            fields = _fields_of(event)
            if "response" not in fields:
                said.append(event)
                continue
            response = self._completed(_decode_raw(fields["response"]))
            counted = msgspec.json.decode(response.get("usage", b"null"))
            usage = counted if isinstance(counted, dict) and counted else _wire_usage(closing.usage)
            response["usage"] = msgspec.Raw(_encode({**usage, "cost": closing.cost_usd}))
            self.response = _encode(response)
            said.append(_event(event_name(event), {**fields, "response": msgspec.Raw(self.response)}))
        return b"".join(said)


def _failure(error: TurnoutError) -> str:
    """OpenAI's word for it: agents go by these three."""
    if isinstance(error, UpstreamError) and error.code == CONTEXT_LENGTH:
        return CONTEXT_LENGTH
    return "rate_limit_exceeded" if status_of(error) == 429 else "server_error"


def _event(name: str, payload: Json) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _encode(payload) + b"\n\n"


def _fields_of(event: bytes) -> dict[str, msgspec.Raw]:
    data = event_data(event)
    return _decode_raw(data) if data is not None and data.startswith(b"{") else {}


def _read(data: bytes) -> _Chunk:
    """Raises UpstreamError for what is no chat answer in a field that is shown here."""
    try:
        return _decode_chunk(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UpstreamError(f"the answer cannot be told as a Response: {exc}", fault="malformed") from exc


def _wire_usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached_input, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }
