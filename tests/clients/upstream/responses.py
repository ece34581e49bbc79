"""OpenAI's Responses as their server sends them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.clients.upstream.chat import CREATED
from tests.clients.upstream.cue import Answer, thirds

ECHOED = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def whole(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(answer.finish)
    return {
        **_head(body, "incomplete" if reason else "completed"),
        "incomplete_details": {"reason": reason} if reason else None,
        "output": _items(answer, body),
        "usage": usage(answer),
    }


def events(answer: Answer, body: dict[str, Any]) -> list[bytes]:
    complete = whole(answer, body)
    started = {**_head(body, "in_progress"), "incomplete_details": None, "output": [], "usage": None}
    said: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": started}),
        ("response.in_progress", {"response": started}),
    ]
    for index, item in enumerate(complete["output"]):
        opened, inner = _opened(item)
        said.append(("response.output_item.added", {"output_index": index, "item": opened}))
        said += [(kind, {"item_id": item["id"], "output_index": index, **fields}) for kind, fields in inner]
        said.append(("response.output_item.done", {"output_index": index, "item": item}))
    said.append((f"response.{complete['status']}", {"response": complete}))
    return [_event(kind, number, fields) for number, (kind, fields) in enumerate(said)]


def usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.tokens_in,
        "input_tokens_details": {"cached_tokens": answer.usage.get("cached", 0)},
        "output_tokens": answer.tokens_out,
        "output_tokens_details": {"reasoning_tokens": answer.usage.get("reasoning", 0)},
        "total_tokens": answer.tokens_in + answer.tokens_out,
    }


def broken(message: str) -> bytes:
    return _event("error", 99, {"code": "server_error", "message": message, "param": None})


def _items(answer: Answer, body: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.thinking:
        sealed = {"encrypted_content": answer.signature} if "reasoning.encrypted_content" in (body.get("include") or []) else {}
        items.append(
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": answer.thinking}], **sealed}
        )
    if answer.refusal:
        items.append(_message([{"type": "refusal", "refusal": answer.refusal}]))
    elif answer.text is not None:
        cited = [{"type": "url_citation", "start_index": 0, "end_index": len(answer.text), **c} for c in answer.citations]
        wants_logprobs = "message.output_text.logprobs" in (body.get("include") or [])
        items.append(
            _message(
                [
                    {
                        "type": "output_text",
                        "text": answer.text,
                        "annotations": cited,
                        "logprobs": _logprobs(answer, wants_logprobs),
                    }
                ]
            )
        )
    items += [
        {
            "type": "function_call",
            "id": f"fc_{at}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for at, call in enumerate(answer.calls)
    ]
    return items


def _message(content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}


def _logprobs(answer: Answer, are_wanted: bool) -> list[dict[str, Any]]:
    words = answer.words if are_wanted else []
    return [{"token": word, "logprob": -0.25, "bytes": list(word.encode()), "top_logprobs": []} for word in words]


def _opened(item: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """An item as it is added, and the events that fill it."""
    if item["type"] == "reasoning":
        (part,), place = item["summary"], {"summary_index": 0}
        deltas = [("response.reasoning_summary_text.delta", {**place, "delta": piece}) for piece in thirds(part["text"])]
        return {**item, "summary": []}, [
            ("response.reasoning_summary_part.added", {**place, "part": {**part, "text": ""}}),
            *deltas,
            ("response.reasoning_summary_text.done", {**place, "text": part["text"]}),
            ("response.reasoning_summary_part.done", {**place, "part": part}),
        ]
    if item["type"] == "function_call":
        deltas = [("response.function_call_arguments.delta", {"delta": piece}) for piece in thirds(item["arguments"])]
        done = ("response.function_call_arguments.done", {"arguments": item["arguments"], "name": item["name"]})
        return {**item, "arguments": "", "status": "in_progress"}, [*deltas, done]
    (part,), place = item["content"], {"content_index": 0}
    return {**item, "content": [], "status": "in_progress"}, [
        ("response.content_part.added", {**place, "part": _empty(part)}),
        *[(kind, {**place, **fields}) for kind, fields in _part_events(part)],
        ("response.content_part.done", {**place, "part": part}),
    ]


def _part_events(part: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    if part["type"] == "refusal":
        deltas = [("response.refusal.delta", {"delta": word}) for word in Answer(text=part["refusal"]).words]
        return [*deltas, ("response.refusal.done", {"refusal": part["refusal"]})]
    deltas = [
        (
            "response.output_text.delta",
            {"delta": word, "logprobs": [given for given in part["logprobs"] if given["token"] == word][:1]},
        )
        for word in Answer(text=part["text"]).words
    ]
    noted = [
        ("response.output_text.annotation.added", {"annotation_index": at, "annotation": note})
        for at, note in enumerate(part["annotations"])
    ]
    return [*deltas, *noted, ("response.output_text.done", {"text": part["text"], "logprobs": part["logprobs"]})]


def _empty(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "refusal": ""} if part["type"] == "refusal" else {**part, "text": "", "annotations": [], "logprobs": []}


def _head(body: dict[str, Any], status: str) -> dict[str, Any]:
    echoed = {name: body[name] if body.get(name) is not None else value for name, value in ECHOED.items()}
    return {
        "id": f"resp_{hashlib.sha256(json.dumps(body).encode()).hexdigest()[:24]}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "model": body["model"],
        "background": False,
        "service_tier": "default",
        **echoed,
    }


def _event(kind: str, number: int, fields: dict[str, Any]) -> bytes:
    payload = {"type": kind, "sequence_number": number, **fields}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps(payload, ensure_ascii=False).encode())
