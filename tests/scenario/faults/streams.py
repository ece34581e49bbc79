"""What a caller's stream says, by the rules of its dialect: a stream that breaks one is an AssertionError. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.scenario.faults.cells import Dialect

Json = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """text: all of it. code: of the error that it ends with. is_whole: an SDK takes it for a complete answer."""

    text: str
    code: str | None
    is_whole: bool


def said(dialect: Dialect, body: str) -> Said:
    """What it comes to."""
    if dialect == "chat":
        return _chat([line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")])
    events = [_named(block) for block in body.split("\n\n") if block and not block.startswith(":")]
    return _messages(events) if dialect == "messages" else _responses(events)


def _named(block: str) -> Json:
    name, data = block.split("\n")
    fields: Json = json.loads(data.removeprefix("data: "))
    assert name == f"event: {fields['type']}"
    return fields


def _chat(events: list[str]) -> Said:
    is_ended = events[-1] == "[DONE]"
    payloads = [json.loads(event) for event in events if event != "[DONE]"]
    choices = [choice for payload in payloads for choice in payload.get("choices") or ()]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    finish = next((choice["finish_reason"] for choice in choices if choice["finish_reason"]), None)
    error = payloads[-1].get("error")
    return Said(text, None if error is None else error["code"], is_ended and finish == "stop")


def _messages(events: list[Json]) -> Said:
    kinds = [event["type"] for event in events]
    assert kinds.count("message_start") == 1 and kinds[0] in ("message_start", "ping"), kinds
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    last, finish = events[-1], next((event for event in events if event["type"] == "message_delta"), None)
    if finish is not None:
        assert finish["usage"]["cost"] > 0, "the last usage has the cost"
    has_stopped = finish is not None and finish["delta"]["stop_reason"] == "end_turn"
    assert kinds.count("error") == (kinds[-1] == "error"), "nothing comes after an error"
    code = last["error"]["code"] if last["type"] == "error" else None
    return Said("".join(delta["text"] for delta in deltas), code, has_stopped and kinds[-1] == "message_stop")


def _responses(events: list[Json]) -> Said:
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    numbers = [event["sequence_number"] for event in events]
    assert numbers == sorted(numbers), "events are numbered in turn"
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    if kinds[-1] == "error":
        assert kinds[-2] == "response.failed" and events[-2]["response"]["status"] == "failed", kinds
        return Said(text, events[-1]["code"], "response.completed" in kinds)
    completed = events[-1]["response"]
    assert completed["usage"]["cost"] > 0, "the last usage has the cost"
    again = "".join(part["text"] for item in completed["output"] for part in item["content"])
    assert again == text, "a response says again what its deltas were"
    return Said(text, None, kinds[-1] == "response.completed" and completed["status"] == "completed")
