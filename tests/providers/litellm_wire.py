"""What the vendors behind litellm say on the wire: the same answers, a call of a tool, images and errors, each in its own words.

The forms are those of the vendors' API references: Bedrock's Converse and its binary event stream (Smithy's
application/vnd.amazon.eventstream), Gemini's generateContent, Anthropic's Messages as Vertex has them, Cohere's chat v2, and
OpenAI's chat as Azure, Groq and Mistral have it.
"""

import binascii
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.scripted_server import Reply, json_reply, sse_reply

KEY = "sk-test-0123456789"
AWS = {
    "aws_region_name": "us-east-1",
    "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
}
GOOGLE = {"vertex_project": "proj", "vertex_location": "us-central1"}
PIXEL = "iVBORw0KGgo="


@dataclass(frozen=True)
class Vendor:
    """hello, call: whole answers: "Hello", and a call of f with {"a": 1}. Their streams: the same in parts, in order.

    cut_at: how many parts of `hello_stream` come before it breaks off. image: how it is sent a PNG. path: of whole answers.
    streams: whether litellm can read its streams. thrown: an error answer's body around a message.
    """

    provider: str
    model: str
    path: str
    hello: Any
    call: Any
    hello_stream: Sequence[bytes]
    call_stream: Sequence[bytes]
    image: str
    thrown: str
    headers: tuple[str, str]
    base: str = ""
    key: str | None = KEY
    params: Mapping[str, str] = field(default_factory=dict)
    stream_type: str = "text/event-stream"
    cut_at: int = 2
    streams: bool = True

    def stream(self, parts: Sequence[bytes]) -> Reply:
        return sse_reply(*parts, headers={"content-type": self.stream_type})

    def error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
        return json_reply(self.thrown.replace("MESSAGE", message).encode(), status=status, headers=headers)


def frame(kind: str, payload: Any) -> bytes:
    """One message of Amazon's event stream: lengths, headers, payload, each part with its CRC-32."""
    thrown = kind.endswith("Exception")
    names = {
        ":exception-type" if thrown else ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception" if thrown else "event",
    }
    head = b"".join(bytes([len(k)]) + k.encode() + b"\x07" + struct.pack(">H", len(v)) + v.encode() for k, v in names.items())
    body = json.dumps(payload).encode()
    lengths = struct.pack(">II", 12 + len(head) + len(body) + 4, len(head))
    message = lengths + struct.pack(">I", binascii.crc32(lengths)) + head + body
    return message + struct.pack(">I", binascii.crc32(message))


def _data(payload: Any) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\r\n\r\n"


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


# Bedrock

_CONVERSED = {"metrics": {"latencyMs": 1}, "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}}
_TOLD = frame("metadata", _CONVERSED)


def converse(content: list[Any], reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    """An answer of Converse's."""
    return {**_CONVERSED, "output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, **more}


def delta(index: int, **what: Any) -> bytes:
    return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": what})


MESSAGE_START = frame("messageStart", {"role": "assistant"})


def stop(reason: str) -> list[bytes]:
    return [frame("messageStop", {"stopReason": reason}), _TOLD]


BEDROCK = Vendor(
    provider="bedrock",
    model="anthropic.claude-haiku-4-5-20251001-v1:0",
    path="/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse",
    hello=converse([{"text": "Hello"}]),
    call=converse([{"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}], "tool_use"),
    hello_stream=[MESSAGE_START, delta(0, text="Hel"), delta(0, text="lo"), *stop("end_turn")],
    call_stream=[
        MESSAGE_START,
        frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}}),
        delta(0, toolUse={"input": '{"a"'}),
        delta(0, toolUse={"input": ": 1}"}),
        *stop("tool_use"),
    ],
    image=f'{{"image": {{"source": {{"bytes": "{PIXEL}"}}, "format": "png"}}}}',
    thrown='{"message": "MESSAGE"}',
    headers=("authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/"),
    key=None,
    params=AWS,
    stream_type="application/vnd.amazon.eventstream",
)

# Gemini, at Google AI Studio and on Vertex


def generated(part: Mapping[str, Any], reason: str | None = "STOP") -> dict[str, Any]:
    """An answer, or a part of one, of generateContent's."""
    candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
    counted = {"promptTokenCount": 5, "totalTokenCount": 5}
    if reason is not None:
        candidate["finishReason"] = reason
        counted = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    return {"candidates": [candidate], "usageMetadata": counted, "modelVersion": "gemini-2.5-flash", "responseId": "r1"}


_CALLED = {"functionCall": {"name": "f", "args": {"a": 1}}}
GEMINI = Vendor(
    provider="gemini",
    model="gemini-2.5-flash",
    path="/models/gemini-2.5-flash:generateContent",
    hello=generated({"text": "Hello"}),
    call=generated(_CALLED),
    hello_stream=[_data(generated({"text": "Hel"}, None)), _data(generated({"text": "lo"}))],
    call_stream=[_data(generated(_CALLED))],
    image=f'{{"inline_data":{{"data":"{PIXEL}","mime_type":"image/png"}}}}',
    thrown='{"error": {"code": 400, "message": "MESSAGE", "status": "SOME_STATUS"}}',
    headers=("x-goog-api-key", KEY),
    cut_at=1,
)
_VERTEX = "/v1/projects/proj/locations/us-central1/publishers"
VERTEX = Vendor(
    **{
        **{name: getattr(GEMINI, name) for name in GEMINI.__dataclass_fields__},
        "provider": "vertex_ai",
        "path": f"{_VERTEX}/google/models/gemini-2.5-flash:generateContent",
        "headers": ("authorization", "Bearer vertex-token"),
        "key": None,
        "params": GOOGLE,
    }
)

# Claude on Vertex

_CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 2},
}
_BEGUN = _event("message_start", message={**_CLAUDE, "content": [], "stop_reason": None})


def _stopped(reason: str) -> list[bytes]:
    told = _event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 2})
    return [_event("content_block_stop", index=0), told, _event("message_stop")]


VERTEX_CLAUDE = Vendor(
    provider="vertex_ai",
    model="claude-sonnet-4-5@20250929",
    path=f"{_VERTEX}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
    hello={**_CLAUDE, "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"},
    call={**_CLAUDE, "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}], "stop_reason": "tool_use"},
    hello_stream=[
        _BEGUN,
        _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hel"}),
        _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "lo"}),
        *_stopped("end_turn"),
    ],
    call_stream=[
        _BEGUN,
        _event("content_block_start", index=0, content_block={"type": "tool_use", "id": "t1", "name": "f", "input": {}}),
        _event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": '{"a"'}),
        _event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": ": 1}"}),
        *_stopped("tool_use"),
    ],
    image=f'"media_type":"image/png","data":"{PIXEL}"',
    thrown='{"type": "error", "error": {"type": "some_error", "message": "MESSAGE"}}',
    headers=("authorization", "Bearer vertex-token"),
    key=None,
    params=GOOGLE,
    cut_at=3,
)

# Cohere

_COUNTED = {"billed_units": {"input_tokens": 5, "output_tokens": 2}, "tokens": {"input_tokens": 5, "output_tokens": 2}}
_FUNCTION = {"name": "f", "arguments": '{"a": 1}'}
COHERE = Vendor(
    provider="cohere",
    model="command-a-03-2025",
    path="/v2/chat",
    hello={
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        "finish_reason": "COMPLETE",
        "usage": _COUNTED,
    },
    call={
        "message": {"role": "assistant", "tool_calls": [{"id": "t1", "type": "function", "function": _FUNCTION}]},
        "finish_reason": "TOOL_CALL",
        "usage": _COUNTED,
    },
    hello_stream=[],
    call_stream=[],
    image=f"data:image/png;base64,{PIXEL}",
    thrown='{"id": "1", "message": "MESSAGE"}',
    headers=("authorization", f"Bearer {KEY}"),
    base="/v2/chat",
    streams=False,
)

# OpenAI's chat, as others have it

_HEAD = {"id": "c-1", "created": 1, "model": "some-model"}
_USED = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def _chunk(change: Mapping[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": change, "finish_reason": finish}
    return _data({**_HEAD, "object": "chat.completion.chunk", "choices": [choice], **more})


def _completed(message: Mapping[str, Any], finish: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    return {**_HEAD, "object": "chat.completion", "service_tier": "default", "choices": [choice], "usage": _USED}


def _part(**function: str) -> dict[str, Any]:
    named = {"id": "t1", "type": "function"} if "name" in function else {}
    return {"tool_calls": [{"index": 0, "function": function, **named}]}


def _alike(provider: str, path: str, base: str, header: tuple[str, str], params: Mapping[str, str] | None = None) -> Vendor:
    last = [_chunk({}, "stop"), _chunk({}, choices=[], usage=_USED), b"data: [DONE]\n\n"]
    return Vendor(
        provider=provider,
        model="some-model",
        path=path,
        hello=_completed({"content": "Hello"}, "stop"),
        call=_completed({"tool_calls": [{"id": "t1", "type": "function", "function": _FUNCTION}]}, "tool_calls"),
        hello_stream=[_chunk({"role": "assistant", "content": ""}), _chunk({"content": "Hel"}), _chunk({"content": "lo"}), *last],
        call_stream=[
            _chunk({"role": "assistant", "content": None, **_part(name="f", arguments="")}),
            _chunk(_part(arguments='{"a"')),
            _chunk(_part(arguments=": 1}")),
            _chunk({}, "tool_calls"),
            *last[1:],
        ],
        image=f"data:image/png;base64,{PIXEL}",
        thrown='{"error": {"message": "MESSAGE", "type": "some_error", "param": null, "code": null}}',
        headers=header,
        base=base,
        params=params or {},
    )


_DATED = "/openai/deployments/some-model/chat/completions?api-version=2024-10-21"
AZURE = _alike("azure", _DATED, "", ("api-key", KEY), {"api_version": "2024-10-21"})
GROQ = _alike("groq", "/v1/chat/completions", "/v1", ("authorization", f"Bearer {KEY}"))
MISTRAL = _alike("mistral", "/v1/chat/completions", "/v1", ("authorization", f"Bearer {KEY}"))

VENDORS = {
    "bedrock": BEDROCK,
    "gemini": GEMINI,
    "vertex-gemini": VERTEX,
    "vertex-claude": VERTEX_CLAUDE,
    "cohere": COHERE,
    "azure": AZURE,
    "groq": GROQ,
    "mistral": MISTRAL,
}
