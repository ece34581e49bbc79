"""Responses answers and streams as OpenAI's server writes them, checked by its SDK's own types."""

import json
from collections.abc import Sequence
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

Json = dict[str, Any]

USAGE: Json = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 13,
}
_EVENT = TypeAdapter[Any](ResponseStreamEvent)


def text_part(text: str, annotations: Sequence[Json] = (), logprobs: Sequence[Json] = ()) -> Json:
    return {"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": list(logprobs)}


def message(*parts: str | Json, id: str = "msg_1") -> Json:
    content = [text_part(part) if isinstance(part, str) else part for part in parts]
    return {"type": "message", "id": id, "status": "completed", "role": "assistant", "content": content}


def refusal(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def reasoning(*summary: str, content: str = "", sealed: str | None = None, id: str = "rs_1") -> Json:
    item: Json = {"type": "reasoning", "id": id, "summary": [{"type": "summary_text", "text": text} for text in summary]}
    if content:
        item["content"] = [{"type": "reasoning_text", "text": content}]
    return item if sealed is None else {**item, "encrypted_content": sealed}


def function_call(name: str, arguments: str, call_id: str = "call_1") -> Json:
    given = {"call_id": call_id, "name": name, "arguments": arguments}
    return {"type": "function_call", "id": f"fc_{call_id}", "status": "completed", **given}


def custom_call(name: str, text: str, call_id: str = "call_9") -> Json:
    return {"type": "custom_tool_call", "id": f"ctc_{call_id}", "call_id": call_id, "name": name, "input": text}


def response(*output: Json, status: str = "completed", usage: Json | None = USAGE, **more: Any) -> Json:
    """A whole answer."""
    body = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "gpt-real",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
        **more,
    }
    Response.model_validate(body)
    return body


def stream(*output: Json, status: str = "completed", usage: Json | None = USAGE, pieces: int = 3, **more: Any) -> list[Json]:
    """The events of such an answer, in their order; each text in so many deltas."""
    begun = response(status="in_progress", usage=None)
    events: list[Json] = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
    for index, item in enumerate(output):
        events += _item_events(item, index, pieces)
    ended = response(*output, status=status, usage=usage, **more)
    events.append({"type": f"response.{status}", "response": ended})
    events = [{**event, "sequence_number": n} for n, event in enumerate(events)]
    for event in events:
        _EVENT.validate_python(event)
    return events


def wire(*events: Json) -> list[bytes]:
    """Each as it stands on the wire."""
    return [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events]


def _item_events(item: Json, index: int, pieces: int) -> list[Json]:
    at = {"output_index": index, "item_id": item["id"]}
    empty = {**item, "status": "in_progress"}
    said: list[Json] = []
    match item["type"]:
        case "message":
            empty["content"] = []
            for n, part in enumerate(item["content"]):
                said += _part_events(part, {**at, "content_index": n}, pieces)
        case "reasoning":
            empty = {**empty, "summary": [], "encrypted_content": None}
            empty.pop("content", None)
            for n, part in enumerate(item["summary"]):
                here = {**at, "summary_index": n}
                said.append({"type": "response.reasoning_summary_part.added", **here, "part": {**part, "text": ""}})
                said += _deltas("response.reasoning_summary_text", part["text"], here, "text", pieces)
            for n, part in enumerate(item.get("content", [])):
                said += _deltas("response.reasoning_text", part["text"], {**at, "content_index": n}, "text", pieces)
        case "function_call":
            empty["arguments"] = ""
            told = {"name": item["name"]}
            said = _deltas("response.function_call_arguments", item["arguments"], at, "arguments", pieces, told)
        case "custom_tool_call":
            empty["input"] = ""
            said = _deltas("response.custom_tool_call_input", item["input"], at, "input", pieces)
    added = {"type": "response.output_item.added", "output_index": index, "item": empty}
    return [added, *said, {"type": "response.output_item.done", "output_index": index, "item": item}]


def _part_events(part: Json, at: Json, pieces: int) -> list[Json]:
    is_text = part["type"] == "output_text"
    empty = text_part("") if is_text else refusal("")
    name, field = ("response.output_text", "text") if is_text else ("response.refusal", "refusal")
    said = _deltas(name, part[field], at, field, pieces)
    if is_text:
        for event in said:
            event["logprobs"] = []
        if part["logprobs"]:  # all of them with the first delta, as good as any
            tokens = [{k: v for k, v in token.items() if k != "bytes"} for token in part["logprobs"]]
            said[0]["logprobs"] = tokens
        for n, annotation in enumerate(part["annotations"]):
            cited = {"type": "response.output_text.annotation.added", **at, "annotation_index": n, "annotation": annotation}
            said.insert(-1, cited)
    added = {"type": "response.content_part.added", **at, "part": empty}
    return [added, *said, {"type": "response.content_part.done", **at, "part": part}]


def _deltas(name: str, text: str, at: Json, field: str, pieces: int, told: Json | None = None) -> list[Json]:
    size = max(-(-len(text) // pieces), 1)
    cut = [text[n : n + size] for n in range(0, len(text), size)]
    deltas: list[Json] = [{"type": f"{name}.delta", **at, "delta": piece} for piece in cut]
    return [*deltas, {"type": f"{name}.done", **at, field: text, **(told or {})}]
