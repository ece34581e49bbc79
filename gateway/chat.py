"""The OpenAI chat dialect as bytes and values: what the gateway reads of a request, a reply and a stream event.

Only what is needed is decoded; everything else stays bytes and passes through. No I/O.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any, Final, Literal

import msgspec

from gateway.errors import ClientError
from gateway.usage import Usage
from gateway.wire_usage import ABSENT, EMPTY, NOTHING, wire_usage

DONE = b"data: [DONE]\n\n"
Raw = msgspec.Raw
# `format` of an entry of `reasoning_details`: reasoning that OpenAI's model has sealed, which only it can read.
OPENAI_SEALED: Final = "openai-responses-v1"
Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class ContentPart(msgspec.Struct):
    """One part of a message's content; `text` is set for text only."""

    type: str = "text"
    text: str | None = None


class Message(msgspec.Struct):
    """One message, as far as decisions look at it."""

    role: Role
    content: str | list[ContentPart] | None = None
    tool_calls: Raw = msgspec.Raw(b"null")
    name: Raw = msgspec.Raw(b"null")

    @property
    def has_name(self) -> bool:
        return bytes(self.name) not in NOTHING

    @property
    def is_tool_result(self) -> bool:
        """Whether it brings back what a tool said, so that a request ending on it continues a loop."""
        return self.role in ("tool", "function")

    def text(self) -> str:
        """Its text parts, joined."""
        if self.content is None:
            return ""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if part.text)


class StreamOptions(msgspec.Struct):
    """What the caller wants besides the answer's pieces."""

    include_usage: bool | None = None


class ResponseFormat(msgspec.Struct):
    """text, json_object or json_schema."""

    type: str = "text"


class ChatHead(msgspec.Struct):
    """The fields of a chat request that the gateway looks at."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[dict[str, Raw]] | None = None
    tool_choice: str | dict[str, Raw] | None = None
    functions: list[dict[str, Raw]] | None = None
    response_format: ResponseFormat | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    temperature: Raw = msgspec.Raw(b"null")
    stop: Raw = msgspec.Raw(b"null")
    modalities: Raw = msgspec.Raw(b"null")
    logprobs: Raw = msgspec.Raw(b"null")
    reasoning_effort: Raw = msgspec.Raw(b"null")
    thinking: Raw = msgspec.Raw(b"null")


class Delta(msgspec.Struct, gc=False):
    """What a stream event adds; any of these set and not empty is content.

    content: a list of parts from some models that think aloud (Mistral's). images, reasoning_details: OpenRouter's;
    thinking_blocks: ours, of Anthropic's.
    """

    content: str | list[Raw] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Raw = ABSENT
    function_call: Raw = ABSENT
    audio: Raw = ABSENT
    images: Raw = ABSENT
    reasoning_details: Raw = ABSENT
    thinking_blocks: Raw = ABSENT

    def has_content(self) -> bool:
        return bool(
            self.content
            or self.reasoning_content
            or self.refusal
            or self.reasoning
            or self.tool_calls not in EMPTY
            or self.function_call not in EMPTY
            or self.audio not in EMPTY
            or self.images not in EMPTY
            or self.reasoning_details not in EMPTY
            or self.thinking_blocks not in EMPTY
        )

    def said(self) -> str | None:
        """Its `text`; None where it has no content."""
        content = self.content
        if (
            content.__class__ is str  # what nearly every event has, and nothing else: found without a call
            and content
            and self.reasoning_content is None
            and self.reasoning is None
            and self.refusal is None
            and self.tool_calls is ABSENT
        ):
            return content
        return self.text() if self.has_content() else None

    def text(self) -> str:
        """What the model wrote, to be counted where the provider counts nothing: all but audio and images."""
        content = self.content or ""
        thought = self.reasoning_content or self.reasoning
        is_calling = self.tool_calls not in EMPTY
        if isinstance(content, str) and not (thought or self.refusal or is_calling):
            return content  # as nearly every event does: no copy is made
        spoken = content if isinstance(content, str) else b"".join(bytes(part) for part in content).decode(errors="replace")
        called = call_text(self.tool_calls) if is_calling else ""
        return "".join(part for part in (thought, spoken, self.refusal, called) if part)


class _Called(msgspec.Struct):
    """arguments: of a function. input: of a custom tool."""

    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Called | None = None
    custom: _Called | None = None


_decode_calls = msgspec.json.Decoder(list[_ToolCall]).decode


def call_text(tool_calls: Raw) -> str:
    """What a model writes of its calls: names and arguments. Of calls in another form all of it."""
    if tool_calls in EMPTY:
        return ""
    try:
        called = [one for call in _decode_calls(tool_calls) if (one := call.function or call.custom) is not None]
    except msgspec.DecodeError:
        return bytes(tool_calls).decode(errors="replace")
    return "".join((one.name or "") + (one.arguments or "") + (one.input or "") for one in called)


class Choice(msgspec.Struct, gc=False):
    """One choice, of a stream event (`delta`) or of a whole answer (`message`)."""

    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """A stream event or a whole answer, as far as the gateway looks at it."""

    choices: list[Choice] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


class Whole(Chunk, gc=False):
    """A whole answer."""

    service_tier: Raw = ABSENT


class _Service(msgspec.Struct):
    service_tier: Raw = ABSENT


MODEL_CHARS_MAX = 256
MODEL_LENGTH: Final = len("model")


def check_model(name: str) -> None:
    """Raises ClientError for a model's name that is too long to stand in errors, logs and the ledger."""
    if len(name) > MODEL_CHARS_MAX:
        message = f"`model` has {len(name)} characters, no name has more than {MODEL_CHARS_MAX}: {name[:40]!r}…"
        raise ClientError(message, code="invalid_model", param="model")


_decode_head = msgspec.json.Decoder(ChatHead).decode
_decode_service = msgspec.json.Decoder(_Service).decode
_decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_whole = msgspec.json.Decoder(Whole).decode
_decode_raw = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.encode


WELL_FINISHED = ("stop", "tool_calls", "function_call")


def worst_finish(one: str | None, other: str | None) -> str | None:
    """Of two finish_reasons of an answer (it may have several choices) the one that says that something is missing.

    "" is none: some servers (Ollama, SGLang, GLM) have had it where OpenAI's have null.
    """
    if not other:
        return one or None
    return other if not one or one in WELL_FINISHED else one


def read_service_tier(data: bytes) -> Raw:
    """How an answer was served, of a chunk's data. Apart from the chunk: it is on every event, and wanted of one."""
    return _decode_service(data).service_tier


def decode_body(body: bytes) -> dict[str, Any]:
    """All of a request's fields. Raises ClientError: the head is read without looking at fields it does not know."""
    try:
        fields: dict[str, Any] = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ClientError(f"the body holds something that cannot be read: {exc}", code="invalid_json") from exc
    return fields


def read_head(body: bytes) -> ChatHead:
    """The head of a request. Raises msgspec.DecodeError or its subclass ValidationError, which names the field."""
    return _decode_head(body)


def read_chunk(data: bytes) -> Chunk:
    """A stream event's data or a whole answer. Raises msgspec.DecodeError."""
    return _decode_chunk(data)


def read_whole(body: bytes) -> Whole:
    """A whole answer. Raises msgspec.DecodeError."""
    return _decode_whole(body)


def patched_body(body: bytes, model: str, *, wants_usage: bool) -> bytes:
    """The request for one target: its own model id, and usage asked for when it is streamed.

    Everything else keeps its bytes, which is also a fraction of the cost of parsing and dumping the whole. But for another
    `Model`: a server that reads names in any case would take that one, which nobody has routed or priced.
    """
    fields: dict[str, Raw] = _decode_raw(body)
    for name in [name for name in fields if len(name) == MODEL_LENGTH and name != "model" and name.lower() == "model"]:
        del fields[name]
    fields["model"] = Raw(_encode(model))
    if wants_usage:
        options: bytes = bytes(fields.get("stream_options", Raw(b"null")))
        given = decode_body(options) if options != b"null" else {}
        fields["stream_options"] = Raw(_encode({**given, "include_usage": True}))
    return _encode(fields)


def sse(payload: Any) -> bytes:
    """One stream event."""
    return b"data: " + _encode(payload) + b"\n\n"


def data_of(event: bytes) -> bytes:
    """The payload of one of our own or a parsed stream event: its data lines, joined."""
    return b"\n".join(line[5:].lstrip() for line in event.splitlines() if line.startswith(b"data:"))


def with_cost(event: bytes, usage: Usage, cost_usd: float | None) -> bytes:
    """A stream's usage event with what the answer cost, null if that is unknown; our own count where its is none."""
    fields: dict[str, Any] = msgspec.json.decode(data_of(event))
    told = fields.get("usage")
    counted: dict[str, Any] = told if isinstance(told, dict) and told and not usage.estimated else wire_usage(usage)
    fields["usage"] = {**counted, "cost": cost_usd}
    return sse(fields)


_FIRST_DATA = re.compile(rb"(?:^|[\r\n])data: *(\{[^\r\n]*\})")


def usage_event(events: bytes, usage: Usage, cost_usd: float | None) -> bytes:
    """A usage event of our own, for a stream without one. events: of the same stream, the first gives its id."""
    first = _FIRST_DATA.search(events)
    given: dict[str, Any] = msgspec.json.decode(first[1]) if first else {}
    fields: dict[str, Any] = {
        "id": given.get("id") or new_id(),
        "object": "chat.completion.chunk",
        "created": given.get("created") or int(time.time()),
        "model": given.get("model") or "",
        "choices": [],
        "usage": {**wire_usage(usage), "cost": cost_usd},
    }
    return sse(fields)


def new_id() -> str:
    """An id for an answer that no provider made."""
    return f"chatcmpl-{uuid.uuid4().hex}"


def completion(text: str, model: str, usage: Usage) -> bytes:
    """A whole answer around a text of our own."""
    return _encode(
        {
            "id": new_id(),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": wire_usage(usage),
        }
    )
