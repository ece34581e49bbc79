"""The dialects that providers speak, as the bytes of a small answer: whole, or in parts that a fault can be put between."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

ANSWER = ("The ", "signal ", "is ", "green.")
SPARE = "The spare answers."
BIG_CHARS = 5_000_000
VECTOR = [0.25, -0.5, 0.125]
SPARE_VECTOR = [1.0, 0.0, 0.0]
INPUT_TOKENS, OUTPUT_TOKENS = 11, 4

Json = dict[str, Any]


@dataclass(frozen=True)
class Wire:
    """An answer's parts. preamble: what comes before the first token. end: all after the last one, usage with it.

    whole, uncounted, silent, big: bodies: as it should be, without usage, without an answer in it, of 5 MB; `uncounted_…` and
    `big_token` are the same of a stream. refusal: the body of an error status; error: of an error under a 200; error_event: the
    same inside a stream. silent_end, big_end: in place of `end` where that says the answer again.
    """

    preamble: bytes
    tokens: tuple[bytes, ...]
    end: bytes
    uncounted_preamble: bytes
    uncounted_end: bytes
    big_token: bytes
    error_event: bytes
    whole: bytes
    uncounted: bytes
    silent: bytes
    big: bytes
    error: bytes
    refusal: bytes
    silent_end: bytes = b""
    big_end: bytes = b""


def sse(payload: Any, event: str | None = None) -> bytes:
    """One stream event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(payload)}\n\n".encode()


def body(payload: Json) -> bytes:
    return json.dumps(payload).encode()


# OpenAI chat.

_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m-1"}
_USAGE = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS}


def _chunk(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse({**_HEAD, "object": "chat.completion.chunk", "choices": [choice]})


def chat_body(text: str, usage: Json | None = _USAGE) -> bytes:
    """A whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    counted = {} if usage is None else {"usage": usage}
    return body({**_HEAD, "object": "chat.completion", "choices": [choice], **counted})


def chat_events(*tokens: str) -> bytes:
    """A whole stream of a chat completion."""
    return b"".join([_CHAT_PREAMBLE, *(_chunk({"content": token}) for token in tokens), _CHAT_END])


_CHAT_PREAMBLE = _chunk({"role": "assistant", "content": ""})
_CHAT_USAGE = sse({**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE})
_DONE = b"data: [DONE]\n\n"
_CHAT_END = _chunk({}, "stop") + _CHAT_USAGE + _DONE
_OPENAI_ERROR = {"error": {"message": "told to fail", "type": "server_error", "code": None}}

OPENAI = Wire(
    preamble=_CHAT_PREAMBLE,
    tokens=tuple(_chunk({"content": token}) for token in ANSWER),
    end=_CHAT_END,
    uncounted_preamble=_CHAT_PREAMBLE,
    uncounted_end=_chunk({}, "stop") + _DONE,
    big_token=_chunk({"content": "x" * BIG_CHARS}),
    error_event=sse(_OPENAI_ERROR),
    whole=chat_body("".join(ANSWER)),
    uncounted=chat_body("".join(ANSWER), usage=None),
    silent=chat_body(""),
    big=chat_body("x" * BIG_CHARS),
    error=body(_OPENAI_ERROR),
    refusal=body(_OPENAI_ERROR),
)

OPENAI_SPARE = replace(OPENAI, tokens=(_chunk({"content": SPARE}),), whole=chat_body(SPARE))

# Anthropic messages.

_ANTHROPIC_USAGE = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
_OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def _event(kind: str, **fields: Any) -> bytes:
    return sse({"type": kind, **fields}, kind)


def _text(text: str) -> bytes:
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def _message(content: list[Json], stop_reason: str | None = "end_turn", usage: Json | None = _ANTHROPIC_USAGE) -> Json:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1"}
    counted = {} if usage is None else {"usage": usage}
    return {**head, "content": content, "stop_reason": stop_reason, "stop_sequence": None, **counted}


def _start(usage: Json | None) -> bytes:
    return _event("message_start", message=_message([], stop_reason=None, usage=usage))


def _stop(usage: Json | None) -> bytes:
    counted = {} if usage is None else {"usage": usage}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return _event("message_delta", delta=delta, **counted) + _event("message_stop")


def _said(text: str, usage: Json | None = _ANTHROPIC_USAGE) -> bytes:
    return body(_message([{"type": "text", "text": text}], usage=usage))


_BLOCK = _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
_BLOCK_STOP = _event("content_block_stop", index=0)
_COUNTED_STOP = _stop({"output_tokens": OUTPUT_TOKENS})

ANTHROPIC = Wire(
    preamble=_start({"input_tokens": INPUT_TOKENS, "output_tokens": 1}) + _event("ping") + _BLOCK,
    tokens=tuple(_text(token) for token in ANSWER),
    end=_BLOCK_STOP + _COUNTED_STOP,
    uncounted_preamble=_start(None) + _BLOCK,
    uncounted_end=_BLOCK_STOP + _stop(None),
    big_token=_text("x" * BIG_CHARS),
    error_event=sse(_OVERLOADED, "error"),
    whole=_said("".join(ANSWER)),
    uncounted=_said("".join(ANSWER), usage=None),
    silent=body(_message([])),
    big=_said("x" * BIG_CHARS),
    error=body(_OVERLOADED),
    refusal=body({"type": "error", "error": {"type": "api_error", "message": "told to fail"}}),
)

ANTHROPIC_SPARE = replace(ANTHROPIC, tokens=(_text(SPARE),), whole=_said(SPARE))

# OpenAI embeddings: there is no stream of them, but one that nobody asked for.


def embeddings_body(*vectors: list[float], usage: Json | None = None, **more: Any) -> bytes:
    """A whole answer of an embeddings server."""
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    counted = {} if usage is None else {"usage": usage}
    return body({"object": "list", "data": data, "model": "m-1", **counted, **more})


_EMBEDDINGS_USAGE = {"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS}

EMBEDDINGS = Wire(
    preamble=sse({"object": "list", "data": []}),
    tokens=(),
    end=b"",
    uncounted_preamble=b"",
    uncounted_end=b"",
    big_token=b"",
    error_event=b"",
    whole=embeddings_body(VECTOR, usage=_EMBEDDINGS_USAGE),
    uncounted=embeddings_body(VECTOR),
    silent=embeddings_body(usage=_EMBEDDINGS_USAGE),
    big=embeddings_body(VECTOR, usage=_EMBEDDINGS_USAGE, padding="x" * BIG_CHARS),
    error=body(_OPENAI_ERROR),
    refusal=body(_OPENAI_ERROR),
)
