"""OpenAI's chat completions, and its older completions, as their server sends them."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.upstream.cue import Answer, Failure, thirds

CREATED = 1_760_000_000
DONE = b"data: [DONE]\n\n"
FINISH = {"stop": "stop", "stop_sequence": "stop", "length": "length", "content_filter": "content_filter", "pause": "stop"}


def whole(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    choices = []
    for index in range(body.get("n") or 1):
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text,
            "refusal": answer.refusal,
            "annotations": _annotations(answer),
        }
        if answer.thinking:
            message["reasoning_content"] = answer.thinking
        if answer.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in answer.calls
            ]
        logprobs = _logprobs(answer.words, body.get("top_logprobs") or 0) if body.get("logprobs") else None
        choices.append({"index": index, "message": message, "logprobs": logprobs, "finish_reason": _finish(answer)})
    return {**_head(body, "chat.completion"), "choices": choices, "usage": usage(answer)}


def events(answer: Answer, body: dict[str, Any]) -> list[bytes]:
    """One event each; the terminator last."""
    said: list[dict[str, Any]] = []
    for index in range(body.get("n") or 1):
        said += [{"index": index, "delta": delta, "finish_reason": None, **extra} for delta, extra in _deltas(answer, body)]
        said.append({"index": index, "delta": {}, "logprobs": None, "finish_reason": _finish(answer)})
    wants_usage = (body.get("stream_options") or {}).get("include_usage")
    head = {**_head(body, "chat.completion.chunk"), **({"usage": None} if wants_usage else {})}
    sent = [_event({**head, "choices": [choice]}) for choice in said]
    if wants_usage:
        sent.append(_event({**head, "choices": [], "usage": usage(answer)}))
    return [*sent, DONE]


def _deltas(answer: Answer, body: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    deltas: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"role": "assistant", "content": "", "refusal": None}, {"logprobs": None})
    ]
    if answer.thinking:
        deltas.append(({"reasoning_content": answer.thinking}, {}))
    for word in answer.words:
        logprobs = _logprobs([word], body.get("top_logprobs") or 0) if body.get("logprobs") else None
        deltas.append(({"content": word}, {"logprobs": logprobs}))
    if answer.refusal:
        deltas.append(({"refusal": answer.refusal}, {}))
    if answer.citations:
        deltas.append(({"annotations": _annotations(answer)}, {}))
    for at, call in enumerate(answer.calls):
        first = {"index": at, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        deltas.append(({"tool_calls": [first]}, {}))
        deltas += [({"tool_calls": [{"index": at, "function": {"arguments": part}}]}, {}) for part in thirds(call.arguments)]
    return deltas


def usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.tokens_in,
        "completion_tokens": answer.tokens_out,
        "total_tokens": answer.tokens_in + answer.tokens_out,
        "prompt_tokens_details": {"cached_tokens": answer.usage.get("cached", 0), "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": answer.usage.get("reasoning", 0), "audio_tokens": 0},
    }


def completion(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    choices = [
        {"index": index, "text": answer.text or "", "logprobs": None, "finish_reason": _finish(answer)}
        for index in range(body.get("n") or 1)
    ]
    return {**_head(body, "text_completion"), "choices": choices, "usage": usage(answer)}


def completion_events(answer: Answer, body: dict[str, Any]) -> list[bytes]:
    said = [{"index": 0, "text": word, "logprobs": None, "finish_reason": None} for word in answer.words]
    said.append({"index": 0, "text": "", "logprobs": None, "finish_reason": _finish(answer)})
    head = _head(body, "text_completion")
    sent = [_event({**head, "choices": [choice]}) for choice in said]
    if (body.get("stream_options") or {}).get("include_usage"):
        sent.append(_event({**head, "choices": [], "usage": usage(answer)}))
    return [*sent, DONE]


def error(failure: Failure) -> dict[str, Any]:
    kinds = {400: "invalid_request_error", 401: "invalid_request_error", 404: "invalid_request_error", 429: "requests"}
    kind = kinds.get(failure.status, "server_error" if failure.status >= 500 else "invalid_request_error")
    return {"error": {"message": failure.message, "type": kind, "param": None, "code": failure.code}}


def broken(message: str) -> bytes:
    return _event(error(Failure(500, message)))


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.calls else FINISH[answer.finish]


def _annotations(answer: Answer) -> list[dict[str, Any]]:
    length = len(answer.text or "")
    return [
        {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": length, **cited}} for cited in answer.citations
    ]


def _logprobs(words: list[str], top: int) -> dict[str, Any]:
    tokens = [
        {
            "token": word,
            "logprob": -0.25,
            "bytes": list(word.encode()),
            "top_logprobs": [{"token": word if i == 0 else f"other{i}", "logprob": -0.25 - i, "bytes": None} for i in range(top)],
        }
        for word in words
    ]
    return {"content": tokens, "refusal": None}


def _head(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": CREATED,
        "model": body["model"],
        "system_fingerprint": "fp_1",
        "service_tier": "default",
    }


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(payload, ensure_ascii=False).encode()
