"""Anthropic's messages as their server sends them."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.upstream.cue import Answer, Failure, thirds

FINISH = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "content_filter": "refusal",
    "pause": "pause_turn",
}
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def whole(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    return {**_head(body), "content": _blocks(answer), **_end(answer, body), "usage": usage(answer)}


def events(answer: Answer, body: dict[str, Any]) -> list[bytes]:
    started = {
        **_head(body),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage(answer), "output_tokens": 1},
    }
    sent = [_event("message_start", {"message": started}), _event("ping", {})]
    for index, block in enumerate(_blocks(answer)):
        empty, deltas = _opened(block)
        sent.append(_event("content_block_start", {"index": index, "content_block": empty}))
        sent += [_event("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
        sent.append(_event("content_block_stop", {"index": index}))
    sent.append(_event("message_delta", {"delta": _end(answer, body), "usage": usage(answer)}))
    return [*sent, _event("message_stop", {})]


def usage(answer: Answer) -> dict[str, Any]:
    """Anthropic counts what was read from and written to its cache beside the input, not in it."""
    cached, written = answer.usage.get("cached", 0), answer.usage.get("cache_write", 0)
    return {
        "input_tokens": answer.tokens_in - cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": answer.tokens_out,
        "service_tier": "standard",
    }


def count(body: dict[str, Any]) -> dict[str, Any]:
    return {"input_tokens": 100 + len(body["messages"])}


def error(failure: Failure) -> dict[str, Any]:
    kind = failure.code or KINDS.get(failure.status, "api_error" if failure.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": failure.message}, "request_id": "req_1"}


def broken(message: str) -> bytes:
    return b"event: error\ndata: %b\n\n" % json.dumps(error(Failure(529, message))).encode()


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": answer.signature})
    if answer.text or answer.refusal:
        block: dict[str, Any] = {"type": "text", "text": answer.text or answer.refusal}
        if answer.citations:
            block["citations"] = [
                {"type": "web_search_result_location", "cited_text": answer.text, "encrypted_index": "e", **cited}
                for cited in answer.citations
            ]
        blocks.append(block)
    blocks += [
        {"type": "tool_use", "id": call.id.replace("call_", "toolu_"), "name": call.name, "input": json.loads(call.arguments)}
        for call in answer.calls
    ]
    return blocks


def _opened(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and the deltas that fill it."""
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": part} for part in thirds(block["thinking"])]
        return {**block, "thinking": "", "signature": ""}, [*deltas, {"type": "signature_delta", "signature": block["signature"]}]
    if block["type"] == "tool_use":
        parts = ["", *thirds(json.dumps(block["input"]))]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
    cited = [{"type": "citations_delta", "citation": citation} for citation in block.get("citations", [])]
    words = [{"type": "text_delta", "text": word} for word in Answer(text=block["text"]).words]
    return {**block, "text": "", **({"citations": []} if cited else {})}, [*words, *cited]


def _end(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    if answer.calls:
        return {"stop_reason": "tool_use", "stop_sequence": None}
    reason = "refusal" if answer.refusal else FINISH[answer.finish]
    stops = body.get("stop_sequences") or [None]
    return {"stop_reason": reason, "stop_sequence": stops[0] if reason == "stop_sequence" else None}


def _head(body: dict[str, Any]) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **payload}, ensure_ascii=False).encode())
