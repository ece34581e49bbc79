"""Anthropic's messages as the server sends them, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.pairing.says import SIGNATURE, Fails, Json, Says, Used, halves, words
from tests.scripted_server import Reply, json_reply, sse_reply

MODEL = "claude-1-20260101"
HEAD: Json = {"id": "msg_01", "type": "message", "role": "assistant", "model": MODEL}
ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def reply(says: Says | Fails, body: Json) -> Reply:
    """What the server answers to a request of this body."""
    is_stream = bool(body.get("stream"))
    if isinstance(says, Fails):
        return failure(says, is_stream=is_stream)
    if not is_stream:
        ended = {**_ended(says), "usage": _usage(says.used)}
        return json_reply({**HEAD, "content": _blocks(says), **ended, **says.unknown})
    return sse_reply(*_events(says))


def failure(fails: Fails, *, is_stream: bool) -> Reply:
    error = {"type": "error", "error": {"type": ERRORS[fails.status], "message": fails.message}, "request_id": "req_1"}
    if is_stream and fails.after_text:
        return sse_reply(*_events(Says(fails.after_text))[:-3], _event("error", **error))
    waits = {} if fails.retry_after_s is None else {"retry-after": str(fails.retry_after_s)}
    return json_reply(error, status=fails.status, headers=waits)


def _usage(used: Used) -> Json:
    return {
        "input_tokens": used.input - used.cached - used.written,
        "cache_read_input_tokens": used.cached,
        "cache_creation_input_tokens": used.written,
        "cache_creation": {"ephemeral_5m_input_tokens": used.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": used.output,
        "output_tokens_details": {"thinking_tokens": used.reasoning},
        "service_tier": "standard",
    }


def _ended(says: Says) -> Json:
    reason = {"stop": "end_turn", "length": "max_tokens", "calls": "tool_use", "refused": "refusal"}[says.stop]
    ended: Json = {"stop_reason": reason, "stop_sequence": None}
    if says.refusal:
        ended["stop_details"] = {"type": "refusal", "category": None, "explanation": says.refusal}
    return ended


def _citations(says: Says) -> list[Json]:
    return [
        {
            "type": "web_search_result_location",
            "cited_text": says.text,
            "encrypted_index": "aW5kZXg=",
            "title": source.title,
            "url": source.url,
        }
        for source in says.sources
    ]


def _blocks(says: Says) -> list[Json]:
    blocks: list[Json] = [{"type": "thinking", "thinking": thought, "signature": SIGNATURE} for thought in says.thoughts]
    if says.text:
        cited = {"citations": _citations(says)} if says.sources else {}
        blocks.append({"type": "text", "text": says.text, **cited})
    blocks += [
        {"type": "tool_use", "id": f"toolu_{i}", "name": call.name, "input": call.given} for i, call in enumerate(says.calls)
    ]
    return blocks


def _event(type_: str, **fields: Any) -> bytes:
    payload = json.dumps({"type": type_, **fields}, ensure_ascii=False)
    return f"event: {type_}\ndata: {payload}\n\n".encode()


def _events(says: Says) -> list[bytes]:
    begun = {**HEAD, "content": [], "stop_reason": None, "stop_sequence": None, **says.unknown}
    events = [_event("message_start", message={**begun, "usage": {**_usage(says.used), "output_tokens": 1}}), _event("ping")]
    for index, block in enumerate(_blocks(says)):
        empty, deltas = _block_deltas(block)
        events.append(_event("content_block_start", index=index, content_block=empty))
        events += [_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        events.append(_event("content_block_stop", index=index))
    return [*events, _event("message_delta", delta=_ended(says), usage=_usage(says.used)), _event("message_stop")]


def _block_deltas(block: Json) -> tuple[Json, list[Json]]:
    """A block as it begins, and what is added to it."""
    match block["type"]:
        case "thinking":
            deltas: list[Json] = [{"type": "thinking_delta", "thinking": word} for word in words(block["thinking"])]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*deltas, signed]
        case "text":
            deltas = [{"type": "text_delta", "text": word} for word in words(block["text"])]
            deltas += [{"type": "citations_delta", "citation": citation} for citation in block.get("citations", ())]
            return {"type": "text", "text": ""}, deltas
    deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *halves(json.dumps(block["input"])))]
    return {**block, "input": {}}, deltas
