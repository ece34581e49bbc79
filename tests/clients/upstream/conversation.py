"""What was said so far, read from a request in each dialect: enough to find the cue and to know whose turn it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Turn:
    """Neighbouring pieces of the assistant are one turn, each result of a tool is one."""

    role: Role
    text: str


def chat_turns(body: dict[str, Any]) -> list[Turn]:
    return _merged(Turn(_role(message["role"]), _text(message.get("content"))) for message in body["messages"])


def messages_turns(body: dict[str, Any]) -> list[Turn]:
    return _merged(_message_turns(body))


def responses_turns(body: dict[str, Any]) -> list[Turn]:
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return _merged(_item_turn(item) for item in items)


def completions_turns(body: dict[str, Any]) -> list[Turn]:
    prompt = body["prompt"]
    return [Turn("user", prompt if isinstance(prompt, str) else _text(prompt))]


def _message_turns(body: dict[str, Any]) -> Iterator[Turn]:
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            if block["type"] in ("tool_result", "mcp_tool_result"):
                yield Turn("tool", _text(block.get("content")))
        said = [block for block in blocks if block["type"] not in ("tool_result", "mcp_tool_result")]
        if said:
            yield Turn(_role(message["role"]), _text(said))


def _item_turn(item: dict[str, Any]) -> Turn:
    kind = item.get("type", "message")
    if kind == "message":
        return Turn(_role(item["role"]), _text(item["content"]))
    if kind.endswith("_output"):
        return Turn("tool", _text(item["output"]))
    return Turn("assistant", json.dumps(item))


def _role(name: str) -> Role:
    roles: dict[str, Role] = {"user": "user", "assistant": "assistant", "tool": "tool", "function": "tool"}
    return roles.get(name, "system")


def _text(content: Any) -> str:
    """The texts of a string, or of a list of parts, blocks or strings."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part if isinstance(part, str) else part.get("text", "") for part in content if isinstance(part, str | dict))


def _merged(turns: Iterator[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role == "assistant":
            merged[-1] = Turn("assistant", f"{merged[-1].text}\n{turn.text}")
        else:
            merged.append(turn)
    return merged
