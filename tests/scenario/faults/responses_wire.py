"""OpenAI's Responses dialect as a provider speaks it, as the bytes of a small answer: see wires.py."""

from __future__ import annotations

from typing import Any

from tests.scenario.faults.wires import ANSWER, BIG_CHARS, INPUT_TOKENS, OUTPUT_TOKENS, SPARE, Json, Wire, body, sse

_USAGE = {
    "input_tokens": INPUT_TOKENS,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": OUTPUT_TOKENS,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
}
_ERROR = {"code": "server_error", "message": "told to fail"}
_PLACE: Json = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def _response(status: str, output: list[Json], usage: Json | None = None, error: Json | None = None) -> Json:
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m-1"}
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**head, "status": status, "error": error, "incomplete_details": None, "output": output, **rest, "usage": usage}


def _message(text: str, status: str = "completed") -> Json:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}] if text else []
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content}


def _event(number: int, kind: str, **fields: Any) -> bytes:
    return sse({"type": kind, "sequence_number": number, **fields}, kind)


def _token(number: int, text: str) -> bytes:
    return _event(number, "response.output_text.delta", **_PLACE, delta=text, logprobs=[])


def _ends(text: str, usage: Json | None = _USAGE) -> bytes:
    """From the last token on."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    events = [
        _event(20, "response.output_text.done", **_PLACE, text=text, logprobs=[]),
        _event(21, "response.content_part.done", **_PLACE, part=part),
        _event(22, "response.output_item.done", output_index=0, item=_message(text)),
        _event(23, "response.completed", response=_response("completed", [_message(text)], usage)),
    ]
    return b"".join(events)


def _wire(*tokens: str) -> Wire:
    text, begun = "".join(tokens), _response("in_progress", [])
    opened = _event(2, "response.output_item.added", output_index=0, item=_message("", "in_progress"))
    part = _event(3, "response.content_part.added", **_PLACE, part={"type": "output_text", "text": "", "annotations": []})
    preamble = _event(0, "response.created", response=begun) + _event(1, "response.in_progress", response=begun) + opened + part
    failed = _response("failed", [], error=_ERROR)
    return Wire(
        preamble=preamble,
        tokens=tuple(_token(number, token) for number, token in enumerate(tokens, start=4)),
        end=_ends(text),
        uncounted_preamble=preamble,
        uncounted_end=_ends(text, usage=None),
        big_token=_token(4, "x" * BIG_CHARS),
        error_event=_event(9, "response.failed", response=failed),
        whole=body(_response("completed", [_message(text)], _USAGE)),
        uncounted=body(_response("completed", [_message(text)])),
        silent=body(_response("completed", [_message("")], _USAGE)),
        big=body(_response("completed", [_message("x" * BIG_CHARS)], _USAGE)),
        error=body(failed),
        refusal=body({"error": {**_ERROR, "type": "server_error", "param": None}}),
        silent_end=_ends(""),
        big_end=_ends("x" * BIG_CHARS),
    )


RESPONSES = _wire(*ANSWER)
RESPONSES_SPARE = _wire(SPARE)
