"""Gemini's generateContent as the server sends it, whole and streamed."""

from __future__ import annotations

import json

from tests.clients.pairing.says import SIGNATURE, Fails, Json, Says, Used, words
from tests.scripted_server import Reply, json_reply, sse_reply

MODEL = "gemini-1"
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    529: "UNAVAILABLE",
}


def reply(says: Says | Fails, *, is_stream: bool) -> Reply:
    """What the server answers."""
    if isinstance(says, Fails):
        return _failure(says, is_stream=is_stream)
    parts = _parts(says)
    if not is_stream:
        return json_reply(_answer(parts, says))
    chunks = [_chunk([part]) for part in parts[:-1]]
    return sse_reply(*chunks, _event(_answer(parts[-1:], says)))


def _failure(fails: Fails, *, is_stream: bool) -> Reply:
    error = {"error": {"code": fails.status, "message": fails.message, "status": STATUSES[fails.status]}}
    if is_stream and fails.after_text:
        return sse_reply(_chunk([{"text": fails.after_text}]), _event(error))
    waits = {} if fails.retry_after_s is None else {"retry-after": str(fails.retry_after_s)}
    return json_reply(error, status=fails.status, headers=waits)


def _parts(says: Says) -> list[Json]:
    parts: list[Json] = [{"text": word, "thought": True} for word in words(says.thinking)]
    parts += [{"text": word} for word in words(says.text)]
    called: list[Json] = [{"functionCall": {"name": call.name, "args": call.given}} for call in says.calls]
    if called and says.thinking:
        called[0]["thoughtSignature"] = SIGNATURE
    return parts + called


def _usage(used: Used) -> Json:
    return {
        "promptTokenCount": used.input,
        "cachedContentTokenCount": used.cached,
        "candidatesTokenCount": used.output - used.reasoning,
        "thoughtsTokenCount": used.reasoning,
        "totalTokenCount": used.input + used.output,
    }


def _answer(parts: list[Json], says: Says) -> Json:
    finish = "SAFETY" if says.is_filtered else "MAX_TOKENS" if says.is_cut else "STOP"
    candidates = [(parts, finish), *(([{"text": text}], "STOP") for text in says.others)]
    listed = [
        {"content": {"parts": said, "role": "model"}, "finishReason": end, "index": i} for i, (said, end) in enumerate(candidates)
    ]
    return {"candidates": listed, "usageMetadata": _usage(says.used), "modelVersion": MODEL, "responseId": "gem_1"}


def _chunk(parts: list[Json]) -> bytes:
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    return _event({"candidates": [candidate], "modelVersion": MODEL, "responseId": "gem_1"})


def _event(payload: Json) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"
