"""OpenAI's responses as the server sends them, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.pairing.says import SIGNATURE, Called, Fails, Json, Says, Used, halves, words
from tests.clients.pairing.wires.openai_chat import LOGPROB, failure
from tests.scripted_server import Reply, json_reply, sse_reply

MODEL = "resp-1-2026-01-01"


def reply(says: Says | Fails, body: Json) -> Reply:
    """What the server answers to a request of this body."""
    is_stream = bool(body.get("stream"))
    if isinstance(says, Fails):
        return _broken(says, body) if is_stream and says.after_text else failure(says, is_stream=False)
    if not is_stream:
        return json_reply(_response(body, says))
    return sse_reply(*_Stream(body).events(says))


def _broken(fails: Fails, body: Json) -> Reply:
    stream = _Stream(body)
    events = stream.events(Says(fails.after_text))[:-4]
    error = {"code": "server_error", "message": fails.message}
    failed = {**_begun(body), "status": "failed", "error": error}
    return sse_reply(*events, stream.event("response.failed", response=failed))


def _begun(body: Json) -> Json:
    text = {"format": {"type": "text"}, "verbosity": "medium", **body.get("text", {})}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1760000000,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "metadata": body.get("metadata", {}),
        "model": MODEL,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": text,
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_logprobs": body.get("top_logprobs", 0),
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _usage(used: Used) -> Json:
    return {
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.written},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    }


def _response(body: Json, says: Says) -> Json:
    reason = "max_output_tokens" if says.is_cut else "content_filter" if says.is_filtered else None
    ended = {"status": "incomplete", "incomplete_details": {"reason": reason}} if reason else {"status": "completed"}
    return {**_begun(body), **ended, "output": _items(says), "usage": _usage(says.used), **says.unknown}


def _logprobs(tokens: list[str]) -> list[Json]:
    return [{"token": t, "logprob": LOGPROB, "bytes": list(t.encode()), "top_logprobs": []} for t in tokens]


def _annotations(says: Says) -> list[Json]:
    return [
        {"type": "url_citation", "start_index": 0, "end_index": len(says.text), "url": s.url, "title": s.title}
        for s in says.sources
    ]


def _items(says: Says) -> list[Json]:
    items: list[Json] = []
    status = "incomplete" if says.is_cut or says.is_filtered else "completed"
    for i, thought in enumerate(says.thoughts):
        summary = [{"type": "summary_text", "text": thought}]
        items.append({"id": f"rs_{i}", "type": "reasoning", "summary": summary, "encrypted_content": SIGNATURE})
    if says.text or says.refusal:
        text = {"type": "output_text", "text": says.text, "annotations": _annotations(says), "logprobs": []}
        if says.logprobs:
            text["logprobs"] = _logprobs(words(says.text))
        part = {"type": "refusal", "refusal": says.refusal} if says.refusal else text
        items.append({"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": [part]})
    return items + [_call(i, call) for i, call in enumerate(says.calls)]


def _call(i: int, call: Called) -> Json:
    if isinstance(call.given, str):
        return {"id": f"ctc_{i}", "type": "custom_tool_call", "call_id": f"call_{i}", "name": call.name, "input": call.given}
    given = {"arguments": json.dumps(call.given), "status": "completed"}
    return {"id": f"fc_{i}", "type": "function_call", "call_id": f"call_{i}", "name": call.name, **given}


class _Stream:
    """Numbers its events."""

    def __init__(self, body: Json) -> None:
        self._body, self._number = body, -1

    def event(self, type_: str, **fields: Any) -> bytes:
        self._number += 1
        payload = json.dumps({"type": type_, "sequence_number": self._number, **fields}, ensure_ascii=False)
        return f"event: {type_}\ndata: {payload}\n\n".encode()

    def events(self, says: Says) -> list[bytes]:
        events = [self.event(f"response.{name}", response=_begun(self._body)) for name in ("created", "in_progress")]
        for index, item in enumerate(_items(says)):
            adders = {"reasoning": self._reasoning, "message": self._message}
            events += adders.get(item["type"], self._called)(index, item)
        whole = _response(self._body, says)
        return [*events, self.event(f"response.{whole['status']}", response=whole)]

    def _within(self, index: int, item: Json, empty: Json, events: list[tuple[str, Json]]) -> list[bytes]:
        """An item's events between its beginning and its end."""
        begun = self.event("response.output_item.added", output_index=index, item={**item, **empty})
        place = {"item_id": item["id"], "output_index": index}
        middle = [self.event(f"response.{name}", **place, **fields) for name, fields in events]
        return [begun, *middle, self.event("response.output_item.done", output_index=index, item=item)]

    def _reasoning(self, index: int, item: Json) -> list[bytes]:
        (part,) = item["summary"]
        place = {"summary_index": 0}
        events: list[tuple[str, Json]] = [("reasoning_summary_part.added", {**place, "part": {**part, "text": ""}})]
        events += [("reasoning_summary_text.delta", {**place, "delta": word}) for word in words(part["text"])]
        events.append(("reasoning_summary_text.done", {**place, "text": part["text"]}))
        events.append(("reasoning_summary_part.done", {**place, "part": part}))
        return self._within(index, item, {"summary": [], "encrypted_content": ""}, events)

    def _message(self, index: int, item: Json) -> list[bytes]:
        (part,) = item["content"]
        place = {"content_index": 0}
        if part["type"] == "refusal":
            empty: Json = {"type": "refusal", "refusal": ""}
            said: list[tuple[str, Json]] = [("refusal.delta", {**place, "delta": word}) for word in words(part["refusal"])]
            said.append(("refusal.done", {**place, "refusal": part["refusal"]}))
        else:
            empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            said = [
                ("output_text.delta", {**place, "delta": word, "logprobs": _logprobs([word]) if part["logprobs"] else []})
                for word in words(part["text"])
            ]
            for i, annotation in enumerate(part["annotations"]):
                said.append(("output_text.annotation.added", {**place, "annotation_index": i, "annotation": annotation}))
            said.append(("output_text.done", {**place, "text": part["text"], "logprobs": part["logprobs"]}))
        events = [("content_part.added", {**place, "part": empty}), *said, ("content_part.done", {**place, "part": part})]
        return self._within(index, item, {"content": [], "status": "in_progress"}, events)

    def _called(self, index: int, item: Json) -> list[bytes]:
        is_custom = item["type"] == "custom_tool_call"
        name, field = ("custom_tool_call_input", "input") if is_custom else ("function_call_arguments", "arguments")
        events: list[tuple[str, Json]] = [(f"{name}.delta", {"delta": part}) for part in halves(item[field])]
        named = {} if is_custom else {"name": item["name"]}
        events.append((f"{name}.done", {field: item[field], **named}))
        return self._within(index, item, {field: ""} if is_custom else {field: "", "status": "in_progress"}, events)
