"""What each kind of caller sends for the same question, and where it hears content and cost in what comes back. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, Literal

Caller = Literal["chat", "messages", "responses", "completions", "embeddings"]
Json = dict[str, Any]

PATHS: Final[dict[Caller, str]] = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
}
TOKENS_MAX: Final = 5000  # who must say how long an answer may be; all of one case say the same


def body_for(caller: Caller, chat: Json) -> Json:
    """A chat request as this caller puts it."""
    asked = chat.get("messages", [])
    *before, last = asked or [{}]
    match caller:
        case "chat" | "embeddings":
            return chat
        case "messages":
            system = {"system": before[0]["content"]} if before else {}
            return {"model": chat["model"], "max_tokens": TOKENS_MAX, **system, "messages": [last], "stream": chat["stream"]}
        case "responses":
            parts = [{**part, "type": "input_text"} for part in last["content"]] if isinstance(last["content"], list) else None
            item = {"role": "user", "content": parts or last["content"]}
            instructions = {"instructions": before[0]["content"]} if before else {}
            limit = {"max_output_tokens": TOKENS_MAX}
            return {"model": chat["model"], **instructions, "input": [item], "stream": chat["stream"], **limit}
        case "completions":
            rest = {name: value for name, value in chat.items() if name != "messages"}
            return {**rest, "prompt": last["content"]}


def events(body: bytes) -> list[Json]:
    """The payloads of a stream, or the one body."""
    lines = [line[6:] for line in body.splitlines() if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]


def has_content(event: bytes) -> bool:
    """Whether a stream event, in any of the dialects, has something of the answer in it."""
    return any(_has_content(fields) for fields in events(event))


def _has_content(fields: Json) -> bool:
    if "choices" in fields:
        said = [choice.get("delta") or choice for choice in fields["choices"]]
        names = ("content", "reasoning_content", "tool_calls", "text")
        return any(delta.get(name) for delta in said for name in names)
    kind = fields.get("type", "")
    if kind == "content_block_start":
        return bool(fields["content_block"]["type"] == "tool_use")
    if kind == "content_block_delta":
        return any(fields["delta"].get(name) for name in ("text", "thinking", "partial_json"))
    if kind == "response.output_item.added":
        return bool(fields["item"]["type"] == "function_call")
    return kind.startswith("response.") and kind.endswith(".delta") and bool(fields["delta"])


def costs_usd(body: bytes) -> Iterator[float | None]:
    """What a stream says that it has cost, each time that it does."""
    for fields in events(body):
        usage = (fields.get("response") or fields).get("usage")
        if isinstance(usage, dict) and "cost" in usage:
            yield usage["cost"]
