"""OpenAI's chat completions as the server sends them, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.pairing.says import Called, Fails, Json, Says, Used, halves, words
from tests.scripted_server import Reply, json_reply, sse_reply

MODEL = "chat-1-2026-01-01"
HEAD: Json = {"id": "chatcmpl-1", "created": 1760000000, "model": MODEL, "system_fingerprint": "fp_1"}
LOGPROB = -0.25


def reply(says: Says | Fails, body: Json) -> Reply:
    """What the server answers to a request of this body."""
    is_stream = bool(body.get("stream"))
    if isinstance(says, Fails):
        return failure(says, is_stream=is_stream)
    if not is_stream:
        return json_reply(
            {**HEAD, "object": "chat.completion", "choices": _choices(says), "usage": _usage(says.used), **says.unknown}
        )
    wants_usage = (body.get("stream_options") or {}).get("include_usage")
    return sse_reply(*_events(says), *([_event([], usage=_usage(says.used))] if wants_usage else []), b"data: [DONE]\n\n")


def failure(fails: Fails, *, is_stream: bool) -> Reply:
    error = {"error": {"message": fails.message, "type": "invalid_request_error", "param": None, "code": None}}
    if is_stream and fails.after_text:
        return sse_reply(_said(content=fails.after_text), b"data: " + json.dumps(error).encode() + b"\n\n")
    waits = {} if fails.retry_after_s is None else {"retry-after": str(fails.retry_after_s)}
    return json_reply(error, status=fails.status, headers=waits)


def _usage(used: Used) -> Json:
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.written, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning, "audio_tokens": 0},
    }


def _finish(says: Says) -> str:
    if says.is_filtered:
        return "content_filter"
    return "length" if says.is_cut else "tool_calls" if says.calls else "stop"


def _call(i: int, call: Called, arguments: str) -> Json:
    if call.is_custom:
        return {"id": f"call_{i}", "type": "custom", "custom": {"name": call.name, "input": arguments}}
    return {"id": f"call_{i}", "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _arguments(call: Called) -> str:
    return call.given if isinstance(call.given, str) else json.dumps(call.given)


def _logprobs(tokens: list[str]) -> Json:
    given = [{"token": t, "logprob": LOGPROB, "bytes": list(t.encode()), "top_logprobs": []} for t in tokens]
    return {"content": given, "refusal": None}


def _annotations(says: Says) -> list[Json]:
    return [
        {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": len(says.text), "url": s.url, "title": s.title}}
        for s in says.sources
    ]


def _choices(says: Says) -> list[Json]:
    message: Json = {"role": "assistant", "content": says.text or None, "refusal": says.refusal or None}
    if says.thinking:
        message["reasoning_content"] = says.thinking
    if says.calls:
        message["tool_calls"] = [_call(i, call, _arguments(call)) for i, call in enumerate(says.calls)]
    if says.sources:
        message["annotations"] = _annotations(says)
    first = {
        "message": message,
        "logprobs": _logprobs(words(says.text)) if says.logprobs else None,
        "finish_reason": _finish(says),
    }
    rest = [
        {"message": {"role": "assistant", "content": text, "refusal": None}, "logprobs": None, "finish_reason": "stop"}
        for text in says.others
    ]
    return [{"index": i, **choice} for i, choice in enumerate([first, *rest])]


def _event(choices: list[Json], **more: Any) -> bytes:
    payload = {**HEAD, "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def _said(index: int = 0, finish: str | None = None, logprobs: Json | None = None, **delta: Any) -> bytes:
    return _event([{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}])


def _events(says: Says) -> list[bytes]:
    events = [_said(role="assistant", content="")]
    events += [_said(reasoning_content=word) for word in words(says.thinking)]
    events += [_said(content=word, logprobs=_logprobs([word]) if says.logprobs else None) for word in words(says.text)]
    events += [_said(refusal=word) for word in words(says.refusal)]
    events += [_said(annotations=_annotations(says))] if says.sources else []
    for i, call in enumerate(says.calls):
        kind, field = ("custom", "input") if call.is_custom else ("function", "arguments")
        events.append(_said(tool_calls=[{"index": i, **_call(i, call, "")}]))
        events += [_said(tool_calls=[{"index": i, kind: {field: part}}]) for part in halves(_arguments(call))]
    events.append(_event([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish(says)}], **says.unknown))
    for i, text in enumerate(says.others, 1):
        events += [_said(i, role="assistant", content=""), *(_said(i, content=word) for word in words(text)), _said(i, "stop")]
    return events
